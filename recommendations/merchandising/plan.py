"""The rules that apply to one list, and their effects on its cars.

Rules take effect in this order. Hidden cars are never shown, pinned or not. Pins take their ranks by priority; if a
rank is taken, the next pin goes one rank down. Caps count pinned cars, but remove none. Boosts and buries of one car
multiply its odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.context import BuyerContext
from recommendations.engine.draws import point_of
from recommendations.listings.index import borrow_index
from recommendations.merchandising.rules import Action, Audience, Rule, current_rules

LEAST_CARS, LEAST_SHARE = 2, 0.2  # of the cars dealt with lately, for an interest


@dataclass(frozen=True)
class Plan:
    """Rules of one list by action, each in order; those that the buyer is held out of have no effect but are recorded.

    ``room`` is how many more cars each cap allows, in the order of ``caps``; see ``with_room``.
    """

    hides: tuple[Rule, ...] = ()
    pins: tuple[Rule, ...] = ()
    caps: tuple[Rule, ...] = ()
    moves: tuple[Rule, ...] = ()
    held_out: tuple[Rule, ...] = ()
    room: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.held_out)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return those that apply."""
        return (*self.hides, *self.pins, *self.caps, *self.moves)

    def restrict(self, filters: ListingFilters) -> ListingFilters:
        """Return the filters without hidden cars, so that hiding works wherever filters do."""
        return filters.without(*(rule.target for rule in self.hides))

    def with_room(self, k: int, listed: Sequence[int]) -> Plan:
        """Return the plan for the rest of a list of ``k`` that has some cars already."""
        if not self.caps:
            return self
        n_listed = [int(matches(rule.target, listed).sum()) for rule in self.caps]
        room = [int(rule.share * k + 1e-9) - n for rule, n in zip(self.caps, n_listed, strict=True)]
        return replace(self, room=tuple(max(n, 0) for n in room))

    @property
    def widening(self) -> list[ListingFilters]:
        """Return filters of further candidates: cars that are boosted, and cars that replace buried or capped ones."""
        lifted = [rule.target for rule in self.moves if rule.logits > 0]
        held_back = [rule.target for rule in (*self.caps, *self.moves) if rule.logits < 0 or rule.action == Action.CAP]
        return [*lifted, *(ListingFilters().without(target) for target in held_back)]

    def added_to(self, listing_ids: Sequence[int]) -> dict[str, NDArray[np.float64]]:
        """Return by term what it adds to the score of each listing."""
        return {rule.term: np.where(matches(rule.target, listing_ids), rule.logits, 0.0) for rule in self.moves}

    def capped(self, listing_ids: Sequence[int]) -> NDArray[np.bool_]:
        """Return which listings each cap with room counts, shape (n_listings, n_caps)."""
        of_caps = [matches(rule.target, listing_ids) for rule in self.caps[: len(self.room)]]
        return np.stack(of_caps, axis=1) if of_caps else np.zeros((len(listing_ids), 0), bool)

    def promoted(self, listing_ids: Sequence[int]) -> set[int]:
        """Return listings to be labelled because a paid rule boosts them; pins know their own."""
        found: set[int] = set()
        for rule in self.moves:
            if rule.is_promoted and rule.logits > 0:
                found.update(np.asarray(listing_ids)[matches(rule.target, listing_ids)].tolist())
        return found

    def record(self, listing_ids: Sequence[int], pinned: Mapping[int, int], promoted: Sequence[int]) -> dict[str, Any]:
        """Return the record of a list: positions of each rule's cars (1 is the top), and of labelled ones.

        ``pinned`` is listing id -> rule id.
        """
        if not self and not promoted:
            return {}
        applied = {}
        for rule in self.rules:
            if rule.action == Action.PIN:
                is_touched = np.array([pinned.get(key) == rule.id for key in listing_ids], bool)
            else:
                is_touched = matches(rule.target, listing_ids)
            applied[str(rule.id)] = places(is_touched)
        held_out = {str(rule.id): places(matches(rule.target, listing_ids)) for rule in self.held_out}
        return {"applied": applied, "held_out": held_out, "promoted": list(promoted)}


NO_PLAN = Plan()


def places(is_touched: NDArray[np.bool_]) -> list[int]:
    return (np.flatnonzero(is_touched) + 1).tolist()


def plan_for(
    placement: str,
    buyer_id: int | None,
    buyer_context: BuyerContext | None,
    *,
    now: datetime | None = None,
    rules: Sequence[Rule] | None = None,
) -> Plan:
    """Return the rules that apply to a list of one buyer at a placement, now or at another time.

    ``rules`` replace the stored ones, for a preview.
    """
    now = now or timezone.now()
    known = current_rules() if rules is None else rules
    holding = [
        rule
        for rule in sorted(known, key=lambda rule: rule.order)
        if (not rule.placements or placement in rule.placements) and rule.is_on(now) and is_for(rule, buyer_context)
    ]
    held_out = tuple(rule for rule in holding if is_held_out(rule, buyer_id))
    holding = [rule for rule in holding if rule not in held_out]
    by_action = {action: tuple(rule for rule in holding if rule.action == action) for action in Action}
    return Plan(
        hides=by_action[Action.HIDE],
        pins=by_action[Action.PIN],
        caps=by_action[Action.CAP],
        moves=tuple(rule for rule in holding if rule.action in (Action.BOOST, Action.BURY)),
        held_out=held_out,
    )


def hidden_everywhere(filters: ListingFilters) -> ListingFilters:
    """Return filters without the cars that are hidden for all placements and buyers."""
    now = timezone.now()
    hides = [rule for rule in current_rules() if rule.action == Action.HIDE and not rule.placements]
    return filters.without(*(rule.target for rule in hides if rule.audience == Audience.ALL and rule.is_on(now)))


def is_held_out(rule: Rule, buyer_id: int | None) -> bool:
    """Whether a buyer is held out of a rule: always the same ones, independently for each rule. False without a
    buyer."""
    if not rule.holdout or buyer_id is None:
        return False
    return point_of(f"merchandising:{rule.id}:{buyer_id}") < rule.holdout


def is_for(rule: Rule, buyer_context: BuyerContext | None) -> bool:
    """Whether a buyer is in the rule's audience."""
    if rule.audience == Audience.ALL:
        return True
    if rule.audience == Audience.COLD:
        return buyer_context is None or not buyer_context.is_personal
    opened = buyer_context.opened_ids if buyer_context else ()
    n_alike = int(matches(rule.interest, opened).sum()) if opened and rule.interest else 0
    return n_alike >= max(LEAST_CARS, LEAST_SHARE * len(opened))


def matches(target: ListingFilters, listing_ids: Sequence[int]) -> NDArray[np.bool_]:
    """Return which listings satisfy a target, shape (n_listings,): from memory where they are there, else from their
    rows."""
    ids = np.asarray(listing_ids, np.int64)
    found = np.zeros(len(ids), bool)
    is_known = np.zeros(len(ids), bool)
    with borrow_index() as listing_index:
        if listing_index is not None and len(ids):
            rows = listing_index.stock.rows_of(ids)
            is_known = rows >= 0
            found[is_known] = listing_index.matching(target, rows[is_known])
    if not is_known.all():
        unknown = ids[~is_known].tolist()
        matching = Listing.objects.filter(pk__in=unknown).matching(target).values_list("pk", flat=True)
        found |= np.isin(ids, list(matching))
    return found
