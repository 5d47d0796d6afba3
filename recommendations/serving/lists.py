"""The way of a list: buyer -> preference -> candidates -> order -> rows for sale -> reasons.

What the API answers and the admin previews comes from here. The chosen rows are read from the database last, and that
read decides what is still for sale.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from django.conf import settings
from django.utils import timezone

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from recommendations import telemetry
from recommendations.buyers.context import BuyerContext, buyer_context_in
from recommendations.buyers.exclusions import dismissed_listings, same_cars
from recommendations.buyers.preferences import preference_in_space
from recommendations.engine.draws import point_of
from recommendations.engine.ranker import Ranker, SourceSwitch
from recommendations.engine.reason import Kind, Reason
from recommendations.engine.reasons import reason_for
from recommendations.events.served_lists import writer
from recommendations.exceptions import RankerRefused
from recommendations.listings.index import borrow_index
from recommendations.listings.market_prices import ListingMarketPrice, in_own_currencies, market_prices_of
from recommendations.listings.other_versions import borrow_served_version
from recommendations.listings.retrieval import retriever_for
from recommendations.listings.rows import table_of
from recommendations.merchandising.plan import NO_PLAN, Plan, hidden_everywhere, plan_for
from recommendations.models import Placement, ServedList
from recommendations.models.experiments import INTERLEAVED
from recommendations.serving.explanations import Explanation, explain
from recommendations.serving.interleaving import NEITHER, TEAMS, team_draft
from recommendations.serving.kept_lists import KeptLists
from recommendations.serving.pins import PINNED, in_ranks, pinned_cars, pins_of_page
from recommendations.serving.placements import HOME, Rules
from recommendations.serving.ranking import BY_SCORE, PLACED_BY_WHY, STAND_IN, Candidate, Ranked, rank, rank_in
from recommendations.serving.reading import Reading, read_for_list, under
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.scorer import Scorer
from recommendations.serving.sources import SIMILAR, PromotedSource, reason_of_source
from recommendations.serving.wording import sentence

logger = logging.getLogger(__name__)

NO_FILTERS = ListingFilters()
SMALLEST_POOL = 100
SPARE_ROWS = 5  # rows read beyond those asked for, in case some were just sold
POOL_GROWTH = 4  # each further look goes so many times deeper
PAGES_OF_FULL_LENGTH = 10
SIMILAR_LISTS = uuid.UUID("6b0d1a52-6f8e-4c53-9a8e-0f2f5a7f3c11")  # the namespace of their ids
SAME_SCORE = 1e-6  # apart by rounding alone
SHOWN_OFTEN = "shown often"  # and so it stepped back for others
RANKED_BY = set(PLACED_BY_WHY.values())


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """One question: the best ``k`` cars for a buyer (or a cold buyer, None) under filters, at a placement.

    ``k`` left out is the placement's own. ``left_out`` are listings whose cars it must not hold. A next page is a
    question too: ``goes_on_from`` is the list before it, ``starts_after`` how many cars stand on the pages before.
    """

    buyer: Buyer | None
    k: int | None = None
    filters: ListingFilters = NO_FILTERS
    placement: str = HOME
    source: SourceSwitch = "hybrid"
    left_out: frozenset[int] = frozenset()
    goes_on_from: uuid.UUID | None = None
    starts_after: int = 0


@dataclass(frozen=True, eq=False)
class RecommendedListing:
    """One place in a list.

    Attributes:
        listing: Its row as it was for sale a moment ago, with make, model and seller.
        position: 1 is the top.
        score: How well it suits the buyer, in utility; higher is better.
        source: Who found it.
        reason: One sentence for the buyer, in the language of the request.
        terms: What each feature adds to the score; they add up to it.
        market_price: What such a car costs; None where that cannot be said.
        is_promoted: Whether it is to be labelled, for it stands where it does because that was paid for.
        rule_id: The merchandising rule that pinned it; 0 where none did.
        propensity: How likely it was to stand here, given those above it; None where that is not known.
        placed_by: ``score``, or what put it there in spite of it: see ``why_there``, and docs/lists.md for the words.
        team: Which of two variants chose it, where they made the list together: see ``interleaving``.
    """

    listing: Listing
    position: int
    score: float
    source: str
    reason: str
    terms: dict[str, float]
    market_price: ListingMarketPrice | None = None
    is_promoted: bool = False
    rule_id: int = 0
    propensity: float | None = 1.0
    placed_by: str = BY_SCORE
    team: str = ""


LISTS: KeptLists[RecommendedListing] = KeptLists()


@dataclass(frozen=True, eq=False)
class RecommendedList:
    id: uuid.UUID
    items: list[RecommendedListing]
    version_id: int | None
    is_personalised: bool
    n_events: int
    variant: str = ""
    goes_on_from: uuid.UUID | None = None
    has_next: bool = False
    experiment: str = ""


def recommend(request: ListRequest) -> RecommendedList:
    """The best cars for sale for a buyer; exactly ``k`` whenever so many match the filters."""
    with telemetry.LIST_SECONDS.time():
        reading = read_for_list(request.placement, request.buyer)
        k = reading.rules.placement.k if request.k is None else request.k
        if request.starts_after:
            k = max(min(k, longest_list() - request.starts_after), 0)
        try:
            made = make_list(request, reading, k)
        except RankerRefused as refusal:  # the version that a variant names is gone: its buyers are in no variant
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


@dataclass(frozen=True, eq=False)
class Made:
    """The cars of a list, how they were scored, and the merchandising rules that held."""

    items: list[RecommendedListing]
    scorer: Scorer | None
    plan: Plan


def make_list(request: ListRequest, reading: Reading, k: int) -> Made:
    """A list by the live version, by the one that the rules name, or by two variants together.

    Raises RankerRefused where a version that is named cannot answer.
    """
    if reading.rules.other is not None:
        return make_together(request, reading, reading.rules.other, k)
    named, live = reading.rules.version_id, reading.buyer_context and reading.buyer_context.version_id
    if named is not None and named != live:
        return make_by_version(request, reading, named, k)
    rules = with_plan(reading.rules, request.buyer, reading.buyer_context)
    chosen, scorer = choose(request, replace(reading, rules=rules), k) if k else ([], None)
    if named is not None and scorer and scorer.buyer_context.version_id != named:  # a promotion came in between
        return make_by_version(request, reading, named, k)
    return Made(kept_items_of(chosen, scorer, rules.plan), scorer, rules.plan)


def make_by_version(request: ListRequest, reading: Reading, version_id: int, k: int) -> Made:
    """The same in the space of a version, with what is believed of the buyer there."""
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
    # not kept: the context is another object each time, so they would never be found, and push out others
    return Made(items_of(chosen, scorer, *live_ranker(), rules.plan), scorer, rules.plan)


def make_together(request: ListRequest, reading: Reading, other: Rules, k: int) -> Made:
    """Two lists of the same length, one by each variant, and the cars of both in turns.

    What a merchandising rule pinned keeps its place and is of neither. How likely a car was to stand where it does is
    not known of such a list.
    """
    control, rival = (
        make_list(request, under(reading, rules, request.buyer), k)
        for rules in (replace(reading.rules, other=None), replace(other, other=None))
    )
    pinned = {item.position: replace(item, team=NEITHER) for item in control.items if item.rule_id}
    lists = tuple([item for item in made.items if not item.rule_id] for made in (control, rival))
    rest = iter(drafted(lists, k, list(pinned.values()), control, f"{reading.rules.experiment}:{request.starts_after}"))
    placed: list[RecommendedListing] = []
    while len(placed) < k and (item := pinned.get(len(placed) + 1) or next(rest, None)):
        placed.append(replace(item, position=len(placed) + 1))
    return Made(placed, control.scorer, control.plan)


def drafted(
    lists: Sequence[Sequence[RecommendedListing]], k: int, pinned: Sequence[RecommendedListing], made: Made, name: str
) -> list[RecommendedListing]:
    """The cars of two lists in turns, until ``k`` stand there with those that are pinned.

    The coins of a buyer stand still while nothing happens, as lists do. Caps of merchandising rules hold for the list
    as a whole, and give way rather than leave places empty.
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
    """What two advertisements of one car have in common; without a key, a listing is a car of its own."""
    return listing.car_key or f"#{listing.pk}"


