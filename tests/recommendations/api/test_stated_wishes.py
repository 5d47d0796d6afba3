"""What buyers ask for outright holds, over the API, against a prior that is sure of the opposite.

Cold buyers answer each questionnaire, and of the 20 places of their lists those are counted that satisfy it. In the
market they ask in, everything that was opened so far is one kind of car.
"""

from __future__ import annotations

from itertools import count, product
from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.questionnaire import IMPLIED_BY_USE
from recommendations.models import RankerVersion, SavedSearch
from recommendations.training.runs import run_training, start_training
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, SellerFactory
from tests.markets import view

pytestmark = pytest.mark.django_db

K = 20
HELD_AT_LEAST = 16  # of the places, while the stock allows
PLENTY = 24  # live cars that satisfy a wish: the stock allows it
numbers = count()

FIELDS = {"fuels": "fuel", "bodies": "body", "gearboxes": "gearbox", "brands": "make__slug", "drives": "drive",
          "colours": "colour", "models": "car_model__slug"}  # fmt: skip
NUMBERS = {"budget_max": (9_000, 15_000), "min_year": (2019,), "max_mileage": (45_000,), "min_seats": (7,)}
FILTER_OF_ANSWER = {"fuels": "fuels", "bodies": "bodies", "gearboxes": "gearboxes", "brands": "makes",
                    "drives": "drives", "colours": "colours", "models": "models", "budget_max": "max_price",
                    "min_year": "min_year", "max_mileage": "max_mileage_km", "min_seats": "min_seats"}  # fmt: skip
FUELS, BODIES, GEARBOXES = ("petrol", "diesel", "electric"), ("hatchback", "estate", "suv"), ("manual", "automatic")
MAKES = ("Skoda", "BMW", "Ford", "Toyota")


@pytest.fixture
def garage(as_garage, settings) -> APIClient:
    """A client system of a market of all kinds of car, in which all buyers opened the same kind."""
    settings.WINDOW_STALENESS_SECONDS = 60  # the stock stays as it is, once it is there
    seller, models = SellerFactory(), [CarModelFactory(make__name=make, name=f"{make} One") for make in MAKES]
    kinds = product(FUELS, BODIES, GEARBOXES, models, (6_000, 14_000))
    cars = [
        ListingFactory(fuel=fuel, body=body, gearbox=gearbox, car_model=model, seller=seller, price=price + 40 * at,
                       mileage_km=20_000 + 1_000 * (at % 90), year=2012 + at % 10, seats=7 if at % 5 == 0 else 5,
                       drive="all" if at % 3 == 0 else "front", colour="red" if at % 4 == 0 else "grey")
        for at, (fuel, body, gearbox, model, price) in enumerate(kinds)
    ]  # fmt: skip
    usual = [car for car in cars if (car.fuel, car.body) == ("petrol", "hatchback") and car.price >= 14_000]
    for _ in range(6):
        view(BuyerFactory(external=True), *usual)
    run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    assert RankerVersion.objects.live()
    return as_garage


def as_filters(answers: dict[str, Any]) -> ListingFilters:
    return ListingFilters.from_query({FILTER_OF_ANSWER[name]: value for name, value in answers.items()})


def n_in_stock(answers: dict[str, Any]) -> int:
    return Listing.objects.available().cars().matching(as_filters(answers)).count()


def cold_buyer() -> str:
    return f"cold-{next(numbers)}"


def list_of(client: APIClient, buyer: str, **question: Any) -> list[int]:
    answer = client.get("/api/v1/cars/recommendations", {"k": K, "buyer": buyer, **question})
    assert answer.status_code == 200, answer.content
    ids = [one["id"] for one in answer.json()["recommended"]]
    assert len(ids) == len(set(ids)) == K
    return ids


def n_satisfying(ids: list[int], answers: dict[str, Any]) -> int:
    return Listing.objects.filter(pk__in=ids).matching(as_filters(answers)).count()


def answer(client: APIClient, buyer: str, answers: dict[str, Any]) -> None:
    assert client.post(f"/api/v1/users/me/preferences?buyer={buyer}", answers).status_code == 200


def held(client: APIClient, answers: dict[str, Any], **besides: Any) -> dict[str, int]:
    """For each answer of a cold buyer how many of 20 places satisfy it. ``besides`` is answered, not counted."""
    buyer = cold_buyer()
    answer(client, buyer, answers | besides)
    ids = list_of(client, buyer)
    return {name: n_satisfying(ids, {name: answers[name]}) for name in answers}


