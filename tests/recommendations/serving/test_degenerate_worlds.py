"""Worlds in which there is hardly anything, or always the same, through the whole product.

Each is trained on, asked for lists, refreshed, trained on once more beside the live version, and evaluated. A sensible
answer may be an empty list or a refusal in words; it is never a crash, and no number that is not finite.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.buyers.preferences import current_preference
from recommendations.buyers.refresh import refresh_stale_preferences
from recommendations.evaluation.runs import run_evaluation, start_evaluation
from recommendations.exceptions import RecommendationsError
from recommendations.listings.index import drop_index
from recommendations.models import EventKind, Interaction, Preference, RankerVersion
from recommendations.models.artifacts import load_ranker
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.similar import similar_listings
from recommendations.training.gate import Code
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, PlacementFactory
from tests.markets import make_market, view

pytestmark = pytest.mark.django_db

World = Callable[[], Buyer]  # makes it, and names the buyer who is asked about


def one_listing() -> Buyer:
    buyer = BuyerFactory()
    view(buyer, *[ListingFactory()] * 3)
    return buyer


def one_buyer() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    view(buyer, *market.bmws, *market.skodas[:10])
    return buyer


def no_events() -> Buyer:
    make_market()
    return BuyerFactory()


def all_sold() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    view(buyer, *market.bmws, *market.skodas)
    Listing.objects.update(status="sold", ended_at=timezone.now())
    return buyer


def all_sold_long_ago() -> Buyer:
    buyer = all_sold()
    Listing.objects.update(ended_at=timezone.now() - timedelta(days=1000))
    return buyer


def all_the_same_car() -> Buyer:
    model = CarModelFactory()
    cars = [ListingFactory(car_model=model) for _ in range(30)]
    for start in range(10):
        view(BuyerFactory(external=True), *cars[start : start + 3])
    buyer = BuyerFactory()
    view(buyer, *cars[:3])
    return buyer


def all_prices_missing() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    Listing.objects.update(price=None)
    view(buyer, *market.bmws, *market.skodas[:10])
    return buyer


def nothing_known_of_any_car() -> Buyer:
    buyer = BuyerFactory()
    view(buyer, *(ListingFactory(bare=True) for _ in range(25)))
    return buyer


def a_single_event() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    view(buyer, market.bmws[0])
    return buyer


def events_on_deleted_listings_only() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    gone = [ListingFactory() for _ in range(25)]
    view(buyer, *gone)
    Listing.objects.filter(pk__in=[car.pk for car in gone]).delete()
    assert buyer.interactions.filter(listing=None).count() == 25
    assert market.bmws
    return buyer


def a_buyer_with_ten_thousand_events() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    cars, kind, now = [*market.bmws, *market.skodas], EventKind.objects.get(slug="view"), timezone.now()
    Interaction.objects.bulk_create(
        Interaction(
            event_id=f"{number}", buyer=buyer, kind=kind, listing=cars[number * 7 % 30],
            occurred_at=now - timedelta(minutes=number),
        )
        for number in range(10_000)
    )  # fmt: skip
    return buyer


def dislikes_only() -> Buyer:
    buyer, market = BuyerFactory(), make_market()
    view(buyer, *market.bmws, *market.skodas[:10], kind="dislike")
    view(BuyerFactory(external=True), *market.skodas, kind="dislike")
    return buyer


def everything_at_the_same_moment() -> Buyer:
    buyer = one_buyer()
    Interaction.objects.update(occurred_at=timezone.now() - timedelta(days=1))
    return buyer


def events_of_before_the_listings() -> Buyer:
    buyer = one_buyer()
    Interaction.objects.update(occurred_at=timezone.now() - timedelta(days=300))
    Listing.objects.update(published_at=timezone.now())
    return buyer


WORLDS: list[World] = [
    one_listing, one_buyer, no_events, all_sold, all_sold_long_ago, all_the_same_car, all_prices_missing,
    nothing_known_of_any_car, a_single_event, events_on_deleted_listings_only, a_buyer_with_ten_thousand_events,
    dislikes_only, everything_at_the_same_moment, events_of_before_the_listings,
]  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_a_degenerate_world_is_answered_sensibly(world: World):
    PlacementFactory()
    buyer = world()
    version = run_training(run_id=start_training().pk)
    assert RankerVersion.objects.live() == version
    assert_finite(version)
    asked_for_lists(buyer)
    refresh_stale_preferences()
    for preference in Preference.objects.all():
        assert np.isfinite(preference.mean).all()
    again = run_training(run_id=start_training().pk)
    assert again.gate["code"] == Code.TOO_LITTLE_EVIDENCE, again.gate["reason"]
    assert RankerVersion.objects.live() == version
    assert_finite(again)
    promote_ranker(version=again, note="too few buyers to judge it by")
    drop_index()
    asked_for_lists(buyer)
    assert_evaluated_or_refused_in_words()


def assert_finite(version: RankerVersion) -> None:
    for name, array in load_ranker(version.pk).to_arrays().items():
        assert array.dtype.kind != "f" or np.isfinite(array).all(), name
    for figures in version.metrics.get("rankers", {}).values():
        assert np.isfinite(list(figures.values())).all()


def asked_for_lists(buyer: Buyer) -> None:
    """Ten cars whenever ten may be shown, to the buyer and to a cold buyer, and cars like any car."""
    dismissed = buyer.interactions.filter(kind__is_dismissal=True).values("listing")
    for asking, allowed in ((buyer, Listing.objects.available().exclude(pk__in=dismissed)), (None, live())):
        found = recommend(ListRequest(buyer=asking, k=10))
        assert len(found.items) == min(10, allowed.count())
        assert len({item.listing.pk for item in found.items}) == len(found.items)
        for item in found.items:
            assert np.isfinite([item.score, *item.terms.values()]).all()
            assert sum(item.terms.values()) == pytest.approx(item.score, abs=1e-6)
    for listing in Listing.objects.all()[:1]:
        assert np.isfinite([item.score for item in similar_listings(listing, 5)]).all()
    preference = current_preference(buyer)
    assert preference is None or np.isfinite(preference.mean).all()


def live():
    return Listing.objects.available()


def assert_evaluated_or_refused_in_words() -> None:
    evaluation = start_evaluation()
    with suppress(RecommendationsError):
        run_evaluation(evaluation_id=evaluation.pk)
    evaluation.refresh_from_db()
    assert evaluation.status == "done" or len(evaluation.error) > 20
    for figure in evaluation.figures.all():
        assert np.isfinite([value for value in (figure.value, figure.low, figure.high) if value is not None]).all()


def test_without_buyers_a_request_without_a_buyer_is_served():
    make_market()
    run_training(run_id=start_training().pk)
    assert not Buyer.objects.exists()
    assert len(recommend(ListRequest(buyer=None, k=10)).items) == 10
    assert refresh_stale_preferences() == 0
    assert_evaluated_or_refused_in_words()


def test_two_trainings_of_the_same_data_give_identical_arrays():
    market = make_market()
    for start in range(20):
        for cars in (market.bmws, market.skodas):
            view(BuyerFactory(external=True), *cars[start % 12 : start % 12 + 3])
    first, second = (run_training(run_id=start_training(parameters={"seed": 7}).pk) for _ in "ab")
    one, other = (load_ranker(version.pk).to_arrays() for version in (first, second))
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)
    assert first.metrics == second.metrics
    different = run_training(run_id=start_training(parameters={"seed": 8}).pk)
    assert (load_ranker(different.pk).prior.mean != load_ranker(first.pk).prior.mean).any()
