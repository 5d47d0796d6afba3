"""Simulated buyers: types, true utilities and behaviour.

Each buyer is drawn from a generator of its own, so buyer 7 of a seed is the same however many buyers there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog.imports.names import slug_of
from recommendations.engine.arrays import Floats
from recommendations.simulation.car_specs import CarSpecs
from recommendations.simulation.market import AVERAGE_TASTE, COLOURS, PREMIUM, Towns
from recommendations.simulation.true_taste import TrueTaste

BUYERS_STREAM = 2  # separates their random numbers from the market's
DECISIVENESS = 1.5  # factor on all utilities below
KINDS = {  # share of each type of buyer
    "ordinary": 0.3, "price_sensitive": 0.17, "brand_loyal": 0.13, "family": 0.16, "enthusiast": 0.08, "two_cars": 0.05,
    "drifting": 0.06, "careless": 0.05,
}  # fmt: skip
FAMILY_BODIES = {
    "estate": 1.3, "suv": 1.0, "mpv": 1.8, "hatchback": 0.2, "saloon": 0.2, "coupe": -2.0, "convertible": -2.0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How a buyer browses, apart from utility.

    Attributes:
        latitude, longitude: Home.
        distance_aversion: Utility lost when a car is about twice as far away.
        position_bias: Utility lost from the first position of a list to the second or third; it grows with the
            logarithm.
        noise_share: Share of views that are mistakes: any car of the list.
        fancy: Standard deviation of the utility that single cars have for this buyer beyond their attributes
            (photographs, wording). It never changes, so a car that was opened for it is also contacted for it.
        activity: Relative number of events.
        shopping_days: Duration of the search.
    """

    latitude: float
    longitude: float
    distance_aversion: float = 0.2
    position_bias: float = 0.4
    noise_share: float = 0.05
    fancy: float = 0.25
    activity: float = 1.0
    shopping_days: float = 21.0


@dataclass(frozen=True)
class SimulatedBuyer:
    taste: TrueTaste
    behaviour: Behaviour


@dataclass(frozen=True)
class Menu:
    """The makes and models that a utility can name, with their share of the stock."""

    makes: NDArray[np.str_]  # slugs
    make_share: Floats
    models: NDArray[np.str_]  # "make/model"
    model_share: Floats

    @classmethod
    def of(cls, specs: CarSpecs) -> Menu:
        makes = np.array([slug_of(make) for make in specs.make])
        models = np.array([f"{make}/{slug_of(model)}" for make, model in zip(makes, specs.model, strict=True)])
        return cls(*_shares(makes, specs.supply), *_shares(models, specs.supply))


def _shares(names: NDArray[np.str_], supply: Floats) -> tuple[NDArray[np.str_], Floats]:
    unique, codes = np.unique(names, return_inverse=True)
    share = np.bincount(codes, supply)
    return unique, share / share.sum()


def draw_buyers(n_buyers: int, seed: int, menu: Menu, towns: Towns) -> list[SimulatedBuyer]:
    """Draw the first ``n_buyers`` of a seed."""
    return [draw_buyer(np.random.default_rng([seed, BUYERS_STREAM, number]), menu, towns) for number in range(n_buyers)]


def draw_buyer(rng: np.random.Generator, menu: Menu, towns: Towns) -> SimulatedBuyer:
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    taste = draw_taste(rng, kind, menu)
    town = rng.choice(len(towns.name), p=towns.share)
    return SimulatedBuyer(
        taste,
        Behaviour(
            latitude=round(float(towns.latitude[town] + rng.normal(0, 0.05)), 4),
            longitude=round(float(towns.longitude[town] + rng.normal(0, 0.05)), 4),
            distance_aversion=float(rng.gamma(2.0, 0.09)),
            position_bias=float(rng.gamma(4.0, 0.1)),
            noise_share=0.35 if kind == "careless" else float(rng.beta(2, 40)),
            activity=float(rng.lognormal(0, 0.8)),
            shopping_days=float(np.clip(rng.lognormal(3.0, 0.6), 2, 80)),
        ),
    )


def draw_taste(rng: np.random.Generator, kind: str, menu: Menu) -> TrueTaste:
    """Draw the utility of a buyer of one type; types that combine two utilities draw both. Raises ValueError if
    there is no such type."""
    if kind not in KINDS:
        raise ValueError(f"no such type of buyer: {kind}; there are {', '.join(KINDS)}")
    taste = _plain_taste(rng, kind, menu)
    if kind == "two_cars":
        return replace(taste, second_car=replace(_plain_taste(rng, "ordinary", menu), budget=taste.budget * 0.5))
    if kind == "drifting":
        former = replace(_plain_taste(rng, "ordinary", menu), budget=taste.budget * float(rng.uniform(0.6, 0.9)))
        return replace(taste, former=former, drift_days=float(rng.uniform(15, 45)))
    return taste


