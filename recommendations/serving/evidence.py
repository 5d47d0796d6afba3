"""The events and answers of a buyer by field; a reason may claim only these about the buyer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings

from accounts.models import Buyer
from catalog.attributes import CATEGORIES
from catalog.currencies import exchange_rates
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.row_filters import left_to_sql, satisfies
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.state import EVENTS_READ, SEARCHES_READ
from recommendations.engine.reason import Money
from recommendations.models import SavedSearch

LIKED = ("like", "favourite")
FIELDS = {  # field of a reason -> how its value is read off a row of the catalogue
    "make": "make__slug",
    "model": "car_model_id",
    **{category.name: category.column for category in CATEGORIES},
    "seller": "seller__kind",
}
ASKED = {  # field of a reason -> what a search or the questionnaire calls it
    "make": "makes",
    "model": "models",  # by its slug, where what was opened is known by its key
    **{category.name: category.filter for category in CATEGORIES},
    "seller": "seller_kinds",
}
STRENGTH = {done: at for at, done in enumerate(("opened", "searched", "set", "liked", "contacted"))}  # the last is said

Values = dict[tuple[str, Any], str]  # field and value -> what the buyer did


@dataclass(frozen=True)
class BuyerEvidence:
    """Attributes:
    values: What the buyer did with cars of a value of a field: a key of ``STRENGTH``.
    budget: The most that the buyer said they would pay, or last searched for, in the market's currency.
    wishes: What they asked for and have not contradicted, each by itself; of other buyers nothing.
    saved: Their newest saved searches, as far as a row alone shows whether they find it.
    """

    values: Values = field(default_factory=dict)
    budget: float | None = None
    wishes: tuple[ListingFilters, ...] = ()
    saved: tuple[ListingFilters, ...] = ()

    def about(self, listing: Listing) -> dict[str, str]:
        """Fields of a listing whose very value the buyer dealt with or asked for, and how."""
        values = {name: value_of(listing, name) for name in FIELDS}
        found = {
            name: self.values[name, value] for name, value in values.items() if value and (name, value) in self.values
        }
        asked = self.values.get(("model", listing.car_model.slug)) if listing.car_model else None
        if asked and ("model" not in found or is_stronger(asked, found["model"])):
            found["model"] = asked
        return found

    def is_wished(self, listing: Listing) -> bool | None:
        """Whether a listing satisfies anything that was asked for; None where nothing was."""
        return any(satisfies(listing, wish) for wish in self.wishes) if self.wishes else None

    def is_saved(self, listing: Listing) -> bool:
        return any(satisfies(listing, search) for search in self.saved)

    def budget_for(self, listing: Listing) -> Money | None:
        """The buyer's budget as they gave it, where the listing lies within it; else None.

        It stays in the market's currency, whatever the car is advertised in: another number would not be the buyer's.
        """
        rate = exchange_rates().get(listing.currency)
        if self.budget is None or listing.price is None or rate is None:
            return None
        return Money(self.budget, settings.MARKET_CURRENCY) if float(listing.price) * rate <= self.budget else None


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
    buyer, wishes = buyer_context.buyer, tuple(wish.filters for wish in buyer_context.wishes)
    if buyer is None:
        return NO_EVIDENCE
    saved = saved_searches_of(buyer_context) if wishes else ()
    if not buyer_context.is_personal:
        return BuyerEvidence(wishes=wishes, saved=saved)
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
    return BuyerEvidence(values, budget, wishes, saved)


def saved_searches_of(buyer_context: BuyerContext) -> tuple[ListingFilters, ...]:
    """The newest saved searches that ask for something, but those with words or circles, which a row cannot judge."""
    if buyer_context.read is None:
        stored = list(SavedSearch.objects.filter(buyer=buyer_context.buyer).values_list("query", flat=True))
    else:
        stored = list(buyer_context.read.searches)
    searches = [ListingFilters.from_query(query) for query in stored[:SEARCHES_READ]]
    nothing = ListingFilters()
    return tuple(search for search in searches if search != nothing and left_to_sql(search) == nothing)


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
    if value and (known is None or is_stronger(done, known)):
        values[name, value] = done


def is_stronger(done: str, known: str) -> bool:
    return STRENGTH[done] > STRENGTH[known]


def value_of(listing: Listing, name: str) -> Any:
    if name == "make":
        return listing.make.slug if listing.make else ""
    if name == "model":
        return listing.car_model_id
    return (listing.seller.kind if listing.seller else "") if name == "seller" else getattr(listing, FIELDS[name])
