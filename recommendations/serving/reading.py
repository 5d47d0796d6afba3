"""Read the rules of a placement and the context of a buyer, in one statement, before a list is made.

The buyer's state is cached between lists; ``buyers.state`` says which parts are read again every time. Each part equals
what its separate function reads (``rules_of``, ``load_buyer_context``, ``dismissed_listings``,
``frequency_capped_listings``); a test compares them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cachetools import LRUCache

from accounts.models import Buyer
from recommendations.buyers.context import BuyerContext, buyer_context_in, load_buyer_context
from recommendations.buyers.exclusions import dismissed_listings, frequency_capped_listings
from recommendations.buyers.state import BuyerState, preference_in, read_buyer_state
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.models import Placement, Preference
from recommendations.serving.placements import rules_for, rules_of
from recommendations.serving.rules import Rules

BUYERS_KEPT = 250  # of one process; each takes up to 200 kB, most of it a covariance, without its lists
LISTS_AS_LARGE = 400  # lists that take as much: who was shown so many more counts as one buyer more
NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Reading:
    """What is read before a list is made.

    Attributes:
        rules: Of the placement, for this buyer.
        buyer_context: The buyer as numbers; None before any version is live.
        dismissed: Listings that must not be shown.
        frequency_capped: Listings that were shown often, used only where there are not enough others.
    """

    rules: Rules
    buyer_context: BuyerContext | None
    dismissed: Set[int]
    frequency_capped: Set[int]


def under(reading: Reading, rules: Rules, buyer: Buyer | None) -> Reading:
    """The same reading under other rules of its placement, whose frequency cap may be another."""
    times = rules.placement.times_shown_at_most
    if buyer is None or times == reading.rules.placement.times_shown_at_most:
        return replace(reading, rules=rules)
    return replace(reading, rules=rules, frequency_capped=frozenset(frequency_capped_listings(buyer, times)))


@dataclass(frozen=True, eq=False)
class Kept:
    """The cached state and context of a buyer; ``basis`` is what the context was made of, compared before reuse."""

    state: BuyerState
    context: BuyerContext
    basis: tuple[Any, ...]


def size_of(kept: Kept) -> int:
    """Memory of an entry, in usual buyers: one that asks for lists all the time (a monitor) counts as many."""
    return 1 + len(kept.state.shown.lists.by_key) // LISTS_AS_LARGE


_lock = threading.Lock()
_kept: LRUCache[int, Kept] = LRUCache(BUYERS_KEPT, getsizeof=size_of)
_cold: tuple[object, BuyerContext] | None = None  # replaced as a whole, so no lock is needed


def read_for_list(placement: str, buyer: Buyer | None) -> Reading:
    """The rules of a placement and the buyer's context; one statement, unless the preference is behind the log."""
    with borrow_index() as listing_index:
        held = (listing_index.version_id, listing_index.state, listing_index.cars) if listing_index else None
    if buyer is None and held is not None:
        return Reading(rules_of(placement, None), cold_context(), NOTHING, NOTHING)
    if buyer is None or held is None:
        return read_separately(placement, buyer)
    version_id, stock, cars = held
    with _lock:
        kept = _kept.get(buyer.pk)
    state = read_buyer_state(
        buyer,
        version_id=version_id,
        stock=stock,
        cars=cars,
        placement=placement,
        kept=kept.state if kept else None,
    )
    rules = rules_in(state.placement, placement, buyer)
    context = context_of(buyer, state, kept)
    capped = state.shown.listings_shown(rules.placement.times_shown_at_most)
    return Reading(rules, context, state.log.dismissed, capped)


def read_separately(placement: str, buyer: Buyer | None) -> Reading:
    """The same by one query for each part."""
    rules = rules_of(placement, buyer)
    return Reading(
        rules,
        load_buyer_context(buyer),
        dismissed_listings(buyer) if buyer else NOTHING,
        frequency_capped_listings(buyer, rules.placement.times_shown_at_most) if buyer else NOTHING,
    )


def cold_context() -> BuyerContext | None:
    """The context of a cold buyer: the same object while the listing index does not change."""
    global _cold
    with borrow_index() as listing_index:
        if listing_index is None:
            return None
        if _cold is None or _cold[0] is not listing_index.state:
            _cold = listing_index.state, buyer_context_in(listing_index, None, None)
        return _cold[1]


def context_of(buyer: Buyer, state: BuyerState, kept: Kept | None) -> BuyerContext | None:
    """The context of a buyer: the cached one where nothing that it is made of has changed."""
    preference = preference_in(state, buyer)  # before the index is borrowed: others may use it while this is computed
    with borrow_index() as listing_index:
        if listing_index is None or listing_index.version_id != state.version_id:  # a promotion came in between
            return load_buyer_context(buyer)
        basis = basis_of(listing_index, buyer, state, preference)
        if kept and kept.basis == basis:
            context = kept.context
        else:
            opened = state.log.opened if buyer.is_personalised else ()
            context = buyer_context_in(listing_index, buyer, preference, opened, state)
    keep(buyer, Kept(state, context, basis))
    return context


def keep(buyer: Buyer, kept: Kept) -> None:
    """Cache an entry for the buyer's next list, unless it alone would fill the cache."""
    with _lock:
        if size_of(kept) <= BUYERS_KEPT:
            _kept[buyer.pk] = kept
        else:
            _kept.pop(buyer.pk, None)


def basis_of(
    listing_index: ListingIndex, buyer: Buyer, state: BuyerState, preference: Preference | None
) -> tuple[Any, ...]:
    """Everything that a context is made of; where two are equal, so are the contexts."""
    # not the row itself: rows of one key are equal to Django, whatever they hold
    stamp = (preference.computed_at, preference.n_interactions, preference.basis) if preference else None
    asking = (buyer.is_personalised, buyer.latitude, buyer.longitude, json.dumps(buyer.questionnaire, sort_keys=True))
    return listing_index.state, state.log, stamp, json.dumps(state.searches), state.saved_at, asking


def rules_in(content: str | None, slug: str, buyer: Buyer) -> Rules:
    """The rules of the placement as read; those of a plain list where there is no such placement."""
    if content is None:
        return Rules(Placement(slug=slug))
    placement, experiment = placement_in(content)
    return rules_for(placement, experiment, buyer)


@lru_cache(maxsize=64)
def placement_in(content: str) -> tuple[Placement, dict[str, Any] | None]:
    """A placement and the experiment that runs on it, from JSON; shared between calls, so not to be changed."""
    row, experiment = json.loads(content)
    fields = {name: Placement._meta.get_field(name).to_python(value) for name, value in row.items()}  # type: ignore[union-attr]
    return Placement(**fields), experiment
