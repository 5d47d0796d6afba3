"""A car as the window shows it: picture or silhouette, price beside the market's, why it is there."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Buyer
from catalog.attributes import DAMAGES_THAT_COST
from catalog.models import Listing
from catalog.units import translated
from recommendations.engine.reasons import BASE, operator_breakdown
from recommendations.listings.market_prices import ListingMarketPrice, market_prices_of
from recommendations.models import Interaction
from recommendations.serving.recommended import RecommendedListing
from shop.levers import Button
from shop.words import facts_line, field_label, money

LIKE, UNLIKE = "like", "dislike"
SILHOUETTES = frozenset({"hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van"})
PAINTS = frozenset(
    {"black", "grey", "white", "blue", "silver", "red", "green", "orange", "brown", "beige", "yellow", "gold", "purple"}
)
TERMS_SHOWN = 5
POINTS, NOTICEABLE = 4, 0.05  # of a car's score, in words for the visitor
LABELS = {
    "good": gettext_lazy("Good price"),
    "fair": gettext_lazy("Fair price"),
    "high": gettext_lazy("High price"),
}


@dataclass(frozen=True)
class MarketNote:
    """The asked price beside what such a car costs; positions in percent of the width of a scale."""

    label: str
    kind: str
    text: str
    low: str
    median: str
    high: str
    from_percent: float
    to_percent: float
    at_percent: float


@dataclass(frozen=True, eq=False)
class Card:
    """One car in a list.

    Attributes:
        position: 1 is the top; 0 where the list has no order of ours.
        list_id: Of the list it stands in; None for a search.
        photos: Addresses that a page of ours may load; without any the car is drawn.
        status: In words, as of the listing.
        damage: In words; '' of a car that has none, or says nothing of it.
        why: For staff: what each part adds to the score.
        levers: For staff: what they may do to it for every visitor.
    """

    listing: Listing
    title: str
    price: str
    facts: list[str]
    reason: str
    market: MarketNote | None
    silhouette: str
    paint: str
    is_liked: bool
    photos: tuple[str, ...] = ()
    status: str = ""
    damage: str = ""
    position: int = 0
    list_id: uuid.UUID | None = None
    why: tuple[tuple[str, float], ...] = ()
    score: float | None = None
    levers: tuple[Button, ...] = ()

    @property
    def act(self) -> str:
        """The car, and where it was found, as a button sends it: id, list and position."""
        return f"{self.listing.pk} {self.list_id or '-'} {self.position}"


def card_of(
    listing: Listing,
    market_price: ListingMarketPrice | None,
    liked: Collection[int] = (),
    recommended: RecommendedListing | None = None,
    list_id: uuid.UUID | None = None,
) -> Card:
    terms = operator_breakdown(recommended.terms, recommended.score) if recommended else []
    return Card(
        listing=listing,
        title=listing.name,
        price=money(listing.price, listing.currency),
        facts=facts_line(listing),
        reason=recommended.reason if recommended else "",
        market=market_note(listing, market_price),
        silhouette=listing.body if listing.body in SILHOUETTES else "hatchback",
        paint=listing.colour if listing.colour in PAINTS else "unknown",
        is_liked=listing.pk in liked,
        photos=photos_of(listing),
        status=translated(listing.get_status_display()),
        damage=translated(listing.get_damage_display()) if listing.damage in DAMAGES_THAT_COST else "",
        position=recommended.position if recommended and list_id else 0,
        list_id=list_id,
        why=tuple((field_label(name), value) for name, value in terms[:TERMS_SHOWN]),
        score=recommended.score if recommended and recommended.terms else None,
    )


def photos_of(listing: Listing) -> tuple[str, ...]:
    """Those of its photos that our security policy lets a page load."""
    return tuple(address for address in listing.gallery if address.startswith("https://"))


def strong_points(found: RecommendedListing | None) -> list[tuple[str, str]]:
    """What speaks most for a car, or against it, as (sign, what); what does not depend on the car is left out."""
    if found is None:
        return []
    terms = {name: value for name, value in found.terms.items() if name != BASE}
    named = operator_breakdown(terms, sum(terms.values()))
    return [("+" if value > 0 else "−", field_label(name)) for name, value in named if abs(value) >= NOTICEABLE][
        :POINTS
    ]


def cards_of_recommended(
    items: Sequence[RecommendedListing], liked: Collection[int], list_id: uuid.UUID | None = None
) -> list[Card]:
    return [card_of(item.listing, item.market_price, liked, item, list_id) for item in items]


def cards_of_listings(listings: Sequence[Listing], liked: Collection[int]) -> list[Card]:
    prices = market_prices_of(listings)
    return [card_of(listing, price, liked) for listing, price in zip(listings, prices, strict=True)]


def market_note(listing: Listing, market: ListingMarketPrice | None) -> MarketNote | None:
    """Below, within or above the middle 80 % of prices, and by how much it differs from the median."""
    if market is None or listing.price is None:
        return None
    difference = float(listing.price) - market.median
    amounts = {"difference": money(abs(difference), market.currency), "usual": money(market.median, market.currency)}
    text = (_("%(difference)s below the usual %(usual)s") if difference < 0
            else _("%(difference)s above the usual %(usual)s")) % amounts  # fmt: skip
    lowest = 0.9 * min(market.low, float(listing.price))
    width = 1.1 * max(market.high, float(listing.price)) - lowest

    def percent(value: float) -> float:
        return round(100 * (value - lowest) / width, 1) if width > 0 else 50.0

    low, high = percent(market.low), percent(market.high)
    return MarketNote(
        str(LABELS[market.label]), market.label, text,
        money(market.low, market.currency), money(market.median, market.currency), money(market.high, market.currency),
        low, round(high - low, 1), percent(float(listing.price)),
    )  # fmt: skip


def liked_by(buyer: Buyer | None) -> set[int]:
    """Listings that a buyer liked and has not disliked since."""
    if buyer is None:
        return set()
    events = Interaction.objects.filter(buyer=buyer, kind__in=(LIKE, UNLIKE), listing__isnull=False)
    last = dict(events.order_by("occurred_at", "id").values_list("listing_id", "kind_id"))
    return {listing_id for listing_id, kind in last.items() if kind == LIKE and listing_id is not None}
