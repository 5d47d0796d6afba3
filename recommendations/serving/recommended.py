"""Turn selected listings into the items of a list: position, score, reason, market price, and what placed each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from catalog.models import Listing
from recommendations.engine.policy import Kind
from recommendations.engine.ranker import Ranker
from recommendations.engine.reasons import reason_for
from recommendations.listings.index import borrow_index
from recommendations.listings.market_prices import ListingMarketPrice, in_own_currencies, market_prices_of
from recommendations.merchandising.plan import NO_PLAN, Plan
from recommendations.serving.explanations import Explanation, explain
from recommendations.serving.kept_lists import KeptLists
from recommendations.serving.pins import PINNED
from recommendations.serving.ranking import BY_SCORE, PLACED_BY_KIND, PLACED_BY_WHY, STAND_IN, Candidate
from recommendations.serving.scorer import Scorer
from recommendations.serving.sources import ExplorationSource, PromotedSource, reason_of_source
from recommendations.serving.wording import sentence

SAME_SCORE = 1e-6  # apart by rounding alone
RANKED_BY = set(PLACED_BY_WHY.values())


@dataclass(frozen=True, eq=False)
class RecommendedListing:
    """One item of a list.

    Attributes:
        listing: Its row, just read as for sale, with make, model and seller.
        position: 1 is the top.
        score: Its score, in logits; higher is better.
        source: The candidate source that it counts for.
        reason: One sentence for the buyer, in the language of the request.
        terms: What each feature and term adds to the score; they add up to it.
        market_price: The usual price of such a car; None where it is not known.
        is_promoted: Whether its position was paid for, so that it has to be labelled.
        rule_id: The merchandising rule that pinned it; 0 for none.
        propensity: The probability of its position, given the items above it; None where it is not known.
        placed_by: ``score``, or what placed it in spite of its score (docs/lists.md has the values).
        team: Which of two variants chose it, in an interleaved list: see ``interleaving``.
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


LISTS: KeptLists[RecommendedListing] = KeptLists()


def build_recommended_list(
    chosen: Sequence[tuple[Candidate, Listing]], scorer: Scorer | None, plan: Plan = NO_PLAN
) -> RecommendedList:
    """The selected listings as a list, each with the terms of its score and a reason."""
    return as_recommended_list(items_of(chosen, scorer, *live_ranker(), plan), scorer)


def as_recommended_list(items: list[RecommendedListing], scorer: Scorer | None) -> RecommendedList:
    buyer_context = scorer.buyer_context if scorer else None
    return RecommendedList(
        id=uuid.uuid4(),
        items=items,
        version_id=buyer_context.version_id if buyer_context else None,
        is_personalised=buyer_context is not None and buyer_context.is_personal,
        n_events=buyer_context.n_events if buyer_context else 0,
    )


def kept_items_of(
    chosen: Sequence[tuple[Candidate, Listing]], scorer: Scorer | None, plan: Plan
) -> list[RecommendedListing]:
    """``items_of``, or the same items from the cache where nothing that they depend on has changed."""
    live, typical = live_ranker()
    return LISTS.get_or_make(chosen, scorer, live, typical, lambda: items_of(chosen, scorer, live, typical, plan))


def live_ranker() -> tuple[Ranker | None, Mapping[str, float]]:
    """The live ranker and what is typical of its listings; (None, {}) before any version is live."""
    with borrow_index() as listing_index:
        return (listing_index.ranker, listing_index.typical()) if listing_index else (None, {})


def items_of(
    chosen: Sequence[tuple[Candidate, Listing]],
    scorer: Scorer | None,
    live: Ranker | None,
    typical: Mapping[str, float],
    plan: Plan = NO_PLAN,
) -> list[RecommendedListing]:
    """The items of a list. Market prices are those of the live ranker, whichever version ranked."""
    listings = [listing for _, listing in chosen]
    promoted = promoted_among([candidate for candidate, _ in chosen], plan)
    is_personal = scorer is not None and scorer.buyer_context.is_personal
    explained = explain(listings, scorer)
    totals = [sum(explanation.breakdown.values(), 0.0) for explanation in explained]
    placed_by, scores = placements_and_scores([candidate for candidate, _ in chosen], totals)
    market_prices = market_prices_beside(listings, explained, scorer, live)
    return [
        RecommendedListing(
            listing=listing,
            position=position,
            score=scores[position - 1],
            source=candidate.source,
            reason=reason_in_words(explanation, source_to_name(candidate, promoted), typical, is_personal=is_personal),
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


def promoted_among(candidates: Sequence[Candidate], plan: Plan) -> set[int]:
    """Ids of the listings to label: those in promoted positions, and those of rules that were paid for."""
    paid = {rule.id for rule in plan.pins if rule.is_promoted}
    in_places = {
        one.listing_id
        for one in candidates
        if one.source == PromotedSource.name or (one.source == PINNED and one.rule_id in paid)
    }
    return in_places | plan.promoted([one.listing_id for one in candidates])


def source_to_name(candidate: Candidate, promoted: Set[int]) -> str:
    """The source that the reason of a listing names; '' to explain it by its score alone.

    A listing that exploration proposed is explained as such only in a position reserved for exploration.
    """
    if candidate.listing_id in promoted:
        return PromotedSource.name
    if candidate.source == ExplorationSource.name and candidate.placed_by != PLACED_BY_KIND[Kind.EXPLORED]:
        return ""
    return candidate.source


def placements_and_scores(candidates: Sequence[Candidate], scores: Sequence[float]) -> tuple[list[str], list[float]]:
    """What placed each item of a list, and the scores to show.

    Items placed by score have shown scores that never rise from one to the next: the ranked score and the sum of the
    terms may differ by rounding. Where a listing was moved ahead of a better one that is not in the list after all, it
    counts as placed by score.
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


def market_prices_beside(
    listings: Sequence[Listing], explained: Sequence[Explanation], scorer: Scorer | None, live: Ranker | None
) -> Sequence[ListingMarketPrice | None]:
    """Market prices by the live ranker; those that the scorer computed, where it is of the same ranker."""
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
