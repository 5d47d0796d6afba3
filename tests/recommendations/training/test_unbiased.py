"""Buyers who want nothing in particular must teach no preference, whatever they are shown and wherever it stands."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.events.rows import read_events
from recommendations.listings.rows import read_listings
from recommendations.models import Interaction, Placement, ServedList
from recommendations.training.learning import Material, learn
from recommendations.training.parameters import TrainingParameters
from tests.factories import BuyerFactory, CarModelFactory, ListingFactory, SellerFactory

pytestmark = pytest.mark.django_db

N_BUYERS, N_LISTS, LENGTH = 120, 8, 12
NOW = timezone.now()
ENOUGH = TrainingParameters(prior_buyers=N_BUYERS)


@pytest.fixture
def cars() -> list[Listing]:
    """Two makes at all prices, so that a make says nothing of a price; ids lie far apart in the middle."""
    rng, seller = np.random.default_rng(0), SellerFactory()
    models = [CarModelFactory(make__name=make, name=make[:3]) for make in ("Skoda", "Kia")]
    published = NOW - timedelta(days=100)
    return [
        ListingFactory(
            pk=10_000 + number + (5_000 if number > 80 else 0), car_model=models[number % 2], seller=seller,
            price=int(np.exp(rng.normal(9.3, 0.6))), mileage_km=60_000, year=2017, published_at=published,
        )
        for number in range(160)
    ]  # fmt: skip


class World:
    """Writes what tasteless buyers do into the log, as the site would."""

    def __init__(self, cars: list[Listing], seed: int = 1) -> None:
        self.cars, self.rng = cars, np.random.default_rng(seed)
        self.prices = np.log([float(car.price) for car in cars])
        self.home = Placement.objects.get(slug="home")
        self.lists: list[ServedList] = []
        self.events: list[Interaction] = []

    def show(self, buyer, number: int, likely: np.ndarray, position_bias: float, *, requested: bool = False) -> None:
        """A list drawn by how likely each car is to be shown; one of it is opened, by its position alone."""
        rows = self.rng.choice(len(self.cars), LENGTH, replace=False, p=likely / likely.sum())
        odds = np.arange(1.0, LENGTH + 1) ** (-position_bias / np.log(2))
        if position_bias:  # what we show first is what we hold to be best: the cheap
            rows = rows[np.argsort(self.prices[rows])]
        position = int(self.rng.choice(LENGTH, p=odds / odds.sum()))
        moment = NOW - timedelta(days=number, minutes=int(self.rng.integers(600)))
        served = ServedList(
            id=uuid.uuid4(), buyer=buyer, served_at=moment, placement=self.home,
            filters={"max_mileage_km": 99_000} if requested else {},  # which every car meets
            listing_ids=[self.cars[row].pk for row in rows], scores=[0.0] * LENGTH, sources=["taste"] * LENGTH,
        )  # fmt: skip
        self.lists.append(served)
        self.add(buyer, moment, listing=self.cars[rows[position]], served_list_id=served.id)

    def add(self, buyer, moment, kind: str = "view", **fields) -> None:
        self.events.append(
            Interaction(event_id=uuid.uuid4().hex, buyer=buyer, kind_id=kind, occurred_at=moment, **fields)
        )

    def population(self) -> tuple[np.ndarray, float]:
        """Utilities of the population over the stock, standardised against chance, and the learned position bias."""
        ServedList.objects.bulk_create(self.lists)
        Interaction.objects.bulk_create(self.events)
        rows = read_listings(Listing.objects.cars())
        encoder = fit_encoder(rows.table, EncoderConfig(n_dims=24))
        material = Material.of(rows, encoder, read_events(NOW - timedelta(days=365)))
        snapshot = learn(material, ENOUGH, NOW)
        return snapshot.stock.vectors @ snapshot.ranker.prior.mean, snapshot.ranker.position_bias

    def price_weight(self, utilities: np.ndarray) -> float:
        """Change of the population's utility with one standard deviation of the logarithm of the price."""
        price = (self.prices - self.prices.mean()) / self.prices.std()
        return float(price @ (utilities - utilities.mean()) / len(price))


def cheap_first(world: World) -> np.ndarray:
    return np.exp(-1.5 * (world.prices - world.prices.mean()))


@pytest.mark.parametrize(
    ("exposure", "bias", "requested"),
    [(False, 0.0, False), (True, 0.0, False), (False, 0.6, False), (True, 0.6, False), (True, 0.6, True)],
    ids=["neither", "exposure", "position", "both", "both, in lists of the buyer's own filters"],
)  # fmt: skip
def test_what_is_shown_and_where_teaches_no_preference(cars, exposure, bias, requested):
    world = World(cars)
    likely = cheap_first(world) if exposure else np.ones(len(cars))
    for buyer in BuyerFactory.create_batch(N_BUYERS, external=True):
        for number in range(N_LISTS):
            world.show(buyer, number, likely, bias, requested=requested)
    utilities, learned = world.population()
    assert world.price_weight(utilities) == pytest.approx(0.0, abs=0.10)
    assert learned == pytest.approx(bias, abs=0.15)


def test_searches_for_one_make_teach_nothing_about_prices(cars):
    """Its cars are the cheap half of the stock here."""
    world = World(cars)
    skodas = [car for car in cars if car.car_model.name == "Sko"]
    cheapest = sorted(cars, key=lambda car: car.price)
    for number, car in enumerate(cheapest):
        Listing.objects.filter(pk=car.pk).update(
            car_model=skodas[0].car_model if number < 80 else cars[1].car_model,
            make=skodas[0].make if number < 80 else cars[1].make,
        )
    for number, buyer in enumerate(BuyerFactory.create_batch(N_BUYERS, external=True)):
        for day in range(8):
            moment = NOW - timedelta(days=day)
            world.add(buyer, moment, "search", query={"makes": ["skoda"]})
            # of those it found each as often as any other
            world.add(buyer, moment + timedelta(seconds=20), listing=cheapest[(number + 10 * day) % 80])
    utilities, _ = world.population()
    rows = read_listings(Listing.objects.cars())
    is_skoda = rows.category("make") == "skoda"
    assert utilities[is_skoda].mean() > utilities[~is_skoda].mean() + 0.5, "the make is wanted"
    prices = np.log(rows.table.price)
    for of_make in (is_skoda, ~is_skoda):
        slope = np.polyfit(prices[of_make], utilities[of_make], 1)[0]
        assert slope * prices.std() == pytest.approx(0.0, abs=0.10)


def test_a_stock_with_gaps_and_old_cars_teaches_no_preference_to_buyers_who_open_any(cars):
    world = World(cars)
    old = cars[::8]
    Listing.objects.filter(pk__in=[car.pk for car in old]).update(published_at=NOW - timedelta(days=900))
    for buyer in BuyerFactory.create_batch(N_BUYERS, external=True):
        for day in range(N_LISTS):
            world.add(buyer, NOW - timedelta(days=day), listing=cars[world.rng.integers(len(cars))])
    utilities, _ = world.population()
    assert world.price_weight(utilities) == pytest.approx(0.0, abs=0.10)
    assert utilities.std() < 0.2
