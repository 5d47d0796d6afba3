from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.insight.timeline import SHOWN_AT_MOST, timeline_of
from recommendations.models import EventKind
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory

pytestmark = pytest.mark.django_db


def did(buyer, kind: str, days_ago: float, **fields):
    return InteractionFactory(
        buyer=buyer, kind=EventKind.objects.get(slug=kind), occurred_at=timezone.now() - timedelta(days=days_ago),
        **fields,
    )  # fmt: skip


def test_an_event_counts_half_after_its_half_life_and_a_dislike_counts_against():
    buyer = BuyerFactory()
    did(buyer, "dislike", 60)
    did(buyer, "view", 30)
    did(buyer, "contact", 0)
    timeline = timeline_of(buyer)
    assert [entry.event.kind_id for entry in timeline] == ["contact", "view", "dislike"]
    assert [entry.weight for entry in timeline] == pytest.approx([2.0, 0.5, -0.75], abs=1e-3)


def test_other_weights_and_another_cutoff_are_used_as_given():
    buyer = BuyerFactory()
    did(buyer, "view", 30)
    did(buyer, "view", 1)
    kinds = {"view": EventKind(slug="view", weight=4.0, half_life_days=10)}
    then = timezone.now() - timedelta(days=20)
    (entry,) = timeline_of(buyer, then, kinds)
    assert entry.weight == pytest.approx(2.0, abs=1e-3)


def test_the_fate_of_the_car_is_reported():
    buyer = BuyerFactory()
    gone = ListingFactory()
    did(buyer, "view", 4, listing=ListingFactory())
    did(buyer, "view", 3, listing=ListingFactory(sold=True))
    did(buyer, "view", 2, listing=gone)
    did(buyer, "search", 1, listing=None, query={"makes": ["bmw"]})
    Listing.objects.filter(pk=gone.pk).delete()
    assert [entry.fate for entry in timeline_of(buyer)] == ["", "removed", "sold", ""]


def test_a_long_history_is_cut_and_costs_one_query(django_assert_num_queries):
    buyer = BuyerFactory()
    car = ListingFactory()
    for number in range(SHOWN_AT_MOST + 3):
        did(buyer, "view", number, listing=car)
    with django_assert_num_queries(1):
        timeline = timeline_of(buyer)
        assert [str(entry.event.listing) for entry in timeline] == [str(car)] * SHOWN_AT_MOST
