"""A simulated used-car market: listings with attributes, prices, locations, sellers, and a time on sale.

Listings are drawn in blocks of a thousand, each from a generator of its own, so listing 4,711 of a seed is the same car
in a market of five thousand listings and in one of fifty thousand. Times are whole seconds before an anchor, which the
caller turns into dates; nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from catalog.imports.names import slug_of
from catalog.search.towns import read_town_table
from recommendations.engine.arrays import Array, Flags, Floats, Integers, Texts
from recommendations.engine.columns import Columns
from recommendations.engine.table import ListingTable
from recommendations.simulation import adverts
from recommendations.simulation.adverts import EQUIPMENT, CarText
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.price_levels import AGES, read_levels, relative_prices
from recommendations.simulation.true_taste import TrueTaste, scaled_numbers, worth_of_numbers

BLOCK = 1000  # listings
DAY = 86_400  # seconds
MARKET_STREAM = 1  # separates the random numbers of the market from those of its buyers

STILL_FOR_SALE = -1
LIVE, RESERVED, SOLD, WITHDRAWN, EXPIRED = "live", "reserved", "sold", "withdrawn", "expired"
ENDED_PER_BLOCK = 160  # of a thousand; the others are on sale
RESERVED_PER_BLOCK = 10

PREMIUM = ("audi", "bmw", "mercedes-benz", "land-rover", "jaguar", "volvo", "porsche", "lexus", "tesla", "mini")
AVERAGE_TASTE = TrueTaste(  # utility to the average buyer, on which a car's appeal depends
    kind="average",
    levels={
        "body": {
            "hatchback": 0.7, "suv": 0.9, "saloon": -0.1, "estate": 0.2, "coupe": -0.9, "convertible": -1.0,
            "mpv": -0.6, "pickup": -2.0, "van": -2.5, "other": -1.5,
        },
        "fuel": {"petrol": 0.8, "diesel": -0.1, "hybrid": 0.5, "plugin_hybrid": -0.1, "electric": -0.6, "cng": -2.0},
    },
    budget=12_500, too_dear=4.0, too_cheap=1.3, per_year=0.21, wear=1.05, power=0.3, thirst=0.08,
)  # fmt: skip
COLOURS = {  # share of British registrations, roughly
    "black": 0.21, "grey": 0.2, "white": 0.18, "blue": 0.16, "silver": 0.1, "red": 0.09, "green": 0.02, "orange": 0.01,
    "brown": 0.01, "beige": 0.01, "yellow": 0.01,
}  # fmt: skip
MILEAGE_SPREAD = (-1.2, 0.75)  # of the logarithm: a third to twice of what is usual
PETROL_G_PER_L, DIESEL_G_PER_L = 2_310, 2_640  # of carbon dioxide
FLAT_TAX_FROM, FLAT_TAX = 2017, 195.0
TAX_UP_TO_G = (110, 120, 130, 140, 150, 165, 175, 185, 200, 225, 255)  # grams a kilometre
TAX_OF_BAND = (20.0, 35.0, 165.0, 195.0, 215.0, 265.0, 315.0, 345.0, 395.0, 430.0, 735.0, 760.0)
WORN_KM, MOST_KM = 180_000, 310_000
PRIVATE_PRICE, DEALER_PRICE = 0.96, 1.02  # against what is usual
UNKNOWN_SHARE = {"colour": 0.04, "engine_l": 0.01, "power_kw": 0.05, "consumption_l_100km": 0.08, "mileage_km": 0.005}


@dataclass(frozen=True)
class Market(Columns):
    """Listings of one seed, live and ended, in the order of their numbers; all columns have length n.

    Attributes:
        table: The attributes the encoder reads. Prices are the last ones asked.
        make_name, model_name, description, place, seller_key, seller_name, status: Object arrays of ``str``. ``place``
            is a town; ``seller_key`` is the same for all cars of one seller.
        doors, seats, owner_count: int64.
        annual_tax: float64, pounds a year.
        latitude, longitude: Degrees.
        published_s: Seconds before the anchor at which the listing appeared, int64.
        ended_s: Seconds before the anchor at which it was sold, withdrawn or expired; ``STILL_FOR_SALE`` for others.
        first_price: Asked at publication. Above the last price where it was reduced.
        reduced_s: Seconds before the anchor at which the price fell, int64; 0 where it never did.
        appeal: Demand for the car, standard normal within its block. It decides how soon the car sells.
    """

    table: ListingTable
    make_name: Texts
    model_name: Texts
    description: Texts
    place: Texts
    seller_key: Texts
    seller_name: Texts
    status: Texts
    doors: Integers
    seats: Integers
    owner_count: Integers
    annual_tax: Floats
    latitude: Floats
    longitude: Floats
    published_s: Integers
    ended_s: Integers
    first_price: Floats
    reduced_s: Integers
    appeal: Floats

    def __len__(self) -> int:
        return len(self.table)

    def is_on_sale(self, rows: Integers, moment_s: Array | float) -> NDArray[np.bool_]:
        """Whether the listings were for sale that many seconds before the anchor; rows and times broadcast."""
        return (self.published_s[rows] > moment_s) & (self.ended_s[rows] < moment_s)

    @classmethod
    def concatenate(cls, parts: list[Market]) -> Self:
        names = [field.name for field in fields(cls) if field.name != "table"]
        table = ListingTable.concatenate([part.table for part in parts])
        return cls(table=table, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class Towns:
    name: Texts
    latitude: Floats
    longitude: Floats
    share: Floats  # of the people, sums to one


@cache
def read_towns() -> Towns:
    """Read the British towns of the catalogue's table that have a population."""
    rows = [row for row in read_town_table() if row["country"] == "GB" and row["population"]]
    # people of the surroundings shop in the next town, so small ones count for more than their own
    people = np.array([float(row["population"]) for row in rows]) ** 0.7
    return Towns(
        name=np.array([row["town"] for row in rows], object),
        latitude=np.array([float(row["latitude"]) for row in rows]),
        longitude=np.array([float(row["longitude"]) for row in rows]),
        share=people / people.sum(),
    )


