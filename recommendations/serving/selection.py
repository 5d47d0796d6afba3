"""Select the items of a list: pinned listings, then the first candidates that are for sale now, with their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from catalog.filters import ListingFilters
from catalog.querysets import ListingQuerySet
from recommendations.buyers.context import BuyerContext
from recommendations.buyers.exclusions import same_cars
from recommendations.serving.pins import Chosen, in_ranks, pinned_cars, pins_of_page
from recommendations.serving.ranking import STAND_IN, Candidate, Ranked, RankRequest, rank
from recommendations.serving.reading import Reading
from recommendations.serving.requests import ListRequest
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer

SMALLEST_POOL = 100
SPARE_ROWS = 5  # rows read beyond those asked for, in case some were just sold
POOL_GROWTH = 4  # each further look goes so many times deeper
SHOWN_OFTEN = "shown often"  # and so it stepped back for others


@dataclass(frozen=True, eq=False)
class SelectionContext:
    """What a list is selected from: the listings for sale now, or those that a what-if supposes.

    Attributes:
        rank: Ranks candidates, as ``ranking.rank`` does.
        on_sale: The listings that may be in the list; None: those for sale now.
        dismissed: Ids that this buyer must not be shown.
        frequency_capped: Ids that were shown often, used only where the list would be too short without them.
    """

    rank: Callable[[RankRequest], Ranked]
    on_sale: ListingQuerySet | None
    dismissed: Set[int]
    frequency_capped: Set[int]


def choose(request: ListRequest, reading: Reading, k: int) -> tuple[list[Chosen], Scorer | None]:
    """The first ``k`` candidates that are for sale now, each with its row, and their scorer."""
    left_out = same_cars(request.left_out) if request.left_out else set()
    selection = SelectionContext(rank, None, reading.dismissed | left_out, reading.frequency_capped)
    return choose_from(selection, request, reading.rules, reading.buyer_context, k)


def choose_from(
    selection: SelectionContext, request: ListRequest, rules: Rules, buyer_context: BuyerContext | None, k: int
) -> tuple[list[Chosen], Scorer | None]:
    """The first ``k`` candidates of a selection context, each with its row, and their scorer."""
    whole = RankRequest(
        filters=rules.plan.restrict(request.filters.together_with(rules.filters)),
        switch=request.source, buyer_context=buyer_context, rules=rules, k=k, n=k, exclude=selection.dismissed,
    )  # fmt: skip
    cars: set[str] = set()
    pinned, scorer_of_pins = pin_cars(selection, whole, request.starts_after, cars)
    others, scorer = choose_others(selection, whole, pinned, cars)
    return in_ranks(pinned, others, k), scorer or scorer_of_pins


def pin_cars(
    selection: SelectionContext, whole: RankRequest, starts_after: int, cars: set[str]
) -> tuple[dict[int, Chosen], Scorer | None]:
    """Rank -> the listing that a merchandising rule pins there, and the scorer; adds their cars' keys to ``cars``.

    A frequency cap does not keep a listing from being pinned.
    """
    uncapped = replace(whole.rules, plan=replace(whole.rules.plan, caps=()))
    scorer = None

    def best_of(target: ListingFilters, n: int, taken: set[int]) -> list[Chosen]:
        nonlocal scorer
        filters, exclude = target.together_with(whole.filters), selection.dismissed | taken
        ranked = selection.rank(replace(whole, filters=filters, rules=uncapped, k=n, n=n + SPARE_ROWS, exclude=exclude))
        scorer = ranked.scorer
        best_first = sorted(ranked.candidates, key=lambda one: -one.score)
        return for_sale(best_first, filters, n, selection.on_sale, cars)

    return pinned_cars(pins_of_page(whole.rules.plan.pins, starts_after), whole.k, best_of), scorer


def choose_others(
    selection: SelectionContext, whole: RankRequest, pinned: Mapping[int, Chosen], cars: set[str]
) -> tuple[list[Chosen], Scorer | None]:
    """The listings between the pinned ones; frequency-capped ones only where there are too few others."""
    k, plan, scorer = whole.k - len(pinned), whole.rules.plan, None
    chosen: list[Chosen] = []
    seen = {candidate.listing_id for candidate, _ in pinned.values()}
    phases = [(selection.dismissed | selection.frequency_capped, STAND_IN), (selection.dismissed, SHOWN_OFTEN)]
    for exclude, late in phases if selection.frequency_capped else [(selection.dismissed, STAND_IN)]:
        n = max(POOL_GROWTH * k, SMALLEST_POOL)
        while (wanted := k - len(chosen)) > 0:
            listed = [candidate.listing_id for candidate, _ in (*pinned.values(), *chosen)]
            capped = replace(whole.rules, plan=plan.with_room(whole.k, listed))
            ranked = selection.rank(replace(whole, rules=capped, k=wanted, n=n, exclude=exclude | seen))
            scorer = ranked.scorer
            seen.update(candidate.listing_id for candidate in ranked.candidates)
            found = for_sale(ranked.candidates, whole.filters, wanted, selection.on_sale, cars)
            is_first = not chosen
            found = with_known_propensities(found, ranked.candidates, is_first=is_first)
            chosen += found if is_first else placed_late(found, late)
            if ranked.is_everything:
                break
            n *= POOL_GROWTH
    return chosen, scorer


def for_sale(
    pool: Sequence[Candidate],
    filters: ListingFilters,
    k: int,
    on_sale: ListingQuerySet | None = None,
    cars: set[str] | None = None,
) -> list[Chosen]:
    """The first k candidates that are for sale and match the filters now, with their rows, each car once.

    ``on_sale`` replaces the listings for sale, for a what-if. ``cars`` holds the ``car_key`` of cars that are in the
    list already; those found here are added.

    Usually one query: a few more rows than k are read, and again only where more than those were just sold.
    """
    found: list[Chosen] = []
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


def with_known_propensities(found: Sequence[Chosen], pool: Sequence[Candidate], *, is_first: bool) -> list[Chosen]:
    """The found listings, with propensity None for those whose position the policy did not draw.

    These are the ones below a candidate that was skipped (just sold, or another listing of a car in the list), and all
    of a later ranking for the same list, since its draws depend on the first. Where no candidate was drawn, every
    propensity is 1 and stays so.
    """
    moved_up = next((at for at, (candidate, _) in enumerate(found) if candidate is not pool[at]), len(found))
    at = moved_up if is_first else 0
    if all(candidate.propensity == 1.0 for candidate in pool[at:]):
        return list(found)
    return [*found[:at], *((candidate._replace(propensity=None), row) for candidate, row in found[at:])]


def placed_late(found: Sequence[Chosen], reason: str) -> list[Chosen]:
    return [(candidate._replace(placed_by=reason), row) for candidate, row in found]
