"""An event may come before its listing: it waits, and counts once the listing comes, whatever way that does."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Buyer
from accounts.services import create_api_key
from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.models import Listing
from recommendations.buyers.privacy import personal_data_of
from recommendations.events import waiting
from recommendations.models import Interaction, ServedList, WaitingEvent
from tests.factories import ListingFactory
from tests.recommendations.api.conftest import client_with

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"
EVENT = {"kind": "like", "buyer": "42", "external_id": "A-1"}
CAR = {"external_id": "A-1", "brand": "VW", "model": "Golf", "price": 5_000}
WRAPPINGS = [lambda event: event, lambda event: [event], lambda event: {"events": [event]}]


def key_of(source="shop", name="k"):
    scopes = ["read", "ingest", "admin"]
    return client_with(x_api_key=create_api_key(name=name, scopes=scopes, created_by=None, source=source)[1])


@pytest.fixture
def shop(db):
    return key_of()


def by_api(shop, tmp_path):
    assert shop.post("/api/v1/listings", [CAR]).status_code == 200


def by_put(shop, tmp_path):
    assert shop.put("/api/v1/listings/by-external-id/A-1", CAR | {"external_id": "A-1"}).status_code in (200, 201)


def by_file(shop, tmp_path):
    path = tmp_path / "stock.csv"
    path.write_text("id,make,model,price\nA-1,VW,Golf,5000\n")
    import_listings(path=path, options=ImportOptions(source="shop"))


def by_form(shop, tmp_path):
    ListingFactory(source="shop", external_id="A-1")


def as_draft(shop, tmp_path):
    ListingFactory(source="shop", external_id="A-1", draft=True)


@pytest.mark.parametrize("wrap", WRAPPINGS)
@pytest.mark.parametrize("bring", [by_api, by_put, by_file, by_form, as_draft])
def test_an_event_that_came_first_counts_when_its_listing_comes(
    shop, tmp_path, django_capture_on_commit_callbacks, bring, wrap
):
    moment = timezone.now() - timedelta(hours=1)
    got = shop.post(EVENTS, wrap(EVENT | {"event_id": "e-1", "occurred_at": moment.isoformat()}))
    assert (got.status_code, got.json()["recorded"], got.json()["waiting"]) == (201, 0, 1)
    assert [each["status"] for each in got.json().get("events", ())] in ([], ["waiting"])
    assert not Interaction.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        bring(shop, tmp_path)
    event = Interaction.objects.get()
    assert (event.listing, event.buyer.external_id, event.kind_id) == (Listing.objects.get(), "42", "like")
    assert (event.event_id, event.occurred_at) == ("e-1", moment)
    assert not WaitingEvent.objects.exists()


@pytest.mark.parametrize("caller", ["as_alice", "as_gus"])
def test_people_may_be_early_too(request, settings, caller):
    settings.LISTING_SOURCE = "shop"
    got = request.getfixturevalue(caller).post(EVENTS, {"kind": "view", "external_id": "A-1"})
    assert (got.status_code, got.json()["waiting"]) == (201, 1)
    car = ListingFactory(source="shop", external_id="A-1")
    assert waiting.release_for([car.pk]) == 1
    assert Interaction.objects.get().listing == car


def test_only_the_listing_of_that_source_ends_the_wait(shop):
    shop.post(EVENTS, [EVENT, EVENT | {"source": "dealer"}, EVENT | {"external_id": "A-2"}])
    car = ListingFactory(source="dealer", external_id="A-1")
    ListingFactory(source="elsewhere", external_id="A-2")
    assert waiting.release_for(Listing.objects.values_list("pk", flat=True)) == 1
    assert Interaction.objects.get().listing == car
    assert WaitingEvent.objects.count() == 2


def test_an_event_without_a_time_occurred_when_it_was_received(shop):
    shop.post(EVENTS, EVENT)
    received = WaitingEvent.objects.get().received_at
    WaitingEvent.objects.update(received_at=received - timedelta(days=1))
    ListingFactory(source="shop", external_id="A-1")
    waiting.release_all()
    event = Interaction.objects.get()
    assert event.occurred_at == received - timedelta(days=1)
    assert event.received_at >= received  # it is in the log since now


def test_right_and_early_events_come_in_one_request(shop):
    ListingFactory(source="shop", external_id="B-1")
    got = shop.post(EVENTS, [EVENT | {"external_id": "B-1"}, EVENT, EVENT | {"external_id": "B-1", "kind": "view"}])
    assert [each["status"] for each in got.json()["events"]] == ["recorded", "waiting", "recorded"]
    assert (got.json()["recorded"], got.json()["waiting"]) == (2, 1)


# --- Sent again ------------------------------------------------------------------------------------------------------
def statuses(got):
    return [each["status"] for each in got.json()["events"]]


def test_an_early_event_sent_again_is_a_repeat_before_and_after_its_listing_came(shop):
    event = EVENT | {"event_id": "e-1"}
    assert statuses(shop.post(EVENTS, [event, event])) == ["waiting", "repeated"]
    assert statuses(shop.post(EVENTS, [event])) == ["repeated"]
    car = ListingFactory(source="shop", external_id="A-1")  # and no process has looked after what waits for it
    assert statuses(shop.post(EVENTS, [event])) == ["repeated"]
    by_our_id = {"kind": "like", "buyer": "42", "event_id": "e-1", "listing_id": car.pk}
    assert statuses(shop.post(EVENTS, [by_our_id])) == ["repeated"]
    assert (Interaction.objects.count(), WaitingEvent.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    "other", [{"kind": "view"}, {"external_id": "A-2"}, {"external_id": "B-1"}, {"buyer": "43"}, {"source": "dealer"},
              {"position": 2}, {"occurred_at": "2026-01-01T00:00:00Z"}],
)  # fmt: skip
def test_the_id_of_an_early_event_is_that_event_alone(shop, other):
    ListingFactory(source="shop", external_id="B-1")
    shop.post(EVENTS, EVENT | {"event_id": "e-1"})
    got = shop.post(EVENTS, EVENT | {"event_id": "e-1"} | other)
    assert got.status_code == 409
    assert "A-1" in got.json()["error"]["fields"]["event_id"][0]
    assert not Interaction.objects.exists()


def test_an_early_event_under_the_id_of_a_recorded_one_is_a_conflict(shop):
    ListingFactory(source="shop", external_id="B-1")
    shop.post(EVENTS, EVENT | {"event_id": "e-1", "external_id": "B-1"})
    assert shop.post(EVENTS, EVENT | {"event_id": "e-1"}).status_code == 409
    assert not WaitingEvent.objects.exists()


def test_two_senders_may_use_one_id(shop):
    other = key_of(name="other")
    for key in (shop, other):
        assert key.post(EVENTS, EVENT | {"event_id": "e-1"}).json()["waiting"] == 1
    ListingFactory(source="shop", external_id="A-1")
    assert waiting.release_all() == 2


def test_to_release_twice_records_once(shop):
    shop.post(EVENTS, EVENT)
    car = ListingFactory(source="shop", external_id="A-1")
    assert [waiting.release_for([car.pk]), waiting.release_for([car.pk]), waiting.release_all()] == [1, 0, 0]
    assert Interaction.objects.count() == 1


def test_what_was_recorded_meanwhile_under_the_same_id_is_not_recorded_twice(shop):
    shop.post(EVENTS, EVENT | {"event_id": "e-1"})
    early = WaitingEvent.objects.get()
    car = ListingFactory(source="shop", external_id="A-1")
    WaitingEvent.objects.all().delete()
    shop.post(EVENTS, EVENT | {"event_id": "e-1"})
    early.save(force_insert=True)  # as another process may have written it at the same time
    assert waiting.release_for([car.pk]) == 0
    assert (Interaction.objects.count(), WaitingEvent.objects.count()) == (1, 0)


def test_a_listing_that_came_while_the_event_was_stored_is_found(shop, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        shop.post(EVENTS, EVENT)
        ListingFactory(source="shop", external_id="A-1")
    assert Interaction.objects.count() == 1


# --- Bounds ----------------------------------------------------------------------------------------------------------
def test_no_more_events_wait_than_are_allowed(shop, as_alice, settings):
    settings.EVENTS_WAITING_AT_MOST = 2
    events = [EVENT | {"external_id": f"A-{n}"} for n in range(3)]
    got = shop.post(EVENTS, events)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, ["events[2].external_id"])
    assert not WaitingEvent.objects.exists()
    assert not Buyer.objects.filter(external_id="42").exists()
    assert statuses(shop.post(f"{EVENTS}?partial=true", events)) == ["waiting", "waiting", "refused"]
    assert shop.post(EVENTS, EVENT).status_code == 400
    assert key_of(name="other").post(EVENTS, EVENT).json()["waiting"] == 1  # has room of its own, and so have people
    assert as_alice.post(EVENTS, {"kind": "view", "external_id": "A-1"}).json()["waiting"] == 1


def test_a_site_may_refuse_early_events(shop, settings):
    settings.EVENTS_WAITING_AT_MOST = 0
    got = shop.post(EVENTS, EVENT)
    assert got.json()["error"]["fields"] == {"external_id": ["there is no listing “A-1” of “shop”"]}


def test_what_waited_too_long_is_removed_and_may_come_again(shop, settings):
    event = EVENT | {"event_id": "e-1"}
    shop.post(EVENTS, [event, EVENT])
    now = timezone.now()
    WaitingEvent.objects.filter(event_id="e-1").update(received_at=now - timedelta(days=settings.EVENTS_WAITING_DAYS))
    assert waiting.sweep(now + timedelta(seconds=1)) == 1
    assert WaitingEvent.objects.count() == 1
    assert shop.post(EVENTS, event).json()["waiting"] == 1


# --- Whose they are --------------------------------------------------------------------------------------------------
def test_a_list_that_is_not_that_of_the_buyer_is_left_out(shop):
    served = ServedList.objects.create(
        buyer=Buyer.objects.create(external_id="43"),
        served_at=timezone.now(),
        listing_ids=[1],
        scores=[1],
        sources=["x"],
    )
    shop.post(EVENTS, EVENT | {"list_id": str(served.pk), "position": 1})
    ListingFactory(source="shop", external_id="A-1")
    waiting.release_all()
    event = Interaction.objects.get()
    assert (event.served_list_id, event.position, event.attribution) == (None, None, "other_buyer")


def test_early_events_are_exported_erased_and_merged_with_their_buyer(shop):
    shop.post(EVENTS, [EVENT, EVENT | {"buyer": "43"}])
    buyer = Buyer.objects.get(external_id="42")
    exported = personal_data_of([buyer])["events_that_wait_for_their_listing"]
    assert [(each["external_id"], each["source"], each["kind"]) for each in exported] == [("A-1", "shop", "like")]
    assert shop.post("/api/v1/buyers/42/merge", {"external_id": "43"}).status_code == 200
    assert set(WaitingEvent.objects.values_list("buyer", flat=True)) == {buyer.pk}
    assert shop.delete("/api/v1/buyers/42").status_code == 204
    assert not WaitingEvent.objects.exists()


@pytest.mark.parametrize("named", [{"kind": "nonsense"}, {"occurred_at": "2999-01-01T00:00:00Z"}, {"buyer": None}])
def test_what_is_wrong_with_an_event_is_wrong_before_its_listing_comes(shop, named):
    got = shop.post(EVENTS, EVENT | named)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, list(named))
    assert not WaitingEvent.objects.exists()
