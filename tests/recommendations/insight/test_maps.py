"""Maps by t-SNE as jobs: drawn, cancelled, failed, begun anew after a worker's death."""

from datetime import timedelta

import numpy as np
import pytest

from jobs.work import Attempt
from recommendations.exceptions import TasteMapRefused
from recommendations.insight import maps
from recommendations.insight.maps import Drawn, run_map, sampled, start_map
from recommendations.listings.index import borrow_index
from recommendations.models import TasteMap
from tests.factories import ListingFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=10)


def test_a_map_holds_every_car_for_sale_and_the_two_kinds_apart():
    market = trained_market()
    ListingFactory(sold=True)
    drawn = run_map(map_id=start_map().pk)
    found = Drawn.unpack(drawn.content)
    assert (drawn.status, drawn.progress, drawn.version, drawn.n_points) == ("done", 1, market.version, 30)
    assert found.listing_ids.tolist() == sorted(car.pk for car in market.skodas + market.bmws)
    is_skoda = np.isin(found.listing_ids, [car.pk for car in market.skodas])
    skodas, bmws = found.coordinates[is_skoda], found.coordinates[~is_skoda]
    between = np.linalg.norm(skodas.mean(axis=0) - bmws.mean(axis=0))
    assert between > np.linalg.norm(skodas - skodas.mean(axis=0), axis=1).max()


def test_a_large_stock_is_sampled_and_the_sample_stays_when_a_car_is_sold():
    market = trained_market()
    with borrow_index() as listing_index:
        rows = np.flatnonzero(listing_index.column("is_live"))
        some = listing_index.stock.listing_ids[sampled(listing_index, rows, 10)].tolist()
        fewer = listing_index.stock.listing_ids[
            sampled(listing_index, rows[listing_index.stock.listing_ids[rows] != some[0]], 10)
        ].tolist()
    assert len(some) == 10
    assert some == sorted(some)
    assert set(some[1:]) < set(fewer)
    assert set(some) < {car.pk for car in market.skodas + market.bmws}


def test_without_a_ranker_a_map_fails_and_says_what_to_do():
    wanted = start_map()
    with pytest.raises(TasteMapRefused):
        run_map(map_id=wanted.pk)
    wanted.refresh_from_db()
    assert wanted.status == "failed"
    assert "train one first" in wanted.error


def test_too_little_stock_is_reported():
    trained_market(n_of_each=4)
    wanted = start_map()
    with pytest.raises(TasteMapRefused, match="8 cars are for sale; a map takes at least 10"):
        run_map(map_id=wanted.pk)


def test_a_size_that_cannot_be_drawn_is_refused():
    with pytest.raises(TasteMapRefused, match="less than or equal to 2500"):
        start_map(n_points=1_000_000)
    assert not TasteMap.objects.exists()


def test_a_map_that_was_cancelled_while_queued_is_not_drawn():
    wanted = start_map()
    TasteMap.objects.update(status="cancelled")
    assert run_map(map_id=wanted.pk) is None


def test_a_map_that_is_cancelled_while_it_is_drawn_stops_and_stays_cancelled(monkeypatch):
    trained_market()
    wanted, shares = start_map(), []

    report = Attempt.report

    def cancelled_meanwhile(attempt: Attempt, share: float, step: str) -> None:
        shares.append(share)
        if share > 0.1:
            TasteMap.objects.update(status="cancelled")
        report(attempt, share, step)

    monkeypatch.setattr(Attempt, "report", cancelled_meanwhile)
    assert run_map(map_id=wanted.pk) is None
    wanted.refresh_from_db()
    assert (wanted.status, bytes(wanted.content)) == ("cancelled", b"")
    assert shares[-1] < 0.4


def test_a_map_whose_process_receives_a_stop_signal_is_queued_again(monkeypatch):
    def stop(wanted: TasteMap, report: object) -> None:
        raise SystemExit

    monkeypatch.setattr(maps, "draw", stop)
    wanted = start_map()
    with pytest.raises(SystemExit):
        run_map(map_id=wanted.pk)
    wanted.refresh_from_db()
    assert (wanted.status, wanted.progress) == ("queued", 0)
