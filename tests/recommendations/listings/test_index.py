from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.listings.index import borrow_index, drop_index
from recommendations.listings.retrieval import PgvectorRetriever, retriever_for
from recommendations.models import ListingVector
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker, rollback_ranker
from tests.factories import ListingFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


@pytest.fixture
def market(market_of_module):
    return market_of_module


def live_ids() -> set[int]:
    with borrow_index() as listing_index:
        return set(listing_index.stock.listing_ids[listing_index.allowed(ListingFilters())].tolist())


def weights() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(128)


def test_there_is_no_listing_index_before_the_first_promotion():
    with borrow_index() as listing_index:
        assert listing_index is None


def test_the_listing_index_holds_what_is_for_sale(market):
    assert live_ids() == set(Listing.objects.available().values_list("pk", flat=True))


def test_a_sold_car_leaves_and_a_relisted_one_returns(market):
    car = market.skodas[0]
    assert car.pk in live_ids()
    Listing.objects.filter(pk=car.pk).update(status="reserved")  # no signal: only the trigger saw it
    assert car.pk not in live_ids()
    Listing.objects.filter(pk=car.pk).update(status="live")
    assert car.pk in live_ids()


def test_a_deleted_car_leaves(market):
    live_ids()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_listing WHERE id = %s", [market.bmws[-1].pk])  # no one has seen it
    assert market.bmws[-1].pk not in live_ids()


def test_a_new_car_is_there_at_once_though_no_worker_has_made_its_vector(market):
    live_ids()
    car = ListingFactory()
    assert car.pk in live_ids()
    assert not ListingVector.objects.of(market.version).filter(listing_id=car.pk).exists()
    with borrow_index() as listing_index:
        vectors, known = listing_index.vectors_of([car.pk])
    assert known.all()
    assert vectors.any()


def test_after_a_large_import_the_listing_index_catches_up_bit_by_bit(market, monkeypatch):
    live_ids()
    live_ids()  # what this test itself wrote before the window was loaded
    monkeypatch.setattr("recommendations.listings.listing_index.UPDATED_PER_SYNC", 3)
    new = {ListingFactory().pk for _ in range(7)}
    assert [len(new & live_ids()) for _ in range(3)] == [3, 6, 7]


def test_a_changed_price_changes_the_vector_and_a_changed_description_does_not(market):
    car = market.skodas[0]

    def vector() -> list[float]:
        with borrow_index() as listing_index:
            return listing_index.vectors_of([car.pk])[0][0].tolist()

    before = vector()
    Listing.objects.filter(pk=car.pk).update(description="one careful owner")
    assert vector() == before
    Listing.objects.filter(pk=car.pk).update(price=25_000)
    assert vector() != before


def test_the_best_are_those_of_brute_force_with_ties_by_id(market):
    twin = Listing.objects.get(pk=market.bmws[3].pk)
    twin.pk, twin.external_id = None, "twin"
    twin.save()
    with borrow_index() as listing_index:
        ids, scores = listing_index.best(weights(), 10)
        live = listing_index.allowed(ListingFilters())
        every = listing_index.stock.vectors[live] @ weights().astype(np.float32)
        order = np.lexsort((listing_index.stock.listing_ids[live], -every))[:10]
    assert ids.tolist() == listing_index.stock.listing_ids[live][order].tolist()
    np.testing.assert_allclose(scores, every[order], rtol=1e-5)


@pytest.mark.parametrize("k", [0, 1, 7, 30, 1000])
@pytest.mark.parametrize(
    "filters", [ListingFilters(), ListingFilters(makes=("bmw",), max_price=33_000)], ids=["all", "bmw"]
)
def test_memory_and_pgvector_give_the_same_answer(market, settings, k, filters):
    excluded = [market.bmws[1].pk]
    with borrow_index() as listing_index:
        in_memory = listing_index.best(weights(), k, filters, excluded)
        exact = PgvectorRetriever(listing_index.version_id).best(weights(), k, filters, excluded)
        settings.EXACT_SCAN_MAX_ROWS = 0
        approximate = PgvectorRetriever(listing_index.version_id).best(weights(), k, filters, excluded)
    assert exact[0].tolist() == in_memory[0].tolist()
    assert approximate[0].tolist() == in_memory[0].tolist()
    np.testing.assert_allclose(exact[1], in_memory[1], rtol=1e-4, atol=1e-5)


def test_a_stock_larger_than_memory_is_sampled_and_pgvector_answers(market, settings):
    settings.WINDOW_MAX_LISTINGS = 10
    drop_index()
    with borrow_index() as listing_index:
        assert not listing_index.is_complete
        assert 0 < len(listing_index) < 30
        assert isinstance(retriever_for(listing_index), PgvectorRetriever)


def test_promotion_and_rollback_are_followed(market):
    second = run_training(run_id=start_training(promote=False).pk)
    with borrow_index() as listing_index:
        assert listing_index.version_id == market.version.pk
    promote_ranker(version=second, note="too few buyers to judge it by")
    with borrow_index() as listing_index:
        assert listing_index.version_id == second.pk
    rollback_ranker()
    with borrow_index() as listing_index:
        assert listing_index.version_id == market.version.pk


def test_a_listing_index_as_of_a_time_holds_what_was_for_sale_then(market):
    then = timezone.now() - timedelta(days=2)
    sold, new = market.bmws[0], market.bmws[1]
    Listing.objects.filter(pk=sold.pk).update(status="sold", ended_at=then + timedelta(days=1))
    Listing.objects.filter(pk=new.pk).update(published_at=then + timedelta(days=1))
    with borrow_index() as listing_index:
        weights = listing_index.ranker.prior.mean
        now, was = (
            set(some.best(weights, 30)[0].tolist()) for some in (listing_index, listing_index.as_of(then.timestamp()))
        )
        assert set(listing_index.best(weights, 30)[0].tolist()) == now  # the view left the window as it was
    assert was - now == {sold.pk}
    assert now - was == {new.pk}


def test_a_car_that_was_learned_while_an_update_was_read_is_asked_for_again(market):
    """The update asked for no keys, since no car was known when it was read; what was learned may be older than it."""
    listing = market.bmws[0]
    with borrow_index() as listing_index:
        n_noted, before = listing_index.cars.n_noted, (listing.pk, listing.car_key, [listing.pk])
        Listing.objects.filter(pk=listing.pk).update(vin="WBA0000000000TEST")
        update = listing_index.read_update()
        assert listing_index.cars.learn([listing.pk], [before], n_noted)
        listing_index.apply(update)
        assert listing_index.cars.count({listing.pk: 1})[2] == {listing.pk}
        assert not listing_index.cars.learn([listing.pk], [before], n_noted)