class Room:
    """How many more cars the caps of merchandising rules let into a list of ``k`` that two make together."""

    def __init__(self, plan: Plan, listed: Sequence[int], k: int) -> None:
        self._plan = plan.with_room(k, listed)
        self._left = list(self._plan.room)

    def takes(self, listing_id: int) -> bool:
        """Whether a car may be added; one that may counts from now on."""
        if not self._left:
            return True
        counts = self._plan.capped([listing_id])[0]
        if any(is_counted and left <= 0 for is_counted, left in zip(counts, self._left, strict=True)):
            return False
        self._left = [left - int(is_counted) for is_counted, left in zip(counts, self._left, strict=True)]
        return True


def longest_list() -> int:
    """Cars on all pages of one list."""
    return PAGES_OF_FULL_LENGTH * settings.RECOMMENDATIONS_MAX_K


def choose(request: ListRequest, reading: Reading, k: int) -> tuple[list[tuple[Candidate, Listing]], Scorer | None]:
    """The first ``k`` candidates, each with its row as it is for sale this moment; and how they were scored."""
    left_out = same_cars(request.left_out) if request.left_out else set()
    selection = SelectionContext(rank, None, reading.dismissed | left_out, reading.frequency_capped)
    return choose_from(selection, request, reading.rules, reading.buyer_context, k)


