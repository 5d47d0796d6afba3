"""The first cars of an order that are for sale now, each with its row, behind those that rules pin."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.exclusions import same_cars
from recommendations.serving.pins import in_ranks, pinned_cars, pins_of_page
from recommendations.serving.placements import Rules
from recommendations.serving.ranking import STAND_IN, Candidate, Ranked, RankRequest, rank
from recommendations.serving.reading import Reading
from recommendations.serving.requests import ListRequest
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.scorer import Scorer

SMALLEST_POOL = 100
SPARE_ROWS = 5  # rows read beyond those asked for, in case some were just sold
POOL_GROWTH = 4  # each further look goes so many times deeper
SHOWN_OFTEN = "shown often"  # and so it stepped back for others


@dataclass(frozen=True, eq=False)
class SelectionContext:
    """What a list is chosen from: what is for sale this moment, or what a what-if supposes.

    Attributes:
        rank: Puts candidates in order, as ``ranking.rank`` does.
        on_sale: Listings that may be listed at all; None: those that are for sale this moment.
        dismissed: Ids that this buyer must not be shown.
        frequency_capped: Ids that step back for others, but come back before a list gets short.
    """

    rank: Callable[[RankRequest], Ranked]
    on_sale: ListingQuerySet | None
    dismissed: Set[int]
    frequency_capped: Set[int]


def choose(request: ListRequest, reading: Reading, k: int) -> tuple[list[tuple[Candidate, Listing]], Scorer | None]:
    """The first ``k`` candidates, each with its row as it is for sale this moment; and how they were scored."""
    left_out = same_cars(request.left_out) if request.left_out else set()
    selection = SelectionContext(rank, None, reading.dismissed | left_out, reading.frequency_capped)
    return choose_from(selection, request, reading.rules, reading.buyer_context, k)


def choose_from(
    selection: SelectionContext, request: ListRequest, rules: Rules, buyer_context: BuyerContext | None, k: int
) -> tuple[list[tuple[Candidate, Listing]], Scorer | None]:
    """The first ``k`` candidates of an offer, each with its row; and how they were scored."""
    filters = rules.plan.restrict(request.filters.together_with(rules.filters))
    dismissed, frequency_capped = selection.dismissed, selection.frequency_capped
    cars: set[str] = set()
    scorer = None

    whole = RankRequest(
        filters=filters, switch=request.source, buyer_context=buyer_context, rules=rules, k=k, n=k, exclude=dismissed
    )

    def best_of(target: ListingFilters, n: int, taken: set[int]) -> list[tuple[Candidate, Listing]]:
        """The best cars of a merchandising rule, frequency-capped ones too."""
        nonlocal scorer
        both, uncapped = target.together_with(filters), replace(rules, plan=replace(rules.plan, caps=()))
        ranked = selection.rank(
            replace(whole, filters=both, rules=uncapped, k=n, n=n + SPARE_ROWS, exclude=dismissed | taken)
        )
        scorer = ranked.scorer
        best_first = sorted(ranked.candidates, key=lambda one: -one.score)
        return for_sale(best_first, both, n, selection.on_sale, cars)

    pinned = pinned_cars(pins_of_page(rules.plan.pins, request.starts_after), k, best_of)
    length, k = k, k - len(pinned)
    chosen: list[tuple[Candidate, Listing]] = []
    seen: set[int] = {candidate.listing_id for candidate, _ in pinned.values()}
    phases = [(dismissed | frequency_capped, STAND_IN), (dismissed, SHOWN_OFTEN)]
    for exclude, late in phases if frequency_capped else [(dismissed, STAND_IN)]:  # what stepped back comes back
        n = max(POOL_GROWTH * k, SMALLEST_POOL)
        while (wanted := k - len(chosen)) > 0:
            listed = [candidate.listing_id for candidate, _ in (*pinned.values(), *chosen)]
            capped = replace(rules, plan=rules.plan.with_room(length, listed))
            ranked = selection.rank(replace(whole, rules=capped, k=wanted, n=n, exclude=exclude | seen))
            scorer = ranked.scorer
            seen.update(candidate.listing_id for candidate in ranked.candidates)
            found = for_sale(ranked.candidates, filters, wanted, selection.on_sale, cars)
            is_first = not chosen
            found = with_known_propensities(found, ranked.candidates, is_first=is_first)
            chosen += found if is_first else placed_late(found, late)
            if ranked.is_everything:
                break
            n *= POOL_GROWTH
    return in_ranks(pinned, chosen, length), scorer


def for_sale(
    pool: Sequence[Candidate],
    filters: ListingFilters,
    k: int,
    on_sale: ListingQuerySet | None = None,
    cars: set[str] | None = None,
) -> list[tuple[Candidate, Listing]]:
    """The first k candidates that can be bought right now and match right now, with their rows, each car once.

    ``on_sale`` are other listings that may be listed, where a what-if supposes so. ``cars`` are the ``car_key`` of cars
    that are not wanted again; those that are found are added.

    Usually one query: rows are read a few beyond those wanted, and more only where that many were just sold.
    """
    found: list[tuple[Candidate, Listing]] = []
    cars = set() if cars is None else cars
    start = 0
    while len(found) < k and start < len(pool):
        some = pool[start : start + k - len(found) + SPARE_ROWS]
        start += len(some)
        ids = [candidate.listing_id for candidate in some]
        if on_sale is None:
            rows = rows_for_sale(ids, filters)
        else:
            rows = on_sale.matching(filters).with_card_data().in_bulk(ids)
        for candidate in some:
            row = rows.get(candidate.listing_id)
            if row is None or row.car_key in cars or len(found) == k:
                continue
            found.append((candidate, row))
            if row.car_key:  # without one, a listing is a car of its own
                cars.add(row.car_key)
    return found


def with_known_propensities(
    found: Sequence[tuple[Candidate, Listing]], pool: Sequence[Candidate], *, is_first: bool
) -> list[tuple[Candidate, Listing]]:
    """Those found in a pool, of which some stand where they were not drawn to: how likely that was is not known.

    They are the ones below a candidate that was passed over, as it was sold a moment ago or is another advertisement of
    a car in the list; and all that are not of the first draw of a list, as the next ones rest on the same chance. Where
    chance has no part in them, all stand where they do for certain.
    """
    moved_up = next((at for at, (candidate, _) in enumerate(found) if candidate is not pool[at]), len(found))
    at = moved_up if is_first else 0
    if all(candidate.propensity == 1.0 for candidate in pool[at:]):
        return list(found)
    return [*found[:at], *((replace(candidate, propensity=None), row) for candidate, row in found[at:])]


def placed_late(found: Sequence[tuple[Candidate, Listing]], reason: str) -> list[tuple[Candidate, Listing]]:
    return [(replace(candidate, placed_by=reason), row) for candidate, row in found]
