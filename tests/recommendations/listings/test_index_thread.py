"""With the thread that keeps the index, readers go on with the index they have while another is loaded."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.listings import index, market_statistics
from recommendations.listings.index import borrow_index, drop_index
from recommendations.serving.startup import prepare_to_serve
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker
from tests.factories import ListingFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db(transaction=True)  # a thread sees what is committed


@pytest.fixture(autouse=True)
def _thread(settings, monkeypatch):
    settings.LISTING_INDEX_THREAD, settings.WINDOW_STALENESS_SECONDS = True, 0
    monkeypatch.setattr(index, "IDLE_SECONDS", 0.05)
    yield
    time.sleep(0.3)  # the thread gives its connection back, and the test its tables


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def version() -> int:
    with borrow_index() as listing_index:
        return listing_index.version_id


def is_live(listing: Listing) -> bool:
    with borrow_index() as listing_index:
        row = listing_index.stock.rows_of([listing.pk])[0]
        return bool(row >= 0 and listing_index.column("is_live")[row])


def test_a_promotion_stalls_no_reader_and_is_followed_once_it_is_loaded(monkeypatch):
    market = trained_market(6)
    drop_index()
    market_statistics.forget_market_statistics()
    prepare_to_serve(60)  # as a process does before it answers
    assert index._index.version_id == market.version.pk
    assert market_statistics._statistics is not None
    may_load, load = threading.Event(), index.load_index

    def slow_load(version_id: int) -> index.ListingIndex | None:
        assert may_load.wait(120)
        return load(version_id)

    second = run_training(run_id=start_training(promote=False).pk)
    monkeypatch.setattr(index, "load_index", slow_load)
    promote_ranker(version=second, note="too few buyers to judge it by")
    assert version() == version() == market.version.pk  # would wait for ever, if it waited
    may_load.set()
    assert eventually(lambda: version() == second.pk)


def test_what_changes_in_the_stock_is_followed(monkeypatch):
    market = trained_market(6)
    car = market.skodas[0]
    assert is_live(car)
    Listing.objects.filter(pk=car.pk).update(status="sold", ended_at=timezone.now())
    assert eventually(lambda: not is_live(car))
    monkeypatch.setattr(
        "recommendations.listings.listing_index.UPDATED_PER_SYNC", 3
    )  # a large import is taken in part by part
    new = ListingFactory.create_batch(10)
    assert eventually(lambda: all(map(is_live, new)))


def test_readers_who_come_one_after_the_other_wait_for_no_look(monkeypatch, settings):
    settings.WINDOW_STALENESS_SECONDS = 0.25
    patience = []
    monkeypatch.setattr(index.keeper, "look", patience.append)
    monkeypatch.setattr(index, "_index", object())
    for seconds_ago in (0.1, 0.3, 0.6):
        monkeypatch.setattr(index, "_checked_at", time.monotonic() - seconds_ago)
        with borrow_index():
            pass
    assert patience == [0.0, index.PATIENCE_SECONDS]


def test_market_statistics_are_read_beside_the_readers(monkeypatch):
    first = market_statistics.current_market_statistics()
    may_read, read = threading.Event(), market_statistics.read_market_statistics

    def slow_read(as_of: int) -> market_statistics.MarketStatistics:
        assert may_read.wait(120)
        return read(as_of)

    monkeypatch.setattr(market_statistics, "read_market_statistics", slow_read)
    monkeypatch.setattr(market_statistics, "_statistics", replace(first, as_of=first.as_of - 600))
    assert market_statistics.current_market_statistics().as_of == first.as_of - 600  # would wait for ever
    may_read.set()
    assert eventually(lambda: market_statistics.current_market_statistics().as_of >= first.as_of)


def test_statistics_of_another_day_are_not_used(monkeypatch):
    first = market_statistics.current_market_statistics()
    monkeypatch.setattr(market_statistics, "_statistics", replace(first, as_of=first.as_of - 86_400))
    assert market_statistics.current_market_statistics().as_of >= first.as_of


def test_a_failure_leaves_readers_the_index_they_have(monkeypatch):
    market = trained_market(6)
    assert version() == market.version.pk
    with monkeypatch.context() as broken:
        broken.setattr(index, "PAUSE_SECONDS", 0.01)
        broken.setattr(index, "live_version_id", lambda: 1 / 0)
        assert version() == market.version.pk
    new = ListingFactory()
    assert eventually(lambda: is_live(new))
