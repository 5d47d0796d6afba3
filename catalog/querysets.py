"""Which listings."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import ACos, Cos, Greatest, Least, Radians, Sin

from catalog.attributes import CATEGORIES, RANGES, columns_of
from catalog.currencies import coarse_price_range, market_price
from catalog.filters import EARTH_RADIUS_KM, Box, ListingFilters
from catalog.text_search import web_query

if TYPE_CHECKING:
    from catalog.models import Listing  # noqa: F401

ListingReference = tuple[str, str]  # source, and the id of the car there

SET_FILTERS = {  # field of ListingFilters -> column
    "makes": "make__slug",
    "models": "car_model__slug",
    **{category.filter: category.column for category in CATEGORIES},
    "seller_kinds": "seller__kind",
}
KEY_FILTERS = {"seller_ids": "seller_id", "listing_ids": "pk"}
ITEMS = "items"  # the source of what client systems add as bare ids with genres; see ``catalog.items``
RANGE_FILTERS = ("year", *columns_of(RANGES))  # and price, which is compared in the market's currency


class ListingQuerySet(models.QuerySet["Listing"]):
    def available(self) -> ListingQuerySet:
        """Listings a buyer could still act on: published, and neither reserved, sold, withdrawn nor expired."""
        return self.filter(status=self.model.Status.LIVE)

    def cars(self) -> ListingQuerySet:
        """Listings that are cars: all but the items of the feed, which have neither make nor price."""
        return self.exclude(source=ITEMS)

    def ids_by_reference(self, references: Collection[ListingReference]) -> dict[ListingReference, int]:
        """Our ids of the cars that sources know by theirs, in one query; those we do not know are absent."""
        if not references:
            return {}
        sources, external_ids = ({each[place] for each in references} for place in (0, 1))
        known = self.filter(source__in=sources, external_id__in=external_ids).order_by()
        found = {(source, str(external_id)): key for source, external_id, key in
                 known.values_list("source", "external_id", "pk")}  # fmt: skip
        return {reference: found[reference] for reference in references if reference in found}

    def not_seen_since(self, time: datetime) -> ListingQuerySet:
        """Listings that were published before a time, and that no delivery has had since."""
        return self.filter(Q(last_seen_at=None) | Q(last_seen_at__lt=time), published_at__lt=time)

    def with_card_data(self) -> ListingQuerySet:
        """Preloads what a card shows: make, model and seller."""
        return self.select_related("make", "car_model__make", "seller").defer("search_text")

    def matching(self, filters: ListingFilters) -> ListingQuerySet:
        """Listings that satisfy every filter; the twin of ``ListingIndex.matching``."""
        listings = self.priced_between(filters.min_price, filters.max_price)
        for name, column in (SET_FILTERS | KEY_FILTERS).items():
            if values := getattr(filters, name):
                listings = listings.filter(**{f"{column}__in": values})
        for column in RANGE_FILTERS:
            if (low := getattr(filters, f"min_{column}")) is not None:
                listings = listings.filter(**{f"{column}__gte": low})
            if (high := getattr(filters, f"max_{column}")) is not None:
                listings = listings.filter(**{f"{column}__lte": high})
        if filters.tags:
            listings = listings.filter(tags__contains=list(filters.tags))
        if filters.text:
            listings = listings.filter(search_text=web_query(filters.text))
        for hidden in filters.hidden:
            listings = listings.without(hidden)
        placed = listings.within(*filters.location) if filters.location else listings
        return placed.matching(filters.also) if filters.also else placed

    def without(self, hidden: ListingFilters) -> ListingQuerySet:
        """All but those that match; an attribute that is not known does not match, so such a listing stays."""
        if not hidden:
            return self
        if hidden == type(hidden)(seller_ids=hidden.seller_ids):  # by far the commonest, and a plain condition
            return self.exclude(seller_id__in=hidden.seller_ids)
        return self.exclude(pk__in=self.model._default_manager.matching(hidden).order_by().values("pk"))

    def priced_between(self, low: float | None, high: float | None) -> ListingQuerySet:
        """Listings whose price lies within a range of the market's currency, both ends included; None is no bound."""
        if low is None and high is None:
            return self
        listings = self.filter(coarse_price_range(low, high)).alias(market_price_asked=market_price())
        if low is not None:
            listings = listings.filter(market_price_asked__gte=float(low))
        return listings if high is None else listings.filter(market_price_asked__lte=float(high))

    def within(self, latitude: float, longitude: float, radius_km: float) -> ListingQuerySet:
        """Listings whose place lies inside a circle; annotates ``distance_km``, by the spherical law of cosines."""
        box = Box.around(latitude, longitude, radius_km)
        here, there = Radians(Value(latitude)), Radians(F("latitude"))
        cosine = Sin(here) * Sin(there) + Cos(here) * Cos(there) * Cos(Radians(F("longitude") - Value(longitude)))
        # rounding can push the cosine of a point onto itself past one, and ACOS would refuse it
        distance = Value(EARTH_RADIUS_KM) * ACos(Least(Greatest(cosine, Value(-1.0)), Value(1.0)))
        across = Q(longitude__range=(box.west, box.east))
        across |= Q(longitude__range=(box.west - 360, box.east - 360)) | Q(
            longitude__range=(box.west + 360, box.east + 360)
        )
        return self.filter(across, latitude__range=(box.south, box.north)).annotate(
            distance_km=distance
        ).filter(distance_km__lte=radius_km)  # fmt: skip