class Rank(Protocol):
    """Candidates in order, as ``ranking.rank`` finds them."""

    def __call__(
        self,
        filters: ListingFilters,
        switch: SourceSwitch,
        buyer_context: BuyerContext | None,
        rules: Rules,
        k: int,
        n: int,
        exclude: Collection[int],
    ) -> Ranked: ...


@dataclass(frozen=True, eq=False)
class SelectionContext:
    """What a list is chosen from: what is for sale this moment, or what a what-if supposes.

    Attributes:
        rank: Puts candidates in order.
        on_sale: Listings that may be listed at all; None: those that are for sale this moment.
        dismissed: Ids that this buyer must not be shown.
        frequency_capped: Ids that step back for others, but come back before a list gets short.
    """

    rank: Rank
    on_sale: ListingQuerySet | None
    dismissed: Set[int]
    frequency_capped: Set[int]


def choose_from(
    selection: SelectionContext, request: ListRequest, rules: Rules, buyer_context: BuyerContext | None, k: int
) -> tuple[list[tuple[Candidate, Listing]], Scorer | None]:
    """The first ``k`` candidates of an offer, each with its row; and how they were scored."""
    filters = rules.plan.restrict(request.filters.together_with(rules.filters))
    dismissed, frequency_capped = selection.dismissed, selection.frequency_capped
    cars: set[str] = set()
    scorer = None

    def best_of(target: ListingFilters, n: int, taken: set[int]) -> list[tuple[Candidate, Listing]]:
        """The best cars of a merchandising rule, frequency-capped ones too."""
        nonlocal scorer
        both, uncapped = target.together_with(filters), replace(rules, plan=replace(rules.plan, caps=()))
        ranked = selection.rank(both, request.source, buyer_context, uncapped, n, n + SPARE_ROWS, dismissed | taken)
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
            ranked = selection.rank(filters, request.source, buyer_context, capped, wanted, n, exclude | seen)
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


def with_plan(rules: Rules, buyer: Buyer | None, buyer_context: BuyerContext | None) -> Rules:
    """The rules of a placement, with the merchandising rules that hold for the buyer there now."""
    plan = plan_for(rules.placement.slug, buyer.pk if buyer else None, buyer_context)
    return replace(rules, plan=plan) if plan else rules


