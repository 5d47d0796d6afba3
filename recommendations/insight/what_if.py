"""A list under assumptions: of any version, as of any time, after hypothetical events, with other rules or weights.

Each step is the function that serving calls; only its inputs are given instead of read. Nothing is stored: no
preference, no event, no served list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from recommendations.buyers.context import BuyerContext, Opened, buyer_context_in, one_per_car, recently_opened
from recommendations.buyers.exclusions import dismissed_listings, frequency_capped_listings, same_cars
from recommendations.buyers.histories import Assumptions
from recommendations.buyers.posteriors import LogPosition, StalePreference, evidence_of, posteriors_of
from recommendations.buyers.preferences import digest_of_basis, is_current
from recommendations.engine.ranker import SourceSwitch
from recommendations.events.rows import EventRows, read_histories
from recommendations.insight.dropped import Dropped, MadeList, find_dropped
from recommendations.insight.versions import borrow_version
from recommendations.insight.why_not import WhyNot, why_not
from recommendations.listings.index import ListingIndex
from recommendations.listings.market_statistics import (
    STEP_SECONDS,
    MarketStatistics,
    current_market_statistics,
    read_market_statistics,
)
from recommendations.merchandising.plan import Plan, plan_for
from recommendations.merchandising.rules import Rule
from recommendations.models import EventKind, Interaction, Preference
from recommendations.models.arrays import as_objects
from recommendations.serving.placements import HOME, rules_of
from recommendations.serving.ranking import Candidate, Ranked, RankRequest, build_ranking_context, rank_candidates
from recommendations.serving.recommended import RecommendedList, build_recommended_list
from recommendations.serving.requests import NO_FILTERS, ListRequest
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer
from recommendations.serving.selection import SelectionContext, choose_from

FIRST_HYPOTHETICAL_ID = 1 << 60  # ids of made-up events lie beyond those of the log


@dataclass(frozen=True, kw_only=True)
class HypotheticalEvent:
    """An event that a buyer might cause: an event kind on a car, or a search for ``query``."""

    kind: str
    listing_id: int | None = None
    query: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The assumptions. What is left out is as stored: the live version, the current time, the stored kinds and rules.

    Attributes:
        buyer: Whose list it is.
        k, filters, placement, source: As of ``ListRequest``.
        version_id: The version that ranks; by default that of the buyer's variant, or the live one.
        as_of: Time of the request: with the events before it, and the cars that were for sale then.
        events: Further events of the buyer at that time, in this order.
        kinds: Slug -> kind, in place of the stored ones.
        rules: In place of the placement's own.
        merchandising: In place of the stored merchandising rules; the current ones also apply to a list of the past.
        missing_car: A car for which the answer states why it is not in the list.
        market_statistics: Market statistics, where the caller has read them already.
    """

    buyer: Buyer
    k: int | None = None
    filters: ListingFilters = NO_FILTERS
    placement: str = HOME
    source: SourceSwitch = "hybrid"
    version_id: int | None = None
    as_of: datetime | None = None
    events: tuple[HypotheticalEvent, ...] = ()
    kinds: Mapping[str, EventKind] | None = None
    rules: Rules | None = None
    merchandising: tuple[Rule, ...] | None = None
    market_statistics: MarketStatistics | None = None
    missing_car: Listing | None = None

    @property
    def request(self) -> ListRequest:
        return ListRequest(
            buyer=self.buyer, k=self.k, filters=self.filters, placement=self.placement, source=self.source
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """The list, and the cars that were left out of it.

    Attributes:
        recommended: The list.
        buyer_context: The buyer's inputs to the score.
        preference: The buyer's preference, stored or computed for this answer; None for a cold buyer.
        rules: Of the placement.
        as_of: Time of the request.
        ranks: Listing id -> rank by score alone, of the cars in the list and those left out.
        dropped: Cars that score higher than some in the list, highest first, some for each reason.
        reasons: Number of such cars for each reason.
        why_not: Why ``missing_car`` is not in the list.
        scorer: The scorer; None before any ranker is live.
    """

    recommended: RecommendedList
    buyer_context: BuyerContext
    preference: Preference | None
    rules: Rules
    as_of: datetime
    ranks: Mapping[int, int] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    why_not: WhyNot | None = None
    scorer: Scorer | None = None


def answer(question: WhatIf, *, with_dropped: bool = False) -> Answer:
    """Make the list under the assumptions. Raises RankerRefused where there is no such version."""
    rules = question.rules or rules_of(question.placement, question.buyer)
    with borrow_version(question.version_id or rules.version_id) as listing_index:
        as_of = question.as_of or timezone.now()
        if question.as_of:
            listing_index = index_as_of(listing_index, question.as_of)
        preference = preference_under(question, listing_index, as_of)
        buyer_context = buyer_context_in(
            listing_index, question.buyer, preference, opened_by(question), moment=question.as_of
        )
        rules = replace(rules, plan=plan_of(question, rules, buyer_context))
        market_view = MarketView(listing_index, market_statistics_of(question), {})
        selection = selection_context_of(question, rules, market_view)
        chosen, scorer = listed(question, selection, rules, buyer_context)
        answer = Answer(
            build_recommended_list(chosen, scorer, rules.plan), buyer_context, preference, rules, as_of, scorer=scorer
        )
        if not with_dropped or scorer is None:
            return answer
        ids = [candidate.listing_id for candidate, _ in chosen]
        made = MadeList(
            listing_index,
            scorer,
            rules,
            question.filters,
            selection.dismissed,
            selection.frequency_capped,
            ids,
            market_view.pool,
            is_of_now=question.as_of is None,
        )
        ranks, dropped, reasons = find_dropped(made)
        missing = why_not(made, question.missing_car) if question.missing_car else None
        return replace(answer, ranks=ranks, dropped=tuple(dropped), reasons=reasons, why_not=missing)


def listed(
    question: WhatIf, selection: SelectionContext, rules: Rules, buyer_context: BuyerContext
) -> tuple[list[tuple[Candidate, Listing]], Scorer | None]:
    """Return the candidates of the list with their rows, and the scorer."""
    k = rules.placement.k if question.k is None else question.k
    return choose_from(selection, question.request, rules, buyer_context, k)


def plan_of(question: WhatIf, rules: Rules, buyer_context: BuyerContext) -> Plan:
    """Return the merchandising rules that apply at the time of the request."""
    return plan_for(
        rules.placement.slug, question.buyer.pk, buyer_context, now=question.as_of, rules=question.merchandising
    )


def index_as_of(listing_index: ListingIndex, as_of: datetime) -> ListingIndex:
    """Return the listing index with the stock of a past time; where the index holds a sample of the stock, only that
    sample."""
    view = listing_index.as_of(as_of.timestamp())
    view.is_complete = True  # the database cannot complete it: it knows the cars for sale now, not those of then
    return view


# --- The preference --------------------------------------------------------------------------------------------------


def preference_under(question: WhatIf, listing_index: ListingIndex, as_of: datetime) -> Preference | None:
    """Return the preference under the assumptions: the stored one where it is current, else one computed for this
    answer."""
    buyer = question.buyer
    if not buyer.is_personalised:
        return None
    assumptions = Assumptions(question.kinds, {key: event.query for key, event in numbered(question) if event.query})
    basis = digest_of_basis(assumptions.kinds_by_slug().values(), buyer.questionnaire)
    stored = Preference.objects.filter(buyer=buyer, version_id=listing_index.version_id).first()
    position = position_of(question)
    if stored and not question.as_of and is_current(stored, position, basis):
        return stored
    if not position.n_interactions and not buyer.questionnaire:
        return None
    behind = StalePreference(buyer, position, basis, None if question.as_of else stored)
    evidence = evidence_of([behind], history_of(question, as_of), listing_index, as_of, assumptions)
    return posteriors_of([behind], evidence, as_of, is_hurried=behind.previous is not None)[0]


def position_of(question: WhatIf) -> LogPosition:
    """Return the position of the log that the assumptions imply."""
    log = Interaction.objects.filter(buyer=question.buyer)
    position = (log.filter(occurred_at__lt=question.as_of) if question.as_of else log).log_position()
    last_id = FIRST_HYPOTHETICAL_ID + len(question.events) - 1 if question.events else position[0]
    return LogPosition(last_id, position[1] + len(question.events))


def numbered(question: WhatIf) -> list[tuple[int, HypotheticalEvent]]:
    """Return the hypothetical events with ids, which also seed their choice sets."""
    return list(enumerate(question.events, FIRST_HYPOTHETICAL_ID))


def history_of(question: WhatIf, as_of: datetime) -> EventRows:
    """Return the newest events of the buyer, the hypothetical ones last."""
    buyer_id = question.buyer.pk
    recorded = read_histories([buyer_id], settings.EVENTS_PER_BUYER, question.as_of)
    n = len(question.events)
    if not n:
        return recorded
    joined = EventRows(
        ids=np.concatenate([recorded.ids, np.arange(FIRST_HYPOTHETICAL_ID, FIRST_HYPOTHETICAL_ID + n)]),
        buyer_ids=np.concatenate([recorded.buyer_ids, np.full(n, buyer_id)]),
        listing_ids=np.concatenate([recorded.listing_ids, [event.listing_id or 0 for event in question.events]]),
        kinds=np.concatenate([recorded.kinds, as_objects([event.kind for event in question.events])]),
        occurred_at=np.concatenate([recorded.occurred_at, np.full(n, as_of.timestamp())]),
        dwell_seconds=np.concatenate([recorded.dwell_seconds, np.full(n, np.nan)]),
    )
    return joined.take(np.arange(len(joined))[-settings.EVENTS_PER_BUYER :])


def opened_by(question: WhatIf) -> list[Opened]:
    """Return cars the buyer acted on favourably lately, those of hypothetical events first."""
    if not question.buyer.is_personalised:
        return []
    kinds = question.kinds or EventKind.objects.in_bulk()
    with_cars = [(event.listing_id, kinds[event.kind].weight) for event in reversed(question.events)]
    liked = [(listing_id, weight) for listing_id, weight in with_cars if listing_id and weight > 0]
    existing = set(Listing.objects.filter(pk__in=[key for key, _ in liked]).values_list("pk", flat=True))
    hypothetical = [Opened(key, weight) for key, weight in liked if key in existing]
    return one_per_car([*hypothetical, *recently_opened(question.buyer, question.as_of, question.kinds)])


# --- The stock and the market ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MarketView:
    """Stock and market statistics of one answer; ``pool`` records every ranked candidate by id."""

    listing_index: ListingIndex
    market_statistics: MarketStatistics
    pool: dict[int, Candidate]

    def rank(self, request: RankRequest) -> Ranked:
        """Rank as ``ranking.rank`` does, on this stock and without caching."""
        if request.buyer_context is None:
            raise ValueError("a what-if needs a buyer")
        context = build_ranking_context(
            self.listing_index, request.buyer_context, request.rules, request.filters, request.switch, request.exclude,
            self.market_statistics,
        )  # fmt: skip
        ranked = rank_candidates(context, request.k, request.n)
        for candidate in ranked.candidates:
            self.pool.setdefault(candidate.listing_id, candidate)
        return ranked


def selection_context_of(question: WhatIf, rules: Rules, market_view: MarketView) -> SelectionContext:
    buyer, as_of = question.buyer, question.as_of
    kinds = question.kinds or EventKind.objects.in_bulk()
    dismissed_ids = [
        event.listing_id for event in question.events if event.listing_id and kinds[event.kind].is_dismissal
    ]
    return SelectionContext(
        rank=market_view.rank,
        on_sale=Listing.objects.available() if as_of is None else on_sale_at(as_of),
        dismissed=dismissed_listings(buyer, as_of) | (same_cars(dismissed_ids) if dismissed_ids else set()),
        frequency_capped=frequency_capped_listings(buyer, rules.placement.times_shown_at_most, as_of),
    )


def on_sale_at(as_of: datetime) -> ListingQuerySet:
    """Select listings that were for sale at a time, as far as their rows show it: the SQL twin of
    ``Stock.was_live``."""
    published = Listing.objects.exclude(status=Listing.Status.DRAFT).filter(published_at__lte=as_of)
    return published.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=as_of))


