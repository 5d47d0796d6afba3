"""Tiny hand-made markets whose right answer is known.

A market has two clearly different kinds of car: cheap Skoda hatchbacks and expensive BMW saloons. ``trained_market``
has a live ranker over it, so that a buyer who acts on one kind should be shown that kind.
"""

from dataclasses import dataclass

from django.db import connection

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.events.recording import Event, record_interactions
from recommendations.models import Interaction, RankerVersion
from recommendations.training.runs import run_training, start_training
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, SellerFactory


@dataclass(frozen=True)
class Market:
    skodas: list[Listing]
    bmws: list[Listing]
    version: RankerVersion | None = None


def make_market(n_of_each: int = 15) -> Market:
    seller = SellerFactory()
    octavia = CarModelFactory(make__name="Skoda", name="Octavia")
    three = CarModelFactory(make__name="BMW", name="3 Series")
    skodas = [
        ListingFactory(car_model=octavia, seller=seller, price=5_000 + 100 * i, mileage_km=90_000, year=2014)
        for i in range(n_of_each)
    ]
    bmws = [
        ListingFactory(
            car_model=three, seller=seller, price=30_000 + 500 * i, mileage_km=15_000, year=2022, body="saloon",
            fuel="diesel", gearbox="automatic", power_kw=180,
        )
        for i in range(n_of_each)
    ]  # fmt: skip
    return Market(skodas, bmws)


def view(buyer, *listings, kind: str = "view") -> None:
    """The buyer opens some cars, one after the other."""
    record_interactions(buyer=buyer, events=[Event(kind=kind, listing_id=listing.pk) for listing in listings])


def trained_market(n_of_each: int = 15) -> Market:
    """A market with buyers on both sides, learned from."""
    market = make_market(n_of_each)
    for cars in (market.skodas, market.bmws):
        for start in range(4):
            view(BuyerFactory(external=True), *cars[start : start + 4])
    version = run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    return Market(market.skodas, market.bmws, version)


def remove_market() -> None:
    """No car, buyer or ranker is left, for a test of an empty site in a module whose tests share a market."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for model in (Listing, Buyer, RankerVersion):
            cursor.execute(f"TRUNCATE {model._meta.db_table} CASCADE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def start_from_the_same_ids() -> None:
    """Let the next listings, buyers and events have the same ids whatever tests ran before.

    The alternatives drawn beside a choice are a function of the event's id and the listings' ids, so what is learned
    differs a little from one order of the tests to another. For tests of a sign that is near zero.
    """
    with connection.cursor() as cursor:
        for model in (Buyer, Listing, Interaction):
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), 1000000)", [model._meta.db_table])


def crossed_market(n_of_each: int = 12) -> dict[str, list[Listing]]:
    """Four kinds of car: two makes, each as a cheap hatchback and as an expensive saloon.

    A buyer of cheap Skodas and expensive BMWs, and of neither of the others, has two preferences: one cannot say so.
    A live ranker has learned from buyers of each kind.
    """
    seller = SellerFactory()
    models = {"Skoda": CarModelFactory(make__name="Skoda"), "BMW": CarModelFactory(make__name="BMW", name="3 Series")}
    cheap = {"price": 5_000, "mileage_km": 90_000, "year": 2014}
    expensive = {"price": 30_000, "mileage_km": 15_000, "year": 2022, "body": "saloon", "fuel": "diesel",
            "gearbox": "automatic", "power_kw": 180}  # fmt: skip
    cars = {
        f"{word} {make}": [
            ListingFactory(car_model=model, seller=seller, **{**fields, "price": fields["price"] * (1 + i / 100)})
            for i in range(n_of_each)
        ]
        for make, model in models.items()
        for word, fields in (("cheap", cheap), ("expensive", expensive))
    }
    for kind in cars.values():
        for start in range(5):
            view(BuyerFactory(external=True), *kind[start : start + 6])
    run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    return cars