def build_recommended_list(
    chosen: Sequence[tuple[Candidate, Listing]], scorer: Scorer | None, plan: Plan = NO_PLAN
) -> RecommendedList:
    """The chosen rows as a list, each with the terms of its score and a reason made of them."""
    return as_recommended_list(items_of(chosen, scorer, *live_ranker(), plan), scorer)


def live_ranker() -> tuple[Ranker | None, Mapping[str, float]]:
    """The ranker that is live, and what is typical of its listings; None and nothing before there is one."""
    with borrow_index() as listing_index:
        return (listing_index.ranker, listing_index.typical()) if listing_index else (None, {})


def kept_items_of(
    chosen: Sequence[tuple[Candidate, Listing]], scorer: Scorer | None, plan: Plan
) -> list[RecommendedListing]:
    """``items_of``, or the very items of an earlier list, where they would come out the same."""
    live, typical = live_ranker()
    return LISTS.get_or_make(chosen, scorer, live, typical, lambda: items_of(chosen, scorer, live, typical, plan))


def as_recommended_list(items: list[RecommendedListing], scorer: Scorer | None) -> RecommendedList:
    buyer_context = scorer.buyer_context if scorer else None
    return RecommendedList(
        id=uuid.uuid4(),
        items=items,
        version_id=buyer_context.version_id if buyer_context else None,
        is_personalised=buyer_context is not None and buyer_context.is_personal,
        n_events=buyer_context.n_events if buyer_context else 0,
    )


def items_of(
    chosen: Sequence[tuple[Candidate, Listing]],
    scorer: Scorer | None,
    live: Ranker | None,
    typical: Mapping[str, float],
    plan: Plan = NO_PLAN,
) -> list[RecommendedListing]:
    """The chosen rows explained; market prices are those of the live ranker, whichever scored."""
    listings = [listing for _, listing in chosen]
    promoted = promoted_among([candidate for candidate, _ in chosen], plan)
    is_personal = scorer is not None and scorer.buyer_context.is_personal
    explained = explain(listings, scorer)
    totals = [sum(explanation.breakdown.values(), 0.0) for explanation in explained]
    placed_by, scores = why_there([candidate for candidate, _ in chosen], totals)
    market_prices = market_prices_beside(listings, explained, scorer, live)
    return [
        RecommendedListing(
            listing=listing,
            position=position,
            score=scores[position - 1],
            source=candidate.source,
            reason=reason_in_words(
                explanation,
                PromotedSource.name if candidate.listing_id in promoted else candidate.source,
                typical,
                is_personal=is_personal,
            ),
            terms=explanation.breakdown,
            market_price=market_price,
            is_promoted=candidate.listing_id in promoted,
            rule_id=candidate.rule_id,
            propensity=candidate.propensity,
            placed_by=placed_by[position - 1],
        )
        for position, ((candidate, listing), explanation, market_price) in enumerate(
            zip(chosen, explained, market_prices, strict=True), start=1
        )
    ]


def market_prices_beside(
    listings: Sequence[Listing], explained: Sequence[Explanation], scorer: Scorer | None, live: Ranker | None
) -> Sequence[ListingMarketPrice | None]:
    """What cars like these cost, by the live ranker; computed once where that is the one that scored."""
    if scorer is not None and scorer.buyer_context.ranker is live:
        return in_own_currencies(listings, [each.market_price for each in explained])
    return market_prices_of(listings)


def reason_in_words(explanation: Explanation, source: str, typical: Mapping[str, float], *, is_personal: bool) -> str:
    """Why a car is in the list, in the language of the request."""
    reason = reason_for(
        explanation.breakdown,
        {},  # the terms are relative to the average listing already
        facts=explanation.facts,
        of_the_source=reason_of_source(source, explanation.facts, is_personal),
        typical=typical,
        is_personal=is_personal,
    )
    return sentence(reason)


