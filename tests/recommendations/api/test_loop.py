"""The loop as a client uses it: search, view, answer, post events; and the next list differs. No worker runs here."""

from statistics import mean

import pytest
from rest_framework.test import APIClient

from accounts.services import buyer_for_visitor
from tests.recommendations.api.conftest import client_with

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]
VISITOR_KEY = "the-browser-of-alice"


@pytest.fixture
def market(market_of_module):
    return market_of_module


def list_for(client, **question):
    return client.get("/api/v1/cars/recommendations", {"k": 10} | question).json()


def scores_for(client, **question):
    return {car["id"]: car["score"] for car in list_for(client, k=30, **question)["recommended"]}


def skodas_before_bmws(client, market):
    """By how much the average Skoda scores above the average BMW, for this caller."""
    scores = scores_for(client)
    return mean(scores[car.pk] for car in market.skodas) - mean(scores[car.pk] for car in market.bmws)


def search_skodas(client, market):
    client.get("/api/v1/cars/search", {"brand": "skoda"})


def look_at_skodas(client, market):
    for car in market.skodas[:4]:
        client.get(f"/api/v1/cars/detail/{car.pk}")


def answer_skoda(client, market):
    client.post("/api/v1/users/me/preferences", {"brands": ["Skoda"], "budget_max": 8000})


def tell_of_skodas(client, market):
    client.post("/api/v1/events", [{"kind": "like", "listing_id": car.pk} for car in market.skodas[:4]])


@pytest.mark.parametrize("act", [search_skodas, look_at_skodas, answer_skoda, tell_of_skodas])
def test_whatever_alice_does_moves_the_next_list_of_alice_and_of_no_one_else(as_alice, as_carol, carol, market, act):
    as_carol.post("/api/v1/events", [{"kind": "like", "listing_id": car.pk} for car in market.bmws[:2]])
    list_for(as_carol)
    taste_of_carol, before = carol.preferences.get().mean, skodas_before_bmws(as_alice, market)
    assert list_for(as_alice)["is_personalised"] is False
    act(as_alice, market)
    assert list_for(as_alice)["is_personalised"] is True
    assert skodas_before_bmws(as_alice, market) > max(before, 0)
    list_for(as_carol)
    assert list(carol.preferences.get().mean) == list(taste_of_carol)


@pytest.mark.parametrize("source", ["content", "collaborative", "hybrid"])
def test_every_source_by_itself_makes_a_list(as_alice, market, source):
    look_at_skodas(as_alice, market)
    cars = list_for(as_alice, source=source)["recommended"]
    assert len(cars) == 10
    if source != "hybrid":
        assert {car["source"] for car in cars} == {source}


def test_a_guest_who_logs_in_keeps_the_taste(alice, market):
    alice.user.set_password("password")
    alice.user.save()
    guest = client_with(x_visitor_key=VISITOR_KEY)
    look_at_skodas(guest, market)
    n_events = list_for(guest)["n_events"]
    token = guest.post("/api/v1/token", {"email": alice.user.email, "password": "password"}).json()["access"]
    got = list_for(client_with(authorization=f"Bearer {token}"))
    assert (got["is_personalised"], got["n_events"]) == (True, n_events)
    assert buyer_for_visitor(VISITOR_KEY) != alice


def test_a_buyer_who_opted_out_gets_the_list_of_a_cold_buyer(as_alice, market):
    look_at_skodas(as_alice, market)
    as_alice.patch("/api/v1/users/me/privacy", {"is_personalised": False})
    got = list_for(as_alice)
    assert (got["is_personalised"], got["n_events"]) == (False, 0)


def test_what_was_disliked_is_not_shown_again(as_alice, market):
    disliked = list_for(as_alice, k=1)["recommended"][0]["id"]
    as_alice.post("/api/v1/events", {"kind": "dislike", "listing_id": disliked})
    assert disliked not in {car["id"] for car in list_for(as_alice, k=30)["recommended"]}


def test_a_car_that_is_sold_by_api_leaves_the_next_list(as_alice, as_garage, market):
    sold = list_for(as_alice, k=1)["recommended"][0]["id"]
    as_garage.patch(f"/api/v1/listings/{sold}", {"status": "sold"})
    assert sold not in {car["id"] for car in list_for(as_alice, k=30)["recommended"]}


def test_a_car_that_comes_in_by_api_is_in_the_next_list(
    as_alice, as_garage, market, django_capture_on_commit_callbacks
):
    look_at_skodas(as_alice, market)
    car = {"external_id": "new", "brand": "Skoda", "model": "Octavia", "title": "Skoda Octavia", "year": 2014,
           "price": 5050, "mileage_km": 90_000, "fuel": "petrol", "gearbox": "manual", "body": "hatchback",
           "power_kw": 85, "engine_l": 1.4}  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        answer = as_garage.post("/api/v1/listings", [car]).json()
    shown = {car["id"] for car in list_for(as_alice, k=30)["recommended"]}
    assert answer["listings"][0]["id"] in shown


def test_similar_cars_are_of_the_same_kind(as_alice, market):
    car = market.bmws[0]
    similar = as_alice.get(f"/api/v1/cars/{car.pk}/similar", {"k": 5}).json()["similar"]
    assert [car["brand"] for car in similar] == ["BMW"] * 5
    assert car.pk not in {car["id"] for car in similar}


def test_a_personal_list_costs_the_same_few_queries_however_long_it_is(
    as_alice, market, settings, django_assert_max_num_queries
):
    settings.WINDOW_STALENESS_SECONDS = 60  # as between two looks at what changed
    look_at_skodas(as_alice, market)
    list_for(as_alice)  # brings the preference up to date
    with django_assert_max_num_queries(6) as short:
        list_for(as_alice, k=2)
    with django_assert_max_num_queries(6) as long:
        list_for(as_alice, k=10)
    assert len(long) <= len(short)


def test_unauthenticated_requests_get_no_list(db):
    assert APIClient().get("/api/v1/cars/recommendations").status_code == 401