def build_market(n_listings: int, seed: int, anchor_year: int, lifetime_days: float = 90) -> Market:
    """Draw the first ``n_listings`` listings of a seed; 83 % of each block are live at the anchor.

    Args:
        n_listings: 0 or more.
        seed: The same seed makes the same cars.
        anchor_year: The year of the anchor: new cars are of this year.
        lifetime_days: A listing that is not sold expires after this time.

    Raises:
        ValueError: If ``n_listings`` is negative.
    """
    if n_listings < 0:
        raise ValueError(f"a market cannot have {n_listings} listings")
    factory = _Factory(anchor_year, lifetime_days)
    n_blocks = max(1, -(-n_listings // BLOCK))
    blocks = [factory.block(number, seed) for number in range(n_blocks)]
    return Market.concatenate(blocks).take(slice(0, n_listings))


def used_price(level: Floats, mileage_km: Floats, usual_km: Floats) -> NDArray[np.float64]:
    """Return the price at a mileage, given the price at the usual mileage: each 10,000 km above or below change it by 3
    %.

    Args:
        level, mileage_km, usual_km: float64, shape (n,).
    """
    return level * np.exp(-0.03 * np.clip((mileage_km - usual_km) / 10_000, -6, 8))


def driven_at_most(mileage_km: Floats) -> NDArray[np.float64]:
    """Round to kilometres; few cars exceed ``WORN_KM``, and none exceeds ``MOST_KM``."""
    beyond = np.maximum(mileage_km - WORN_KM, 0) * 0.4
    return np.clip(np.minimum(mileage_km, WORN_KM) + beyond, 10, MOST_KM).round()


def rounded_price(price: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as dealers do: £8,995, £12,490; below £2,000 to the next fifty."""
    fifty = np.maximum(np.round(price / 50) * 50, 250)
    return np.where(price < 2000, fifty, np.round(price / 500) * 500 - np.where(np.floor(price) % 3 == 0, 10, 5))


class _Factory:
    """Draws blocks of listings; holds the tables that all blocks use."""

    def __init__(self, anchor_year: int, lifetime_days: float) -> None:
        self.anchor_year, self.lifetime_s = anchor_year, lifetime_days * DAY
        self.specs, self.towns, self.levels = read_specs(), read_towns(), read_levels()
        self.level_row, self.relative = self.levels.rows_of(self.specs), relative_prices(anchor_year)
        self.first_year = int(self.specs.first_year.min())
        levels, well_known = AVERAGE_TASTE.levels, 0.15 * np.log(self.specs.supply)
        self.spec_worth = well_known + [
            levels["body"].get(body, 0.0) + levels["fuel"].get(fuel, 0.0) + 0.4 * (slug_of(make) in PREMIUM)
            for body, fuel, make in zip(self.specs.body, self.specs.fuel, self.specs.make, strict=True)
        ]
        years = range(self.first_year, anchor_year + 1)
        self.supply = np.cumsum([self.specs.supply_in(year) for year in years], axis=1)

    def block(self, number: int, seed: int) -> Market:
        """Draw a thousand listings: a surplus, of which only a part of the ended ones is kept.

        A market in balance has sold most of what it ever listed; most sites delete old listings, so here too most are
        live.
        """
        rng = np.random.default_rng([seed, MARKET_STREAM, number])
        cars = self._cars(rng, 6 * BLOCK)
        published_s, ended_s, status = self._lives(rng, cars["appeal"])
        rows = self._thinned(rng, status)
        cars = {name: column[rows] for name, column in cars.items()}
        return self._listings(rng, number, cars, published_s[rows], ended_s[rows], status[rows])

    def _cars(self, rng: np.random.Generator, n: int) -> dict[str, Array]:
        """Draw variant, age, mileage, price and appeal of n cars."""
        age = np.minimum(rng.gamma(2.1, 3.0, n) + 0.05, self.anchor_year - self.first_year + 0.9)
        year = self.anchor_year - age.astype(np.int64)
        spec = self._draw_specs(rng, year)
        years = np.minimum(self.anchor_year - year, AGES - 1)
        usual_km = self.levels.km[self.level_row[spec], years]
        mileage_km = driven_at_most(usual_km * np.exp(np.clip(rng.normal(0, 0.38, n), *MILEAGE_SPREAD)))
        bargain = rng.normal(0, 0.07, n)  # log of its market price minus log of its asking price
        is_private = rng.random(n) < 0.3
        level = self.levels.price[self.level_row[spec], years] * self.relative[year - self.first_year, spec]
        asked = used_price(level, mileage_km, usual_km) * np.exp(-bargain)
        price = rounded_price(asked * np.where(is_private, PRIVATE_PRICE, DEALER_PRICE))
        cars = {"spec": spec, "year": year, "mileage_km": mileage_km, "price": price, "is_private": is_private}
        appeal = self._average_worth(cars) + rng.normal(0, 0.5, n)
        return cars | {"appeal": (appeal - appeal.mean()) / appeal.std()}

    def _average_worth(self, cars: dict[str, Array]) -> NDArray[np.float64]:
        """Return the utility of the cars to the average buyer."""
        columns = {name: getattr(self.specs, name)[cars["spec"]] for name in ("power_kw", "consumption_l_100km")}
        columns |= {name: cars[name] for name in ("price", "year", "mileage_km")}
        return self.spec_worth[cars["spec"]] + worth_of_numbers(AVERAGE_TASTE, scaled_numbers(columns))

    def _draw_specs(self, rng: np.random.Generator, year: Integers) -> NDArray[np.int64]:
        """Draw a variant that was sold in each year, by its supply in that year."""
        points = rng.random(len(year))
        spec = np.empty(len(year), np.int64)
        for value in np.unique(year):
            rows = year == value
            spec[rows] = np.searchsorted(self.supply[value - self.first_year], points[rows], side="right")
        return np.minimum(spec, len(self.specs) - 1)

    def _lives(self, rng: np.random.Generator, appeal: Floats) -> tuple[Integers, Integers, Texts]:
        """Draw publication within the last four months, the end where one has come, and the status.

        Where listings expire sooner than in 90 days the past is shorter in proportion; otherwise nearly all would be
        ended.
        """
        n = len(appeal)
        published_s = rng.integers(3600, min(120 * DAY, int(self.lifetime_s * 4 / 3)), n)
        days_to_sell = 38 * np.exp(-0.5 * appeal) * rng.weibull(1.3, n) + 0.5
        on_sale_s = np.minimum(days_to_sell * DAY, self.lifetime_s).astype(np.int64)
        ended_s = published_s - on_sale_s
        is_over = ended_s > 0
        gone = np.where(days_to_sell * DAY > self.lifetime_s, EXPIRED, np.where(rng.random(n) < 0.12, WITHDRAWN, SOLD))
        return published_s, np.where(is_over, ended_s, STILL_FOR_SALE), np.where(is_over, gone, LIVE).astype(object)

    def _thinned(self, rng: np.random.Generator, status: Texts) -> NDArray[np.int64]:
        live, ended = np.flatnonzero(status == LIVE), np.flatnonzero(status != LIVE)
        live = live[: BLOCK - ENDED_PER_BLOCK]
        rows = np.concatenate([live, ended[: BLOCK - len(live)]])
        status[live[:RESERVED_PER_BLOCK]] = RESERVED
        return rng.permutation(rows)

    def _listings(
        self,
        rng: np.random.Generator,
        number: int,
        cars: dict[str, Array],
        published_s: Integers,
        ended_s: Integers,
        status: Texts,
    ) -> Market:
        specs, spec = self.specs, cars["spec"]
        town, sellers = self._sellers(rng, number, cars["is_private"])
        first_price, reduced_s = _reductions(rng, cars["price"], published_s, np.maximum(ended_s, 0))
        age = self.anchor_year - cars["year"]
        owners = 1 + np.minimum(rng.poisson(age / 5.5), (age + 1) // 2)  # few sell a car again in its first years
        texts = [self._text(row, year) for row, year in zip(spec.tolist(), cars["year"].tolist(), strict=True)]
        table = self._table(rng, cars, texts, owners)
        draws = rng.random((len(spec), 3))
        return Market(
            table=table,
            make_name=specs.make[spec], model_name=specs.model[spec], place=self.towns.name[town],
            description=_objects(
                map(adverts.description_of, texts, cars["mileage_km"], owners, table.tags, cars["is_private"], draws)
            ),
            seller_key=sellers["key"], seller_name=sellers["name"], status=status,
            doors=np.array(list(map(adverts.doors_of, specs.model[spec], specs.body[spec]))),
            seats=np.array(list(map(adverts.seats_of, specs.model[spec], specs.body[spec]))),
            owner_count=owners,
            annual_tax=_annual_tax(cars["year"], specs.fuel[spec], specs.consumption_l_100km[spec]),
            # no seller lives exactly at the town hall; the scatter keeps cars of one town apart on a map
            latitude=np.round(self.towns.latitude[town] + sellers["north"], 4),
            longitude=np.round(self.towns.longitude[town] + sellers["east"], 4),
            published_s=published_s, ended_s=ended_s, first_price=first_price, reduced_s=reduced_s,
            appeal=cars["appeal"],
        )  # fmt: skip

    def _text(self, row: int, year: int) -> CarText:
        specs = self.specs
        return CarText(
            specs.make[row], specs.model[row], specs.body[row], specs.fuel[row], year,
            float(specs.engine_l[row]), float(specs.power_kw[row]), float(specs.battery_kwh[row]),
            float(specs.range_miles[row]), specs.drive[row],
        )  # fmt: skip

    def _table(
        self, rng: np.random.Generator, cars: dict[str, Array], texts: list[CarText], owners: Integers
    ) -> ListingTable:
        specs, spec, n = self.specs, cars["spec"], len(cars["spec"])
        trims = [adverts.trim_of(car, draw) for car, draw in zip(texts, rng.random(n).tolist(), strict=True)]
        known = {name: rng.random(n) >= share for name, share in UNKNOWN_SHARE.items()}
        colour = rng.choice(np.array(list(COLOURS), object), n, p=np.array(list(COLOURS.values())))
        make, model = specs.make[spec], specs.model[spec]
        return ListingTable(
            make=_objects(map(slug_of, make)), model=_objects(map(slug_of, model)),
            body=specs.body[spec], fuel=specs.fuel[spec], gearbox=specs.gearbox[spec], drive=specs.drive[spec],
            colour=np.where(known["colour"], colour, ""), damage=_objects([""] * n),
            seller_kind=np.where(cars["is_private"], "private", "dealer").astype(object),
            year=cars["year"].astype(np.float64), price=cars["price"],
            mileage_km=np.where(known["mileage_km"], cars["mileage_km"], np.nan),
            power_kw=np.where(known["power_kw"], specs.power_kw[spec], np.nan),
            engine_l=np.where(known["engine_l"], specs.engine_l[spec], np.nan),
            consumption_l_100km=np.where(known["consumption_l_100km"], specs.consumption_l_100km[spec], np.nan),
            title=_objects(map(adverts.title_of, texts, trims)),
            tags=_objects(
                adverts.equipment_of(
                    texts, cars["price"], self.anchor_year - cars["year"], owners, rng.random((n, len(EQUIPMENT)))
                )
            ),
        )  # fmt: skip

    def _sellers(self, rng: np.random.Generator, number: int, is_private: Flags) -> tuple[Integers, dict[str, Array]]:
        """Draw sellers, with towns as positions: fourteen dealers have the dealers' cars of a block; a private
        seller has one car."""
        n, n_dealers = len(is_private), 14
        dealer_town = rng.choice(len(self.towns.name), n_dealers, p=self.towns.share)
        words = rng.random((n_dealers, 2))
        dealer_name = [
            adverts.dealer_name(self.towns.name[at], draws)
            for at, draws in zip(dealer_town.tolist(), words, strict=True)
        ]
        dealer = rng.choice(n_dealers, n, p=np.full(n_dealers, 1 / n_dealers))
        town = np.where(is_private, rng.choice(len(self.towns.name), n, p=self.towns.share), dealer_town[dealer])
        first = number * BLOCK
        keys, names = [], []
        for row in range(n):
            place = self.towns.name[town[row]]
            keys.append(f"private-{first + row}" if is_private[row] else f"dealer-{number}-{dealer[row]}")
            names.append(f"Private seller, {place}" if is_private[row] else dealer_name[dealer[row]])
        scatter = rng.normal(0, 0.03, (2, n_dealers + n))
        where = np.where(is_private, n_dealers + np.arange(n), dealer)
        return town, {
            "key": _objects(keys), "name": _objects(names), "north": scatter[0][where], "east": scatter[1][where],
        }  # fmt: skip


def _objects(values: Iterable[object]) -> NDArray[np.object_]:
    filled = list(values)
    array = np.empty(len(filled), object)
    array[:] = filled
    return array


def _annual_tax(year: Integers, fuel: Texts, consumption_l_100km: Floats) -> NDArray[np.float64]:
    """Return pounds a year as of 2025: one rate from 2017 on, electric cars included; before, bands of carbon
    dioxide."""
    grams = consumption_l_100km * np.where(fuel == "diesel", DIESEL_G_PER_L, PETROL_G_PER_L) / 100
    band = np.searchsorted(TAX_UP_TO_G, np.nan_to_num(grams), side="left")
    return np.where(year >= FLAT_TAX_FROM, FLAT_TAX, np.array(TAX_OF_BAND)[band])


def _reductions(
    rng: np.random.Generator, price: Floats, published_s: Integers, last_s: Integers
) -> tuple[Floats, Integers]:
    """Reduce the price of a fifth of the cars by 2 to 8 % at some time while they are on sale."""
    n = len(price)
    is_reduced = (rng.random(n) < 0.2) & (published_s - last_s > 3 * DAY)
    higher = np.maximum(rounded_price(price * rng.uniform(1.02, 1.08, n)), price + 50)
    moment = (last_s + (published_s - last_s) * rng.uniform(0.1, 0.8, n)).astype(np.int64)
    return np.where(is_reduced, higher, price), np.where(is_reduced, np.maximum(moment, 1), 0)
