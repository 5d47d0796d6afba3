"""The stock as a picture: where each car lies, what sets the sides apart, and a buyer's taste and list drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.shoppers import Shopper
from recommendations.insight.map_words import (
    PRICE,
    STATUS,
    TASTE,
    Area,
    Car,
    Group,
    areas_of,
    grouped,
    read_facts,
    short_description,
    sides_of,
)
from recommendations.insight.maps import N_AXES, Drawn, sampled
from recommendations.insight.projection import direction_of, fit_axes, places_beside
from recommendations.insight.versions import borrow_version
from recommendations.insight.what_if import WhatIf, answer
from recommendations.listings.window import Window
from recommendations.models import TasteMap
from recommendations.serving.lists import RecommendedListing

DRAWN_AT_MOST = 2_500  # cars: more would be a stain, and half a megabyte
FITTED_ON_AT_MOST = 20_000  # cars; the axes of a fair sample are those of the stock


class ListedCar(NamedTuple):
    """A car of the buyer's list, and where it lies; ``is_drawn`` false: between those most like it."""

    item: RecommendedListing
    x: float
    y: float
    is_drawn: bool


class Pull(NamedTuple):
    """Where one taste of a buyer points to on the map, and how much of what they like that explains, 0 to 1."""

    x: float
    y: float
    share: float


@dataclass(frozen=True)
class Picture:
    """All that the page draws and says.

    Attributes:
        version_id: With whose eyes distances are seen.
        cars: Those drawn.
        n_stock: How many there were to draw.
        groups: By the number in ``Car.group``.
        is_ordered: Whether they lead from little to much.
        shares: Part of all differences that each axis shows; empty for a map without axes.
        sides: What each side of the map tends to be, by "left", "right", "bottom", "top"; "" where nothing is sure.
        areas: The map in words, row by row from the top left.
        listed: The buyer's list.
        pulls: One per taste of the buyer.
        centre: Middle of the drawn cars.
        list_centre: Middle of the buyer's list; None without one.
        is_personal: Whether anything is known of the buyer.
    """

    version_id: int
    cars: list[Car]
    n_stock: int
    groups: list[Group]
    is_ordered: bool
    shares: list[float]
    sides: dict[str, str]
    areas: list[Area]
    listed: list[ListedCar]
    pulls: list[Pull]
    centre: tuple[float, float]
    list_centre: tuple[float, float] | None
    is_personal: bool


def picture(*, colour: str, drawn: TasteMap | None = None, buyer: Buyer | None = None) -> Picture:
    """The map by its axes as the stock is now, or the one that a worker has drawn.

    Args:
        colour: One of ``map_words.COLOURS``; by taste only with a buyer.
        drawn: A map that is done; None for the axes.
        buyer: Whose taste and list are drawn in.

    Raises:
        RankerRefused: Where no ranker is live.
    """
    asked = answer(WhatIf(buyer=buyer)) if buyer else None
    shopper = asked.shopper if asked else None
    with borrow_version() as window:
        layout = stored_layout(window, drawn, colour) if drawn else axes_layout(window, colour)
        listed = listed_on(window, layout, asked.recommended.items if asked else [])
        names = window.column("names")[layout.rows].tolist()
        version_id = drawn.version_id if drawn and drawn.version_id else window.version_id
    facts = read_facts(layout.listing_ids)
    utilities = shopper.wants().utilities(layout.vectors)[0] if shopper else None
    groups, codes = grouped(colour, facts, utilities)
    cars = [
        Car(fact.listing_id, name, short_description(fact), float(x), float(y), int(code))
        for fact, name, (x, y), code in zip(facts, names, layout.places, codes, strict=True)
    ]
    return Picture(
        version_id=version_id,
        cars=cars,
        n_stock=layout.n_stock,
        groups=groups,
        is_ordered=colour in (PRICE, TASTE),
        shares=layout.shares,
        sides=sides_of(layout.places, facts) if layout.shares else {},
        areas=areas_of(cars, facts),
        listed=listed,
        pulls=pulls_of(layout, shopper) if layout.shares else [],
        centre=middle(layout.places),
        list_centre=middle(np.array([(car.x, car.y) for car in listed])) if listed else None,
        is_personal=bool(shopper and shopper.is_personal),
    )