def singles() -> list[dict[str, Any]]:
    """Every questionnaire of one answer."""
    return [
        {name: [value]}
        for name, field in FIELDS.items()
        for value in sorted(set(Listing.objects.values_list(field, flat=True)))
    ] + [{name: value} for name, values in NUMBERS.items() for value in values]


def live_cars(answers: dict[str, Any], *, satisfy: bool, n: int = 10) -> list[int]:
    """Cars that satisfy some answers, or do not."""
    matching = Listing.objects.available().cars().matching(as_filters(answers))
    live = Listing.objects.available().cars()
    chosen = live.filter(pk__in=matching) if satisfy else live.exclude(pk__in=matching)
    return list(chosen.order_by("pk").values_list("pk", flat=True)[:n])


def does(client: APIClient, buyer: str, *events: dict[str, Any]) -> None:
    sent = client.post("/api/v1/events", {"events": [{"buyer": buyer, **event} for event in events]})
    assert sent.status_code in (200, 201), sent.content


def test_what_is_asked_for_holds_until_behaviour_contradicts_it(garage):
    """One market for all of it, because making one takes longer than asking it for the lists."""
    check_wishes_alone_and_together(garage)
    check_wishes_beside_a_use(garage)
    check_ten_contradicting_events(garage)
    check_searches(garage)


def check_wishes_alone_and_together(client: APIClient) -> None:
    single = singles()
    assert {name for answers in single for name in answers} == set(FILTER_OF_ANSWER)
    together = [
        one | other
        for one in single
        for other in single
        if list(one) < list(other) and n_in_stock(one | other) >= PLENTY
    ]
    assert together
    found = {str(answers): held(client, answers) for answers in single + together[:: max(len(together) // 8, 1)]}
    assert {wish: shares for wish, shares in found.items() if min(shares.values()) < HELD_AT_LEAST} == {}


def check_wishes_beside_a_use(client: APIClient) -> None:
    """What a use implies costs what was said no place, also where hardly any car has all of it."""
    said = {"fuels": ["electric"], "brands": ["skoda", "bmw"]}
    assert n_in_stock(said) >= PLENTY
    found = {use: held(client, said, use=use) for use in IMPLIED_BY_USE}
    assert {use: shares for use, shares in found.items() if min(shares.values()) < HELD_AT_LEAST} == {}


def check_ten_contradicting_events(client: APIClient) -> None:
    """One event hardly moves a wish, and ten decide against it: others opened, or those wished for disliked."""
    answers = {"fuels": ["electric"]}
    others = live_cars(answers, satisfy=False)
    buyer = cold_buyer()
    answer(client, buyer, answers)
    does(client, buyer, {"kind": "view", "listing_id": others[0]})
    assert n_satisfying(list_of(client, buyer), answers) >= HELD_AT_LEAST
    does(client, buyer, *({"kind": "view", "listing_id": listing_id} for listing_id in others))
    assert n_satisfying(list_of(client, buyer), answers) <= K // 4
    convert = cold_buyer()  # asked for what all buyers like, and opens something else
    answer(client, convert, {"fuels": ["petrol"]})
    diesels = live_cars({"fuels": ["diesel"]}, satisfy=True)
    does(client, convert, *({"kind": "view", "listing_id": listing_id} for listing_id in diesels))
    ids = list_of(client, convert)
    assert n_satisfying(ids, {"fuels": ["diesel"]}) > n_satisfying(ids, {"fuels": ["petrol"]})
    critic = cold_buyer()
    answer(client, critic, answers)
    before = n_satisfying(list_of(client, critic), answers)
    wished = live_cars(answers, satisfy=True)
    does(client, critic, *({"kind": "dislike", "listing_id": listing_id} for listing_id in wished))
    assert n_satisfying(list_of(client, critic), answers) < before // 2


def check_searches(client: APIClient) -> None:
    """Weaker than an answer, stronger than nothing; a saved search lies between."""
    fuels = {"fuels": ["electric"]}
    unknown, searching, saving, answering = (cold_buyer() for _ in range(4))
    does(client, searching, {"kind": "search", "query": {"fuel": ["electric"]}})
    SavedSearch.objects.create(buyer=BuyerFactory(external_id=saving), name="mine", query=as_filters(fuels).as_query())
    answer(client, answering, fuels)
    none, searched, saved, answered = (
        n_satisfying(list_of(client, buyer), fuels) for buyer in (unknown, searching, saving, answering)
    )
    assert none < searched <= saved <= answered
    assert searched >= K // 2
    others = live_cars(fuels, satisfy=False)
    does(client, searching, *({"kind": "view", "listing_id": listing_id} for listing_id in others))
    assert n_satisfying(list_of(client, searching), fuels) <= K // 4
