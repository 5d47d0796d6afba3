"""Lists before anything was trained: what they look like, and what is refused. test_loop covers their content."""

import pytest
from rest_framework.test import APIClient

from tests.factories import ListingFactory, PlacementFactory, SellerFactory

pytestmark = pytest.mark.django_db
RECOMMENDATIONS = "/api/v1/cars/recommendations"


def test_every_car_of_a_list_says_where_it_stands_and_why(as_alice):
    listing = ListingFactory()
    got = as_alice.get(RECOMMENDATIONS).json()
    (car,) = got["recommended"]
    assert (car["id"], car["brand"], car["selling_price"], car["position"]) == (listing.pk, "Skoda", 12000.0, 1)
    assert {"name", "score", "source", "reason"} <= car.keys()
    assert {"list_id", "version", "is_personalised", "n_events"} <= got.keys()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_as_many_cars_as_asked_for_when_there_are_as_many(as_alice, k):
    for _ in range(5):
        ListingFactory()
    cars = as_alice.get(RECOMMENDATIONS, {"k": k}).json()["recommended"]
    assert [car["position"] for car in cars] == list(range(1, k + 1))
    assert len({car["id"] for car in cars}) == k


def test_filters_hold_in_lists_as_in_searches(as_alice):
    ListingFactory(price=20_000)
    cheap = ListingFactory(price=5_000)
    got = as_alice.get(RECOMMENDATIONS, {"max_price": 10_000, "brand": "SKODA"}).json()
    assert [car["id"] for car in got["recommended"]] == [cheap.pk]


@pytest.mark.parametrize("client", ["as_alice", "as_gus", "as_garage", "as_reader"])
@pytest.mark.parametrize("source", ["hybrid", "content", "collaborative"])
def test_every_caller_and_every_source_gets_a_list(request, client, source):
    ListingFactory()
    got = request.getfixturevalue(client).get(RECOMMENDATIONS, {"source": source})
    assert len(got.json()["recommended"]) == 1


@pytest.mark.parametrize(
    ("question", "field"),
    [({"k": 0}, "k"), ({"k": -1}, "k"), ({"k": 10**6}, "k"), ({"k": "x"}, "k"), ({"k": "nan"}, "k"),
     ({"source": "magic"}, "source"), ({"placement": "nowhere"}, "placement"), ({"placement": "a\0"}, "placement"),
     ({"min_year": 2, "max_year": 1}, "min_year"), ({"fuel": "steam"}, "fuel")],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_by_the_name_of_the_field(as_alice, question, field):
    got = as_alice.get(RECOMMENDATIONS, question)
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, [field])


def test_a_placement_that_exists_can_be_asked_for(as_alice):
    PlacementFactory(slug="basket")
    assert as_alice.get(RECOMMENDATIONS, {"placement": "basket"}).status_code == 200


def test_a_list_is_as_long_as_its_placement_says_unless_the_caller_does(as_alice):
    for _ in range(6):
        ListingFactory()
    PlacementFactory(slug="strip", k=4)
    asked = {"placement": "strip"}
    assert len(as_alice.get(RECOMMENDATIONS, asked).json()["recommended"]) == 4
    assert len(as_alice.get(RECOMMENDATIONS, {**asked, "k": 6}).json()["recommended"]) == 6


def test_carol_may_not_ask_for_the_list_of_alice(as_carol, alice):
    alice.external_id = "alice"
    alice.save()
    assert as_carol.get(RECOMMENDATIONS, {"buyer": "alice"}).status_code == 403


@pytest.mark.parametrize("buyer", ["", "a\0b", "x" * 256])
def test_an_id_that_cannot_be_one_is_refused(as_garage, buyer):
    got = as_garage.get(RECOMMENDATIONS, {"buyer": buyer})
    assert (got.status_code, list(got.json()["error"]["fields"])) == (400, ["buyer"])


def test_similar_cars_are_other_cars(as_alice):
    listing = ListingFactory()
    others = {ListingFactory().pk for _ in range(3)}
    got = as_alice.get(f"/api/v1/cars/{listing.pk}/similar", {"k": 5})
    assert got.status_code == 200
    assert {car["id"] for car in got.json()["similar"]} <= others


@pytest.mark.parametrize(("k", "status"), [(0, 400), ("x", 400), (1, 200)])
def test_as_many_similar_cars_as_can_be_asked_for(as_alice, k, status):
    assert as_alice.get(f"/api/v1/cars/{ListingFactory().pk}/similar", {"k": k}).status_code == status


def test_a_draft_has_no_similar_cars(as_alice):
    assert as_alice.get(f"/api/v1/cars/{ListingFactory(draft=True).pk}/similar").status_code == 404


def test_unauthenticated_requests_are_refused():
    assert APIClient().get(RECOMMENDATIONS).status_code == 401
    assert APIClient().get("/api/v1/cars/1/similar").status_code == 401


def test_a_list_costs_the_same_queries_however_long_it_is(as_alice, settings, django_assert_max_num_queries):
    settings.WINDOW_STALENESS_SECONDS = 60  # as between two looks at what changed
    for _ in range(20):
        ListingFactory(seller=SellerFactory())
    as_alice.get(RECOMMENDATIONS)  # whatever is cached from now on
    with django_assert_max_num_queries(12) as short:
        as_alice.get(RECOMMENDATIONS, {"k": 1})
    with django_assert_max_num_queries(12) as long:
        as_alice.get(RECOMMENDATIONS, {"k": 20})
    assert len(long) == len(short)
