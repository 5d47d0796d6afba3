"""Make a list: read the rules and the buyer, rank candidates, select those for sale, explain them, log the list.

The API answers and the admin previews what ``recommend`` makes. The chosen rows are read from the database last, and
that read decides which listings are still for sale.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.conf import settings
from django.utils import timezone

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations import telemetry
from recommendations.buyers.context import BuyerContext, buyer_context_in
from recommendations.buyers.exclusions import same_cars
from recommendations.buyers.preferences import preference_in_space
from recommendations.engine.draws import point_of
from recommendations.events.served_lists import writer
from recommendations.exceptions import RankerRefused
from recommendations.listings.other_versions import borrow_served_version
from recommendations.merchandising.plan import Plan, plan_for
from recommendations.models import Placement, ServedList
from recommendations.models.experiments import INTERLEAVED
from recommendations.serving.interleaving import NEITHER, TEAMS, team_draft
from recommendations.serving.ranking import rank_in
from recommendations.serving.reading import Reading, read_for_list, under
from recommendations.serving.recommended import (
    RecommendedList,
    RecommendedListing,
    as_recommended_list,
    items_of,
    kept_items_of,
    live_ranker,
)
from recommendations.serving.requests import ListRequest as ListRequest
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer
from recommendations.serving.selection import SelectionContext, choose, choose_from

logger = logging.getLogger(__name__)
PAGES_OF_FULL_LENGTH = 10


def recommend(request: ListRequest) -> RecommendedList:
    """The best listings for sale for a buyer; exactly ``k`` of them whenever that many match the filters."""
    with telemetry.LIST_SECONDS.time():
        reading = read_for_list(request.placement, request.buyer)
        k = reading.rules.placement.k if request.k is None else request.k
        if request.starts_after:
            k = max(min(k, longest_list() - request.starts_after), 0)
        try:
            made = make_list(request, reading, k)
        except RankerRefused as refusal:  # a variant's version is gone: the list is made as without an experiment
            logger.error("experiment %s: %s", reading.rules.experiment, refusal)
            reading = under(reading, Rules(Placement.objects.get(slug=request.placement)), request.buyer)
            made = make_list(request, reading, k)
        answer = replace(
            as_recommended_list(made.items, made.scorer),
            experiment=reading.rules.experiment,
            variant=reading.rules.variant,
            goes_on_from=request.goes_on_from,
            has_next=0 < len(made.items) == k and request.starts_after + k < longest_list(),
        )
        log_served(answer, request, replace(reading.rules, plan=made.plan))
        return answer


def longest_list() -> int:
    """The number of listings on all pages of one list together, at most."""
    return PAGES_OF_FULL_LENGTH * settings.RECOMMENDATIONS_MAX_K


@dataclass(frozen=True, eq=False)
class MadeList:
    """The items of a list, the scorer they were ranked by, and the plan of merchandising rules that was applied."""

    items: list[RecommendedListing]
    scorer: Scorer | None
    plan: Plan


def make_list(request: ListRequest, reading: Reading, k: int) -> MadeList:
    """Make a list by the live version, by the version that the rules name, or by two variants interleaved.

    Raises RankerRefused when the named version cannot serve.
    """
    if reading.rules.other is not None:
        return make_interleaved(request, reading, reading.rules.other, k)
    named, live = reading.rules.version_id, reading.buyer_context and reading.buyer_context.version_id
    if named is not None and named != live:
        return make_by_version(request, reading, named, k)
    rules = with_plan(reading.rules, request.buyer, reading.buyer_context)
    chosen, scorer = choose(request, replace(reading, rules=rules), k) if k else ([], None)
    if named is not None and scorer and scorer.buyer_context.version_id != named:  # a promotion came in between
        return make_by_version(request, reading, named, k)
    return MadeList(kept_items_of(chosen, scorer, rules.plan), scorer, rules.plan)


def make_by_version(request: ListRequest, reading: Reading, version_id: int, k: int) -> MadeList:
    """Make a list by a version that is not live, with the buyer's preference under that version."""
    with borrow_served_version(version_id) as listing_index:
        buyer = request.buyer
        preference = preference_in_space(buyer, listing_index) if buyer else None
        buyer_context = buyer_context_in(listing_index, buyer, preference)
        rules = with_plan(reading.rules, buyer, buyer_context)
        left_out = same_cars(request.left_out) if request.left_out else set()
        selection = SelectionContext(
            partial(rank_in, listing_index), None, reading.dismissed | left_out, reading.frequency_capped
        )
        chosen, scorer = choose_from(selection, request, rules, buyer_context, k) if k else ([], None)
    # not cached: the context is a new object each time, so the items would never be found, and displace others
    return MadeList(items_of(chosen, scorer, *live_ranker(), rules.plan), scorer, rules.plan)


def with_plan(rules: Rules, buyer: Buyer | None, buyer_context: BuyerContext | None) -> Rules:
    """The rules of a placement, with the merchandising rules that apply to the buyer now."""
    plan = plan_for(rules.placement.slug, buyer.pk if buyer else None, buyer_context)
    return replace(rules, plan=plan) if plan else rules


