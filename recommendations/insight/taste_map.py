"""The data of the map page: coordinates of cars, groups, labels of the axes, and a buyer's interests and list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.context import BuyerContext
from recommendations.insight.map_labels import (
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
from recommendations.insight.projection import coordinates_beside, direction_of, fit_axes
from recommendations.insight.versions import borrow_version
from recommendations.insight.what_if import WhatIf, answer
from recommendations.listings.index import ListingIndex
from recommendations.models import TasteMap
from recommendations.serving.recommended import RecommendedListing

DRAWN_AT_MOST = 2_500  # cars; more would overlap, and the page would exceed half a megabyte
FITTED_ON_AT_MOST = 20_000  # cars of a sample whose axes are those of the stock


class ListedCar(NamedTuple):
    """A car of the buyer's list with its coordinates; where ``is_drawn`` is false, they are the mean of similar
    cars'."""

    item: RecommendedListing
    x: float
    y: float
    is_drawn: bool


class Pull(NamedTuple):
    """The direction of one interest of a buyer on the map, and the share of the variance of utility it explains, 0
    to 1."""

    x: float
    y: float
    share: float


@dataclass(frozen=True)
class Picture:
    """All that the page shows.

    Attributes:
        version_id: The ranker version that measures distances.
        cars: The cars that are drawn.
        n_stock: Number of cars they were drawn from.
        groups: By the number in ``Car.group``.
        is_ordered: Whether the groups are ordered, as bands of price are.
        shares: Share of the variance on each axis; empty for a map by t-SNE.
        sides: What the cars on each side tend to be, by "left", "right", "bottom", "top"; "" where it is not clear.
        areas: Descriptions of the areas of the map, row by row from the top left.
        listed: The buyer's list.
        pulls: One per interest of the buyer.
        centre: Mean coordinates of the drawn cars.
        list_centre: Mean coordinates of the buyer's list; None without one.
        is_personal: Whether the buyer has a preference.
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
    """Make the map of the current stock by axes, or one that a worker has drawn.

    Args:
        colour: One of ``map_labels.COLOURS``; by taste only with a buyer.
        drawn: A finished map; None for the axes.
        buyer: The buyer whose interests and list are drawn.

    Raises:
        RankerRefused: Where no ranker is live.
    """
    asked = answer(WhatIf(buyer=buyer)) if buyer else None
    buyer_context = asked.buyer_context if asked else None
    with borrow_version() as listing_index:
        layout = stored_layout(listing_index, drawn, colour) if drawn else axes_layout(listing_index, colour)
        listed = listed_on(listing_index, layout, asked.recommended.items if asked else [])
        names = listing_index.column("names")[layout.rows].tolist()
        version_id = drawn.version_id if drawn and drawn.version_id else listing_index.version_id
    facts = read_facts(layout.listing_ids)
    utilities = buyer_context.buyer_features().utilities(layout.vectors)[0] if buyer_context else None
    groups, codes = grouped(colour, facts, utilities)
    cars = [
        Car(fact.listing_id, name, short_description(fact), float(x), float(y), int(code))
        for fact, name, (x, y), code in zip(facts, names, layout.coordinates, codes, strict=True)
    ]
    return Picture(
        version_id=version_id,
        cars=cars,
        n_stock=layout.n_stock,
        groups=groups,
        is_ordered=colour in (PRICE, TASTE),
        shares=layout.shares,
        sides=sides_of(layout.coordinates, facts) if layout.shares else {},
        areas=areas_of(cars, facts),
        listed=listed,
        pulls=pulls_of(layout, buyer_context) if layout.shares else [],
        centre=middle(layout.coordinates),
        list_centre=middle(np.array([(car.x, car.y) for car in listed])) if listed else None,
        is_personal=bool(buyer_context and buyer_context.is_personal),
    )


@dataclass(frozen=True, eq=False)
class Layout:
    """Cars and their coordinates, all of length n_cars.

    Attributes:
        rows: Rows of the listing index.
        listing_ids, vectors, coordinates: Of those rows.
        n_stock: Number of cars there were to choose from.
        shares: As of ``Picture``.
    """

    rows: NDArray[np.intp]
    listing_ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    coordinates: NDArray[np.float64]
    n_stock: int
    shares: list[float]


def axes_layout(listing_index: ListingIndex, colour: str) -> Layout:
    """Place a sample of the stock on the axes."""
    stock = drawable(listing_index, colour)
    rows = sampled(listing_index, stock, DRAWN_AT_MOST)
    ids, vectors = listing_index.stock.listing_ids[rows], listing_index.stock.vectors[rows]
    if not len(rows):
        return Layout(rows, ids, vectors, np.empty((0, 2)), 0, [])
    live = listing_index.live_sample(FITTED_ON_AT_MOST)  # the same for all colours, so that cars do not move
    axes = fit_axes(listing_index.stock.vectors[live if len(live) else rows], listing_index.ranker.prior.covariance)
    return Layout(rows, ids, vectors, axes.coordinates(vectors), len(stock), axes.shares.tolist())


def stored_layout(listing_index: ListingIndex, drawn: TasteMap, colour: str) -> Layout:
    """Return the cars of a stored map that are still for sale, or when coloured by status, those still in the index."""
    stored = Drawn.unpack(bytes(drawn.content))
    rows = listing_index.stock.rows_of(stored.listing_ids)
    is_kept = (rows >= 0) & np.isin(rows, drawable(listing_index, colour))
    rows = rows[is_kept]
    ids, vectors = listing_index.stock.listing_ids[rows], listing_index.stock.vectors[rows]
    return Layout(rows, ids, vectors, stored.coordinates[is_kept], len(stored.listing_ids), [])


def drawable(listing_index: ListingIndex, colour: str) -> NDArray[np.intp]:
    """Return rows of the cars for sale; when coloured by status, also of cars reserved or ended lately."""
    if colour == STATUS:
        return np.flatnonzero(~np.isnan(listing_index.column("published_at")))
    return np.flatnonzero(listing_index.column("is_live"))


def listed_on(listing_index: ListingIndex, layout: Layout, items: Sequence[RecommendedListing]) -> list[ListedCar]:
    """Place a list on the map; a car that was not drawn lies between those most like it."""
    if not items or not len(layout.rows):
        return []
    ids = [item.listing.pk for item in items]
    vectors, _ = listing_index.vectors_of(ids)
    axes = fit_axes(layout.vectors, listing_index.ranker.prior.covariance, min(N_AXES, layout.vectors.shape[1]))
    beside = coordinates_beside(axes.coordinates(vectors), axes.coordinates(layout.vectors), layout.coordinates)
    drawn = dict(zip(layout.listing_ids.tolist(), layout.coordinates, strict=True))
    coordinates = [drawn.get(key, coordinate) for key, coordinate in zip(ids, beside, strict=True)]
    return [
        ListedCar(item, float(x), float(y), item.listing.pk in drawn)
        for item, (x, y) in zip(items, coordinates, strict=True)
    ]


def pulls_of(layout: Layout, buyer_context: BuyerContext | None) -> list[Pull]:
    """Return the direction of each interest; none for a cold buyer, whose direction would be that of all buyers."""
    if buyer_context is None or not buyer_context.is_personal or not len(layout.rows):
        return []
    found = [
        direction_of(layout.coordinates, layout.vectors @ interest.taste.mean) for interest in buyer_context.interests
    ]
    return [Pull(float(one.gradient[0]), float(one.gradient[1]), one.share) for one in found]


def middle(coordinates: NDArray[np.float64]) -> tuple[float, float]:
    return (float(coordinates[:, 0].mean()), float(coordinates[:, 1].mean())) if len(coordinates) else (0.0, 0.0)
