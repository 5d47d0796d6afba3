"""A stored preference in words and ranges, for people: what a buyer looks for, and how sure that is.

The numbers are the encoder's own: utilities of makes and bodies, and curves over price and age, under the buyer's
weights. What is said of categories is the difference from the population, since everybody likes what everybody likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from django.utils.translation import gettext
from numpy.typing import NDArray

from catalog import units
from catalog.attributes import NUMBER_FEATURES
from catalog.columns import CHOICES
from catalog.models import CarModel, Make, Seller
from catalog.units import translated
from recommendations.buyers.posteriors import taste_of
from recommendations.engine.encoder import Encoder
from recommendations.engine.fields import CATEGORIES
from recommendations.engine.ranker import Ranker
from recommendations.models import Preference
from recommendations.models.artifacts import load_ranker

GRIDS = {  # field -> unit, and the values at which its curve is read
    "price": ("", np.geomspace(500, 200_000, 160)),
    "age": (" years", np.arange(0.0, 21.0)),
    **{number.name: (f" {number.unit}", np.arange(*number.grid)) for number in NUMBER_FEATURES if number.grid},
}
NOTICEABLE = 0.25  # in utility: a quarter more changes the odds between two cars by 28 %
NEARLY_BEST = 0.5  # a value this close to the best is as good to a buyer
NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Wish:
    """The preferred and the disliked values of one field; ``strength`` is the largest difference in utility."""

    field: str
    strength: float
    wanted: str
    unwanted: str = ""


@dataclass(frozen=True)
class Profile:
    """Wishes, the strongest first, and the share (0 to 1) of the population's spread that the events have removed."""

    wishes: tuple[Wish, ...]
    certainty: float


def profile_of(preference: Preference) -> Profile:
    """The profile of a preference; raises RankerRefused when its version cannot be loaded any more."""
    ranker, taste = load_ranker(preference.version_id), taste_of(preference)
    doubt = np.trace(taste.covariance) / max(np.trace(ranker.prior.covariance), 1e-12)
    return Profile(tuple(wishes(ranker, taste.mean)), float(np.clip(1.0 - doubt, 0.0, 1.0)))


def wishes(ranker: Ranker, mean: NDArray[np.float64]) -> list[Wish]:
    encoder, own = ranker.encoder, mean[: ranker.n_content]
    beyond = own - ranker.prior.mean[: ranker.n_content]
    wishes = [numeric_wish(encoder, own, field) for field in GRIDS if field in encoder.names]
    wishes += [categorical_wish(encoder, beyond, field) for field in CATEGORIES if field in encoder.names]
    return sorted((wish for wish in wishes if wish), key=lambda wish: -wish.strength)


def categorical_wish(encoder: Encoder, weights: NDArray[np.float64], field: str) -> Wish | None:
    """The levels liked more, and less, than by the population; None where none stands out."""
    ranked = sorted(encoder.levels(weights, field).items(), key=lambda level: level[1])
    liked = [name for name, utility in reversed(ranked[-NAMED_AT_MOST:]) if utility >= NOTICEABLE]
    disliked = [name for name, utility in ranked[:NAMED_AT_MOST] if utility <= -NOTICEABLE]
    if not liked and not disliked:
        return None
    strength = max(abs(ranked[0][1]), abs(ranked[-1][1]))
    return Wish(field, strength, in_words(field, liked), in_words(field, disliked))


def numeric_wish(encoder: Encoder, weights: NDArray[np.float64], field: str) -> Wish | None:
    """The values of a field with nearly the highest utility, as a wish; None if that is every value."""
    _, grid = GRIDS[field]
    utility = encoder.curve(weights, field, grid)
    fine = np.flatnonzero(utility >= utility.max() - NEARLY_BEST)
    if len(fine) == len(grid):
        return None
    low, best, high = (written(field, grid[at]) for at in (fine[0], utility.argmax(), fine[-1]))
    if fine[0] == 0:
        wanted = gettext("the less the better, fine up to %(high)s") % {"high": high}
    elif fine[-1] == len(grid) - 1:
        wanted = gettext("the more the better, fine from %(low)s") % {"low": low}
    else:
        wanted = gettext("about %(best)s, fine from %(low)s to %(high)s") % {"best": best, "low": low, "high": high}
    return Wish(field, float(np.ptp(utility)), wanted)


def written(field: str, value: float) -> str:
    """A number of ``GRIDS`` in the market's units, and as exact as it is known."""
    unit = GRIDS[field][0].strip()
    if field == "price":
        return units.money(rounded(value))
    if field == "age":
        return units.years(value)
    measure = units.measure_of(unit)
    return units.in_words(measure.stored(rounded(value / measure.stored_per_shown)), unit)


def rounded(number: float) -> float:
    """To two significant digits: a grid point is no more exact than that."""
    return float(f"{number:.2g}")


# --- Levels as people write them -------------------------------------------------------------------------------------
def in_words(field: str, levels: Iterable[str]) -> str:
    """Levels are slugs and codes; the catalogue knows the names."""
    name_of = NAMES.get(field, lambda level: translated(level.capitalize()))
    return ", ".join(map(name_of, levels))


def make_name(slug: str) -> str:
    return Make.objects.filter(slug=slug).values_list("name", flat=True).first() or slug


def model_name(level: str) -> str:
    make, _, model = level.partition("|")
    found = CarModel.objects.select_related("make").filter(make__slug=make, slug=model).first()
    return str(found or level)


def choice_name(field: str) -> Callable[[str], str]:
    labels = dict(LABELS[field])
    return lambda code: translated(str(labels.get(code, code)))


LABELS = {
    **{name: choices.choices for name, choices in CHOICES.items()},
    "seller": Seller.Kind.choices,
}
NAMES: dict[str, Callable[[str], str]] = {
    "make": make_name,
    "model": model_name,
    **{field: choice_name(field) for field in LABELS},
}