def make_interleaved(request: ListRequest, reading: Reading, other: Rules, k: int) -> MadeList:
    """Make one list by each of two variants, and interleave their listings.

    A listing that a merchandising rule pinned keeps its position and counts for neither variant. The propensities of an
    interleaved list are not known.
    """
    control, rival = (
        make_list(request, under(reading, rules, request.buyer), k)
        for rules in (replace(reading.rules, other=None), replace(other, other=None))
    )
    pinned = {item.position: replace(item, team=NEITHER) for item in control.items if item.rule_id}
    lists = tuple([item for item in made.items if not item.rule_id] for made in (control, rival))
    rest = iter(
        interleave(lists, k, list(pinned.values()), control, f"{reading.rules.experiment}:{request.starts_after}")
    )
    placed: list[RecommendedListing] = []
    while len(placed) < k and (item := pinned.get(len(placed) + 1) or next(rest, None)):
        placed.append(replace(item, position=len(placed) + 1))
    return MadeList(placed, control.scorer, control.plan)


def interleave(
    lists: Sequence[Sequence[RecommendedListing]],
    k: int,
    pinned: Sequence[RecommendedListing],
    made: MadeList,
    name: str,
) -> list[RecommendedListing]:
    """Interleave two lists by team draft, up to ``k`` items including the pinned ones.

    The coin flips are a function of the buyer and the number of their events, so a list stays the same until the buyer
    acts. Caps of merchandising rules apply to the whole list; they give way where it would have fewer than ``k`` items.
    """
    context = made.scorer.buyer_context if made.scorer else None
    buyer_id = context.buyer.pk if context and context.buyer else 0
    occasion = f"{name}:{buyer_id}:{context.n_events if context else 0}"
    cars = tuple([car_of(item.listing) for item in items] for items in lists)
    room = Room(made.plan, [item.listing.pk for item in pinned], k)
    chosen: list[tuple[int, int]] = []
    for takes in (room.takes, lambda _: True):
        listed = [car_of(item.listing) for item in pinned] + [cars[team][at] for team, at in chosen]
        chosen += team_draft(
            (cars[0], cars[1]),
            k - len(listed),
            lambda number: point_of(f"{occasion}:{number}") < 1 / 2,
            lambda team, at, takes=takes: takes(lists[team][at].listing.pk),  # type: ignore[misc]
            listed,
        )
    return [replace(lists[team][at], team=TEAMS[team], propensity=None, placed_by=INTERLEAVED) for team, at in chosen]


def car_of(listing: Listing) -> str:
    """The key that all listings of one car share; a listing without one is a car of its own."""
    return listing.car_key or f"#{listing.pk}"


class Room:
    """How many more listings the caps of merchandising rules allow in an interleaved list of ``k``."""

    def __init__(self, plan: Plan, listed: Sequence[int], k: int) -> None:
        self._plan = plan.with_room(k, listed)
        self._left = list(self._plan.room)

    def takes(self, listing_id: int) -> bool:
        """Whether a listing may be added; if so, it is counted."""
        if not self._left:
            return True
        counts = self._plan.capped([listing_id])[0]
        if any(is_counted and left <= 0 for is_counted, left in zip(counts, self._left, strict=True)):
            return False
        self._left = [left - int(is_counted) for is_counted, left in zip(counts, self._left, strict=True)]
        return True


def log_served(answer: RecommendedList, request: ListRequest, rules: Rules) -> None:
    """Record a list that was answered; a background thread writes it to the database a moment later."""
    served = row_of(answer, request.buyer, request.filters)
    served.placement = rules.placement if rules.placement.pk else None
    served.variant = rules.variant
    served.teams = "".join(item.team for item in answer.items)
    served.merchandising = rules.plan.record(
        [item.listing.pk for item in answer.items],
        {item.listing.pk: item.rule_id for item in answer.items if item.rule_id},
        [item.position for item in answer.items if item.is_promoted],
    )
    served.looks_at = request.source
    served.goes_on_from, served.starts_after = request.goes_on_from, request.starts_after
    served.left_out = sorted(request.left_out)
    writer.write(served)
    telemetry.LISTS.labels(request.placement, str(answer.is_personalised).lower()).inc()
    for item in answer.items:
        telemetry.ITEMS.labels(item.source).inc()


def row_of(
    answer: RecommendedList, buyer: Buyer | None, filters: ListingFilters, kind: str = ServedList.Kind.RECOMMENDED
) -> ServedList:
    """The row that records a list of any kind."""
    return ServedList(
        id=answer.id,
        kind=kind,
        buyer=buyer,
        version_id=answer.version_id,
        served_at=timezone.now(),
        filters=filters.as_query(),
        listing_ids=[item.listing.pk for item in answer.items],
        scores=[item.score for item in answer.items],
        sources=[item.source for item in answer.items],
        propensities=[item.propensity for item in answer.items],
    )
