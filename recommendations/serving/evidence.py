"""What a buyer did and said, field by field: all that a reason may claim about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from accounts.models import Buyer
from catalog.attributes import CATEGORIES
from catalog.currencies import exchange_rates
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.state import EVENTS_READ

LIKED = ("like", "favourite")
FIELDS = {  # field of a reason -> how its value is read off a row of the catalogue
    "make": "make__slug",
    "model": "car_model_id",
    **{category.name: category.column for category in CATEGORIES},
    "seller": "seller__kind",
}
ASKED = {  # field of a reason -> what a search or the questionnaire calls it
    "make": "makes",
    **{category.name: category.filter for category in CATEGORIES},
    "seller": "seller_kinds",
}
STRENGTH = ("opened", "searched", "set", "liked", "contacted")  # the last one that is true is said

Values = dict[tuple[str, Any], str]  # field and value -> what the buyer did


@dataclass(frozen=True)
class BuyerEvidence:
    """Attributes:
    values: What the buyer did with cars of a value of a field: a word of ``STRENGTH``.
    budget: The most that the buyer said they would pay, or last searched for, in the market's currency.
    """

    values: Values = field(default_factory=dict)
    budget: float | None = None

    def about(self, listing: Listing) -> dict[str, str]:
        """Fields of a listing whose very value the buyer dealt with or asked for, and how."""
        values = {name: value_of(listing, name) for name in FIELDS}
        return {
            name: self.values[name, value] for name, value in values.items() if value and (name, value) in self.values
        }

    def budget_for(self, listing: Listing) -> float | None:
        """The buyer's budget in the listing's currency, where the listing lies within it; else None."""
        rate = exchange_rates().get(listing.currency)
        if self.budget is None or listing.price is None or rate is None:
            return None
        return self.budget / rate if float(listing.price) * rate <= self.budget else None


NO_EVIDENCE = BuyerEvidence()


_kept: WeakKeyDictionary[BuyerContext, BuyerEvidence] = WeakKeyDictionary()


def evidence_of(buyer_context: BuyerContext) -> BuyerEvidence:
    """From the newest events and the questionnaire of a buyer whom lists know; one query, if not read along.

    What was read along is the same for as long as the context is, and so is what follows from it.
    """
    if buyer_context.read is None:
        return _found(buyer_context)
    kept = _kept.get(buyer_context)
    if kept is None:
        kept = _kept[buyer_context] = _found(buyer_context)
    return kept


def _found(buyer_context: BuyerContext) -> BuyerEvidence:
    buyer = buyer_context.buyer
    if buyer is None or not buyer_context.is_personal:
        return NO_EVIDENCE
    values: Values = {}
    answers = ListingFilters.from_query(buyer.questionnaire).as_query()
    budget = answers.get("max_price")
    note_asked(values, answers, "set")
    events = newest_events(buyer) if buyer_context.read is None else buyer_context.read.events
    for slug, is_contact, query, *row in events:
        if query:
            asked = ListingFilters.from_query(query).as_query()
            note_asked(values, asked, "searched")
            budget = asked.get("max_price") if budget is None else budget
        if done := "contacted" if is_contact else "liked" if slug in LIKED else "opened" if slug == "view" else "":
            for name, value in zip(FIELDS, row, strict=True):
                note(values, name, value, done)
    return BuyerEvidence(values, budget)


def newest_events(buyer: Buyer) -> Iterable[tuple[Any, ...]]:
    """The newest favourable events of a buyer: kind, whether it is a contact, query, and ``FIELDS`` of the listing."""
    events = buyer.interactions.filter(kind__weight__gt=0).order_by("-occurred_at", "-id")
    columns = ("kind_id", "kind__is_contact", "query", *(f"listing__{column}" for column in FIELDS.values()))
    return events.values_list(*columns)[:EVENTS_READ]


def note_asked(values: Values, query: Mapping[str, Any], done: str) -> None:
    for name, asked in ASKED.items():
        for value in query.get(asked) or ():
            note(values, name, value, done)


def note(values: Values, name: str, value: Any, done: str) -> None:
    """Remember what was done with a value, unless something stronger was."""
    known = values.get((name, value))
    if value and (known is None or STRENGTH.index(done) > STRENGTH.index(known)):
        values[name, value] = done


def value_of(listing: Listing, name: str) -> Any:
    if name == "make":
        return listing.make.slug if listing.make else ""
    if name == "model":
        return listing.car_model_id
    return (listing.seller.kind if listing.seller else "") if name == "seller" else getattr(listing, FIELDS[name])
