"""An event counts as one from a list only where that list exists, was shown to the buyer, and holds the car."""

from datetime import timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.utils import timezone

from accounts.services import merge_guest
from recommendations.admin.traffic_cards import events_card, read_events
from recommendations.buyers.preferences import current_preference
from recommendations.events.attribution import LISTS_ARE_WRITTEN_WITHIN, settle
from recommendations.events.recording import Event, record_interactions
from recommendations.events.rows import read_shown_beside
from recommendations.models import Attribution, Interaction, ServedList
from recommendations.telemetry import EVENTS_UNATTRIBUTED
from tests.factories import BuyerFactory, ListingFactory, ServedListFactory
from tests.markets import trained_market

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer(db):
    return BuyerFactory(external=True)


@pytest.fixture
def cars(db):
    return [ListingFactory() for _ in range(4)]


def shown(cars, buyer, **fields) -> ServedList:
    """The first three of the cars."""
    return ServedListFactory(buyer=buyer, listing_ids=[car.pk for car in cars[:3]], **fields)


def opened(buyer, car, list_id: UUID | None, position: int | None = None, **fields) -> Interaction:
    event = Event(kind="view", listing_id=car and car.pk, served_list_id=list_id, position=position, **fields)
    record_interactions(buyer=buyer, events=[event])
    return Interaction.objects.order_by("pk").last()


def counted(reason: str) -> float:
    return EVENTS_UNATTRIBUTED.labels(reason)._value.get()


def beside(*events: Interaction) -> list[int]:
    """The cars that learning sets beside the events."""
    return read_shown_beside(np.sort([event.pk for event in events]), 30).listing_ids.tolist()


def is_from(event: Interaction, served: ServedList, position: int) -> bool:
    return (event.attribution, event.served_list_id, event.position) == (Attribution.CHECKED, served.pk, position)


def is_without_list(event: Interaction, reason: str) -> bool:
    return (event.attribution, event.served_list_id, event.position) == (reason, None, None)


def test_an_event_that_names_no_list_is_from_the_one_the_car_was_opened_from_last(buyer, cars):
    """The newest of the day before; else of the two minutes after it; never that of another buyer or car."""
    now = timezone.now()
    older, newer = (ServedListFactory(buyer=buyer, listing_ids=[cars[0].pk, car.pk]) for car in cars[1:3])
    others = BuyerFactory(external=True)
    opened(others, cars[0], ServedListFactory(buyer=others, listing_ids=[cars[0].pk, cars[3].pk]).pk, occurred_at=now)
    opened(buyer, cars[1], older.pk, occurred_at=now)

    def ago(minutes: float, served: ServedList | None = None) -> Interaction:
        return opened(buyer, cars[0], served and served.pk, occurred_at=now - timedelta(minutes=minutes))

    ago(3_000, older)
    ago(120, older)
    ago(60, newer)
    just_after, before_newer, long_before = ago(59), ago(61.5), ago(1_500)
    assert beside(just_after) == [cars[2].pk]
    assert beside(before_newer) == [cars[1].pk]  # an hour after it was opened from there, and just before the next time
    assert beside(long_before) == []
    assert beside(ago(121.5)) == [cars[1].pk]  # the page was read before it was posted with its list
    assert beside(just_after, before_newer, long_before) == [cars[2].pk, cars[1].pk]


# --- The list is there -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("position", [2, None, 1, 3])
def test_an_event_from_a_list_of_the_buyer_stands_where_the_list_has_it(buyer, cars, position):
    served = shown(cars, buyer)
    event = opened(buyer, cars[1], served.pk, position)
    assert is_from(event, served, 2)
    assert beside(event) == [cars[0].pk, cars[2].pk]


def test_a_list_that_was_made_for_no_known_buyer_is_that_of_a_new_visitor(buyer, cars):
    served = shown(cars, None)
    assert is_from(opened(buyer, cars[0], served.pk, 1), served, 1)


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_list_of_the_guest_whom_the_buyer_has_been_is_theirs(cars, is_moved):
    guest, buyer = BuyerFactory(guest=True), BuyerFactory()
    served = shown(cars, guest) if is_moved else None
    merge_guest(guest=guest, into=buyer)
    served = served or shown(cars, guest)  # written after the login
    event = opened(buyer, cars[0], served.pk, 1)
    assert is_from(event, served, 1)
    assert beside(event)


