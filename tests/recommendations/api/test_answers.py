"""Lists are written without the serializers that describe them; both must say the same, byte for byte."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rest_framework.renderers import JSONRenderer

from catalog.models import CarModel, Listing, Make, Seller
from catalog.search.parameters import SET_PARAMETERS
from catalog.search.reading import Understood
from recommendations.api.answers import car_response, list_fields, list_response, search_response, similar_response
from recommendations.api.car_serializers import PricedCarSerializer
from recommendations.api.list_serializers import RecommendationsAnswerSerializer, SimilarAnswerSerializer
from recommendations.api.search_serializers import SearchAnswerSerializer
from recommendations.listings.market_prices import ListingMarketPrice
from recommendations.serving.recommended import RecommendedList, RecommendedListing
from tests.markets import trained_market

SKODA = Make(name="Škoda", slug="skoda")
CARS = {
    "bare": {},
    "full": {
        "make": SKODA, "car_model": CarModel(make=SKODA, name="Octavia", slug="octavia"),
        "seller": Seller(name="A garage", kind="dealer"), "title": 'Octavia "L&K" <b>', "price": Decimal("5000.10"),
        "year": 2014, "mileage_km": 90_000, "fuel": "petrol", "gearbox": "manual", "body": "estate", "drive": "front",
        "colour": "blue", "power_kw": 85, "engine_l": 1.4, "place": "São Tomé", "photo_url": "https://x.example/a.jpg",
        "published_at": datetime(2026, 11, 1, 9, 30, 0, 125_000, tzinfo=UTC),
        "source": "dealers", "external_id": "a/7 “x”", "url": "https://x.example/cars/7?a=1&b=2",
    },
    "whole seconds": {"published_at": datetime(2026, 11, 1, tzinfo=UTC), "engine_l": 2.0},
    "line separators": {"title": "one\u2028two\u2029three\n\x07\ud7ff\U0001f697"},
    "no number": {"engine_l": float("nan"), "price": Decimal("NaN")},
    "another beyond all": {"engine_l": float("inf")},
    "a large price": {"price": Decimal("9999999999.99"), "currency": "EUR"},
    "a make without a model": {"make": SKODA, "seller": Seller(name="Ann", kind="private")},
}  # fmt: skip
SCORES = [0.0, -0.0, 1.0, -1.5, 1e-7, 1e16, 1e22, 0.1 + 0.2, 123456789.123]
PRICES = [None, ListingMarketPrice("good", 5000.0, 6000.5, 7000.0, "GBP")]


def items(fields: dict) -> list[RecommendedListing]:
    return [
        RecommendedListing(
            Listing(pk=7, **fields),
            position,
            score,
            "taste",
            "Because “so”.",
            {},
            price,
            propensity=None if price else 0.0625,
            placed_by="wish",
        )
        for position, (score, price) in enumerate(((s, p) for s in SCORES for p in PRICES), start=1)
    ]


@pytest.mark.parametrize("fields", CARS.values(), ids=CARS)
def test_a_list_reads_as_its_serializer_says(fields):
    for before, next_page in ((None, None), (uuid.uuid4(), "https://x.example/lists?after=7&k=2&buyer=a%22")):
        answer = RecommendedList(uuid.uuid4(), items(fields), 3, True, 12, "e: “b”", before, next_page is not None, "e")
        said = RecommendationsAnswerSerializer({"recommended": answer.items, **list_fields(answer, next_page)}).data
        assert list_response(answer, next_page).content == JSONRenderer().render(said)
        assert list_response(answer, next_page).content == JSONRenderer().render(said)  # from what was kept
    assert similar_response(answer).content == JSONRenderer().render(
        SimilarAnswerSerializer({"similar": answer.items, "list_id": answer.id}).data
    )


@pytest.mark.parametrize("fields", CARS.values(), ids=CARS)
@pytest.mark.parametrize("market_price", PRICES, ids=["unpriced", "priced"])
def test_a_car_and_a_search_read_as_their_serializers_say(fields, market_price):
    listing = Listing(
        pk=7, status="sold", owner_count=2, description="one\u2028two “x”", tags=["towbar"], doors=5, seats=None,
        consumption_l_100km=5.5, annual_tax=Decimal("145.00"), latitude=51.5,
        ended_at=datetime(2026, 11, 2, tzinfo=UTC),
        **fields,
    )  # fmt: skip
    priced = {"listing": listing, "market_price": market_price}
    assert car_response(**priced).content == JSONRenderer().render(PricedCarSerializer(priced).data)
    found = {
        "count": 1, "next": "https://x.example/?a=1&page=2", "previous": None, "listings": [priced, priced],
        "understood": (Understood("red", "colour", "red"),), "rest": "“estate”", "is_rest_found": False,
        "facets": {name: [{"value": "š", "count": 3}] if name == "brand" else [] for name in SET_PARAMETERS},
    }  # fmt: skip
    for answer in (found, {**found, "facets": None, "understood": (), "listings": []}):
        assert search_response(answer).content == JSONRenderer().render(SearchAnswerSerializer(answer).data)


@pytest.mark.django_db
def test_both_ways_have_the_same_headers_and_fields(as_alice):
    trained_market(6)
    plain = as_alice.get("/api/v1/cars/recommendations", {"k": 3})
    other = as_alice.get("/api/v1/cars/recommendations", {"k": 3}, headers={"accept": "application/json; indent=2"})
    assert plain["Content-Type"] == "application/json"
    assert {name: plain[name] for name in ("Vary", "Allow")} == {name: other[name] for name in ("Vary", "Allow")}
    own = {"list_id": "", "next": ""}  # each list has an id of its own
    assert {**plain.json(), **own} == {**other.json(), **own}
    assert b"\n" in other.content