@dataclass(frozen=True, eq=False)
class Layout:
    """Cars and their places, all of length n_cars.

    Attributes:
        rows: Of the window.
        listing_ids, vectors, places: Of those rows.
        n_stock: How many cars there were to choose from.
        shares: As of ``Picture``.
    """

    rows: NDArray[np.intp]
    listing_ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    places: NDArray[np.float64]
    n_stock: int
    shares: list[float]


def axes_layout(window: Window, colour: str) -> Layout:
    """A fair sample of the stock on the axes of taste."""
    stock = drawable(window, colour)
    rows = sampled(window, stock, DRAWN_AT_MOST)
    ids, vectors = window.stock.listing_ids[rows], window.stock.vectors[rows]
    if not len(rows):
        return Layout(rows, ids, vectors, np.empty((0, 2)), 0, [])
    live = window.live_sample(FITTED_ON_AT_MOST)  # whatever is drawn, so that cars stay where they are
    axes = fit_axes(window.stock.vectors[live if len(live) else rows], window.ranker.prior.covariance)
    return Layout(rows, ids, vectors, axes.places(vectors), len(stock), axes.shares.tolist())


def stored_layout(window: Window, drawn: TasteMap, colour: str) -> Layout:
    """The cars of a map that are still for sale, or by status, those that can still be described."""
    stored = Drawn.unpack(bytes(drawn.content))
    rows = window.stock.rows_of(stored.listing_ids)
    is_kept = (rows >= 0) & np.isin(rows, drawable(window, colour))
    rows = rows[is_kept]
    ids, vectors = window.stock.listing_ids[rows], window.stock.vectors[rows]
    return Layout(rows, ids, vectors, stored.places[is_kept], len(stored.listing_ids), [])


def drawable(window: Window, colour: str) -> NDArray[np.intp]:
    """Rows of the cars for sale; by status, also of those that are reserved or ended lately."""
    if colour == STATUS:
        return np.flatnonzero(~np.isnan(window.column("published_at")))
    return np.flatnonzero(window.column("is_live"))


def listed_on(window: Window, layout: Layout, items: Sequence[RecommendedListing]) -> list[ListedCar]:
    """A list on the map; a car that was not drawn stands between those most like it."""
    if not items or not len(layout.rows):
        return []
    ids = [item.listing.pk for item in items]
    vectors, _ = window.vectors_of(ids)
    axes = fit_axes(layout.vectors, window.ranker.prior.covariance, min(N_AXES, layout.vectors.shape[1]))
    beside = places_beside(axes.places(vectors), axes.places(layout.vectors), layout.places)
    drawn = dict(zip(layout.listing_ids.tolist(), layout.places, strict=True))
    places = [drawn.get(key, place) for key, place in zip(ids, beside, strict=True)]
    return [
        ListedCar(item, float(x), float(y), item.listing.pk in drawn)
        for item, (x, y) in zip(items, places, strict=True)
    ]


def pulls_of(layout: Layout, shopper: Shopper | None) -> list[Pull]:
    """The direction of each taste; none of a buyer of whom nothing is known, whose direction would be everybody's."""
    if shopper is None or not shopper.is_personal or not len(layout.rows):
        return []
    found = [direction_of(layout.places, layout.vectors @ member.taste.mean) for member in shopper.tastes]
    return [Pull(float(one.gradient[0]), float(one.gradient[1]), one.share) for one in found]


def middle(places: NDArray[np.float64]) -> tuple[float, float]:
    return (float(places[:, 0].mean()), float(places[:, 1].mean())) if len(places) else (0.0, 0.0)