def why_there(candidates: Sequence[Candidate], scores: Sequence[float]) -> tuple[list[str], list[float]]:
    """What put each car of a list where it stands, and the scores to show.

    Cars that the score put there have scores that never rise, to the last digit: what a score was ranked by and what
    its terms add up to may be apart by rounding. What made a car go before a better one does not count where the better
    one is not in the list after all.
    """
    reasons, shown, highest_below = [], [], float("-inf")
    for candidate, score in zip(reversed(candidates), reversed(scores), strict=True):
        is_in_order = candidate.placed_by in RANKED_BY and score >= highest_below - SAME_SCORE
        if is_in_order:
            score = highest_below = max(score, highest_below)
        has_changed = candidate.placed_by == BY_SCORE and not is_in_order  # since it was ranked
        reasons.append(BY_SCORE if is_in_order else STAND_IN if has_changed else candidate.placed_by)
        shown.append(score)
    return reasons[::-1], shown[::-1]


def promoted_among(candidates: Sequence[Candidate], plan: Plan) -> set[int]:
    """Listings to label: of the places kept for promoted cars, and of rules that were paid for."""
    paid = {rule.id for rule in plan.pins if rule.is_promoted}
    in_places = {
        one.listing_id
        for one in candidates
        if one.source == PromotedSource.name or (one.source == PINNED and one.rule_id in paid)
    }
    return in_places | plan.promoted([one.listing_id for one in candidates])


def similar_listings(
    listing: Listing, k: int = 20, filters: ListingFilters = NO_FILTERS, buyer: Buyer | None = None
) -> list[RecommendedListing]:
    """The live cars most like one car, which may itself be sold, the most similar first.

    Neither the car itself nor another advertisement of it is among them, and none of them twice; nor what a buyer
    dismissed or blocked.
    """
    with borrow_index() as listing_index:
        if listing_index is None:
            return []
        filters = hidden_everywhere(filters)
        vector = listing_index.ranker.similarity.vectors(table_of([listing]))[0]
        left_out = same_cars([listing.pk]) | (dismissed_listings(buyer) if buyer else set())
        ids, distances = retriever_for(listing_index).nearest(vector, POOL_GROWTH * k, filters, left_out)
    pool = [Candidate(key, -value, SIMILAR) for key, value in zip(ids.tolist(), distances.tolist(), strict=True)]
    found = for_sale(pool, filters, k)
    return [
        RecommendedListing(
            listing=row,
            position=position,
            score=candidate.score,
            source=candidate.source,
            reason=sentence(Reason(Kind.SIMILAR)),
            terms={},
            market_price=market_price,
        )
        for position, ((candidate, row), market_price) in enumerate(
            zip(found[:k], market_prices_of([row for _, row in found[:k]]), strict=True), start=1
        )
    ]


def serve_similar(
    listing: Listing, buyer: Buyer | None, k: int = 20, filters: ListingFilters = NO_FILTERS
) -> RecommendedList:
    """The same as a list that a buyer was shown, so that what follows from it can be counted.

    The same cars, shown to the same buyer beside the same car on one day, are one list: its id is a digest of these.
    """
    answer = as_recommended_list(similar_listings(listing, k, filters, buyer), None)
    served = row_of(answer, buyer, filters, ServedList.Kind.SIMILAR)
    shown = [
        buyer.pk if buyer else None,
        listing.pk,
        served.filters,
        served.listing_ids,
        f"{served.served_at:%Y-%m-%d}",
    ]
    served.id = uuid.uuid5(SIMILAR_LISTS, json.dumps(shown))
    writer.write(served)
    return replace(answer, id=served.id)


def row_of(
    answer: RecommendedList, buyer: Buyer | None, filters: ListingFilters, kind: str = ServedList.Kind.RECOMMENDED
) -> ServedList:
    """What is remembered of a list of any kind."""
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


def log_served(answer: RecommendedList, request: ListRequest, rules: Rules) -> None:
    """Remember what was shown; the database hears of it a moment later."""
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