def market_statistics_of(question: WhatIf) -> MarketStatistics:
    if question.market_statistics:
        return question.market_statistics
    if question.as_of:
        return read_market_statistics(int(question.as_of.timestamp()) // STEP_SECONDS * STEP_SECONDS, question.kinds)
    current = current_market_statistics()
    if question.kinds is None or demand_of(question.kinds) == demand_of(EventKind.objects.in_bulk()):
        return current
    return read_market_statistics(current.as_of, question.kinds)


def demand_of(kinds: Mapping[str, EventKind]) -> dict[str, tuple[float, bool]]:
    """Return the weights of the event kinds that market statistics depend on.

    Setups with the same ones share their market statistics, because reading two weeks of events takes longer than the
    lists.
    """
    return {slug: (float(kind.weight), kind.is_contact) for slug, kind in kinds.items()}


# --- Comparison of two lists -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """One car in two lists; a position is None where the car is not in that list."""

    listing: Listing
    before: int | None
    after: int | None

    @property
    def by(self) -> int | None:
        """Return by how many positions it rose, negative if it fell; None for a car in one list only."""
        return None if self.before is None or self.after is None else self.before - self.after

    @property
    def fell(self) -> int:
        """Return by how many positions it fell, for display beside an arrow."""
        return -(self.by or 0)


def moves(before: RecommendedList, after: RecommendedList) -> list[Move]:
    """Return every car of either list: first the later list in its order, then those that are only in the earlier
    one."""
    was = {item.listing.pk: item.position for item in before.items}
    now = {item.listing.pk: item.position for item in after.items}
    came_or_stayed = [Move(item.listing, was.get(item.listing.pk), item.position) for item in after.items]
    left = [Move(item.listing, item.position, None) for item in before.items if item.listing.pk not in now]
    return came_or_stayed + left
