from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from recommendations.models import EventKind, Interaction
from tests.factories import ListingFactory

pytestmark = pytest.mark.django_db


def detail(client, listing_id, **question):
    return client.get(f"/api/v1/cars/detail/{listing_id}", question)


def test_a_car_shows_everything_about_itself(as_alice):
    listing = ListingFactory(owner_count=2, gearbox="automatic", tags=["towbar"])
    got = detail(as_alice, listing.pk).json()
    expected = {"id": listing.pk, "brand": "Skoda", "year": 2019, "selling_price": 12000.0, "km_driven": 60000,
                "fuel": "petrol", "seller_type": "dealer", "transmission": "automatic", "owner": 2, "status": "live",
                "tags": ["towbar"]}  # fmt: skip
    assert {name: got[name] for name in expected} == expected


@pytest.mark.parametrize("status", ["reserved", "sold", "withdrawn", "expired"])
def test_a_car_that_is_no_longer_for_sale_says_so(as_alice, status):
    listing = ListingFactory(**{status: True})
    assert detail(as_alice, listing.pk).json()["status"] == status


def test_a_draft_is_shown_to_no_one(as_alice):
    assert detail(as_alice, ListingFactory(draft=True).pk).status_code == 404
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("listing_id", ["0", "999999999999999999", "9" * 30, "-1", "x", "1.5", "%00", "٣"])
def test_a_car_that_does_not_exist_is_a_404(as_alice, listing_id):
    got = detail(as_alice, listing_id)
    assert (got.status_code, got.json()["error"]["code"]) == (404, "not_found")


def test_looking_at_a_car_is_an_event_of_the_one_who_looks(as_alice, alice, carol):
    listing = ListingFactory()
    detail(as_alice, listing.pk)
    event = Interaction.objects.get()
    assert (event.buyer, event.kind_id, event.listing) == (alice, "view", listing)


def test_a_look_can_say_which_list_it_came_from(as_alice):
    list_id = uuid4()
    detail(as_alice, ListingFactory().pk, list_id=str(list_id), position=2)
    event = Interaction.objects.get()
    assert (event.served_list_id, event.position) == (list_id, 2)


@pytest.mark.parametrize("origin", [{"list_id": "x"}, {"position": 0}, {"position": "x"}, {"position": 10**9}])
def test_a_list_that_cannot_be_is_refused(as_alice, origin):
    got = detail(as_alice, ListingFactory().pk, **origin)
    assert list(got.json()["error"]["fields"]) == list(origin)
    assert not Interaction.objects.exists()


def test_a_key_that_may_only_read_leaves_no_trace(as_reader):
    assert detail(as_reader, ListingFactory().pk, buyer="007").status_code == 200
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("kind", ["view", "search"])
def test_a_kind_of_event_that_is_missing_keeps_no_answer_back(as_garage, kind):
    car = ListingFactory()
    EventKind.objects.filter(slug=kind).delete()
    assert detail(as_garage, car.pk, buyer="7").status_code == 200
    assert as_garage.get("/api/v1/cars/search", {"brand": "skoda", "buyer": "7"}).json()["count"] == 1
    assert Interaction.objects.count() == 1


def test_unauthenticated_requests_are_refused():
    assert detail(APIClient(), ListingFactory().pk).status_code == 401