def test_a_search_has_no_car_to_look_for(buyer, cars):
    served = shown(cars, buyer)
    event = Event(kind="search", query={"makes": ["bmw"]}, served_list_id=served.pk, position=3)
    record_interactions(buyer=buyer, events=[event])
    assert is_from(Interaction.objects.get(), served, 3)


@pytest.mark.parametrize(
    ("of", "car", "position", "reason"),
    [("other", 0, 1, "other_buyer"), ("own", 0, 4, "outside"), ("own", 0, 32_767, "outside"), ("own", 3, 2, "outside"),
     ("own", 3, None, "outside"), ("empty", 0, 1, "outside")],
)  # fmt: skip
def test_a_list_that_is_named_wrongly_is_left_out_and_counted(buyer, cars, of, car, position, reason):
    served = shown(cars, BuyerFactory() if of == "other" else buyer)
    if of == "empty":
        ServedList.objects.update(listing_ids=[])
    before = counted(reason)
    event = opened(buyer, cars[car], served.pk, position)
    assert is_without_list(event, reason)
    assert counted(reason) == before + 1
    assert beside(event) == []
    assert "1 named a list they did not come from" in events_card(read_events(timezone.now())).note


def test_a_repeat_is_counted_once(buyer, cars):
    served = shown(cars, BuyerFactory())
    before = counted("other_buyer")
    for _ in range(3):
        opened(buyer, cars[0], served.pk, 1, event_id="once")
    assert counted("other_buyer") == before + 1
    assert Interaction.objects.count() == 1


# --- The list comes later --------------------------------------------------------------------------------------------
def test_an_event_that_arrives_before_its_list_keeps_its_attribution(buyer, cars):
    list_id = uuid4()
    event = opened(buyer, cars[1], list_id, 2)
    assert (event.attribution, event.served_list_id, event.position) == (Attribution.PENDING, list_id, 2)
    assert settle(timezone.now()) == 0
    served = shown(cars, buyer, id=list_id)
    assert beside(event)
    assert settle(timezone.now()) == 1
    event.refresh_from_db()
    assert is_from(event, served, 2)


@pytest.mark.parametrize(("of", "position", "reason"), [("other", 1, "other_buyer"), ("own", 9, "outside")])
def test_a_list_that_comes_later_and_is_wrong_teaches_nothing_meanwhile(buyer, cars, of, position, reason):
    list_id = uuid4()
    event = opened(buyer, cars[0], list_id, position)
    shown(cars, BuyerFactory() if of == "other" else buyer, id=list_id)
    before = counted(reason)
    assert beside(event) == []
    assert settle(timezone.now()) == 1
    event.refresh_from_db()
    assert is_without_list(event, reason)
    assert counted(reason) == before + 1


def test_a_list_that_never_comes_is_given_up(buyer, cars):
    event = opened(buyer, cars[0], uuid4(), 1)
    before = counted("unknown_list")
    assert settle(timezone.now() + LISTS_ARE_WRITTEN_WITHIN - timedelta(minutes=1)) == 0
    assert settle(timezone.now() + LISTS_ARE_WRITTEN_WITHIN + timedelta(minutes=1)) == 1
    event.refresh_from_db()
    assert is_without_list(event, "unknown_list")
    assert counted("unknown_list") == before + 1
    assert settle(timezone.now() + timedelta(days=1)) == 0


def test_what_was_learned_before_the_list_came_is_learned_again(queued, django_capture_on_commit_callbacks):
    market = trained_market(5)
    buyer, list_id = BuyerFactory(external=True), uuid4()
    opened(buyer, market.bmws[0], list_id, 1)
    alone = current_preference(buyer)
    ids = [car.pk for car in [market.bmws[0], *market.skodas]]
    ServedListFactory(id=list_id, buyer=buyer, listing_ids=ids)
    with django_capture_on_commit_callbacks(execute=True):
        settle(timezone.now())
    assert ("recommendations.refresh_preferences", buyer.pk) in queued
    assert not np.array_equal(current_preference(buyer).mean, alone.mean)
