"""Cars that merchandising rules pin to ranks: which rank each gets, and how they stand among the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.merchandising.rules import Rule
from recommendations.serving.ranking import Candidate

PINNED = "pinned"  # the source of a car that a rule pinned

Chosen = tuple[Candidate, Listing]
FindCars = Callable[[ListingFilters, int, set[int]], list[Chosen]]


def pinned_cars(pins: Sequence[Rule], k: int, find: FindCars) -> dict[int, Chosen]:
    """Rank -> the car that is pinned to it, for a list of ``k``.

    Rules take their ranks in order; a rank that is taken sends a car down to the next free one, and a car that finds
    none within the list is not pinned. ``find`` gives so many cars of a target, the best first, less some that have a
    rank already; they stand at their ranks for certain, whatever their propensity in the list of the target.
    """
    by_rank: dict[int, Chosen] = {}
    taken: set[int] = set()
    for rule in pins:
        free = [rank for rank in range(rule.position, k + 1) if rank not in by_rank][: rule.n_pinned]
        cars = find(rule.target, len(free), taken) if free else []
        for rank, (candidate, listing) in zip(free, cars, strict=False):
            pinned = candidate._replace(source=PINNED, rule_id=rule.id, propensity=1.0, placed_by=PINNED)
            by_rank[rank] = pinned, listing
            taken.add(candidate.listing_id)
    return by_rank


def pins_of_page(pins: Sequence[Rule], start: int) -> list[Rule]:
    """The pins of a page that begins after ``start`` cars: what is left of each from its first rank on."""
    ends = [rule.position + rule.n_pinned - 1 - start for rule in pins]  # the last rank of each, counted on the page
    return [
        replace(rule, position=max(rule.position - start, 1), n_pinned=min(rule.n_pinned, end))
        for rule, end in zip(pins, ends, strict=True)
        if end > 0
    ]


def in_ranks(pinned: Mapping[int, Chosen], others: Sequence[Chosen], k: int) -> list[Chosen]:
    """One list of at most ``k``: pinned cars at their ranks, or at the end where the list is too short for them."""
    if not pinned:
        return list(others[:k])
    waiting = iter(others)
    chosen = [pinned[rank] if rank in pinned else next(waiting, None) for rank in range(1, k + 1)]
    return [one for one in chosen if one is not None]