def _plain_taste(rng: np.random.Generator, kind: str, menu: Menu) -> TrueTaste:
    def about(mean: float, spread: float) -> float:
        return float(rng.normal(mean, spread))

    is_frugal, is_enthusiast = kind == "price_sensitive", kind == "enthusiast"
    budget = float(np.clip(rng.lognormal(np.log(9_000 if is_frugal else 13_500), 0.5), 1_500, 90_000))
    taste = TrueTaste(
        kind=kind,
        levels=_levels_of_taste(rng, kind, menu),
        budget=round(budget),
        too_dear=abs(about(6.0 if is_frugal else 4.0, 1.0)),
        too_cheap=about(-0.3, 0.3) if is_frugal else about(1.6, 0.5),
        per_year=about(0.21, 0.05),
        wear=about(1.05, 0.3),
        power=about(1.8, 0.6) if is_enthusiast else about(0.2, 0.6),
        thirst=about(0.22, 0.1) if is_frugal else about(0.06, 0.1),
        pairs=_draw_pairs(rng, menu),
    )
    return taste.scaled(DECISIVENESS)


def _levels_of_taste(rng: np.random.Generator, kind: str, menu: Menu) -> dict[str, dict[str, float]]:
    bodies = dict(AVERAGE_TASTE.levels["body"])
    if kind == "family":
        bodies |= FAMILY_BODIES
    if kind == "enthusiast":
        bodies |= {"coupe": 1.2, "convertible": 1.0, "mpv": -2.0, "van": -2.5}
    makes, liked = _draw_makes(rng, kind, menu)
    return {
        "make": makes,
        "model": _draw_models(rng, menu, liked),
        "body": {name: mean + rng.normal(0, 0.6) for name, mean in bodies.items()},
        "fuel": {name: mean + rng.normal(0, 0.55) for name, mean in AVERAGE_TASTE.levels["fuel"].items()},
        "gearbox": {
            "manual": rng.normal(0.1, 0.8),
            "automatic": rng.normal(0, 0.5),
            "semi_automatic": rng.normal(0, 0.5),
        },
        "drive": {"all": rng.normal(0.1, 0.4), "rear": rng.normal(0.8 if kind == "enthusiast" else -0.1, 0.3)},
        "colour": {name: rng.normal(0, 0.15) for name in COLOURS},
        "seller_kind": {"dealer": rng.normal(0.15, 0.3)},
    }


def _draw_makes(rng: np.random.Generator, kind: str, menu: Menu) -> tuple[dict[str, float], list[str]]:
    """Draw the utility of each make, and the two or three favourite makes.

    Common makes are liked a little more, which is why they are common; premium makes too, at the same price.
    """
    common = 0.22 * np.log(menu.make_share / menu.make_share.mean()) + 0.4 * np.isin(menu.makes, PREMIUM)
    worth = common + rng.normal(0, 0.2, len(menu.makes))
    n_liked = int(rng.integers(1, 4))
    liked = rng.choice(len(menu.makes), n_liked, replace=False, p=menu.make_share)
    worth[liked] += rng.normal(2.6 if kind == "brand_loyal" else 1.2, 0.3, n_liked)
    return dict(zip(menu.makes.tolist(), worth.tolist(), strict=True)), menu.makes[liked].tolist()


def _draw_models(rng: np.random.Generator, menu: Menu, liked_makes: list[str]) -> dict[str, float]:
    """Draw the utility of a dozen models, those of the favourite makes first."""
    odds = menu.model_share * np.where(np.isin([name.split("/")[0] for name in menu.models], liked_makes), 6.0, 1.0)
    known = rng.choice(len(menu.models), min(10, len(menu.models)), replace=False, p=odds / odds.sum())
    return {str(menu.models[row]): float(rng.normal(0.2, 0.5)) for row in known}


def _draw_pairs(rng: np.random.Generator, menu: Menu) -> tuple[tuple[str, str, str, str, float], ...]:
    """Draw three interactions, such as an automatic only in an estate, or no diesel from one make."""
    bodies, fuels = list(AVERAGE_TASTE.levels["body"])[:6], list(AVERAGE_TASTE.levels["fuel"])[:5]
    make = str(rng.choice(menu.makes, p=menu.make_share))
    return (
        ("body", str(rng.choice(bodies)), "fuel", str(rng.choice(fuels)), float(rng.normal(0, 0.6))),
        ("body", str(rng.choice(bodies)), "gearbox", "automatic", float(rng.normal(0, 0.6))),
        ("make", make, "fuel", str(rng.choice(fuels)), float(rng.normal(0, 0.8))),
    )
