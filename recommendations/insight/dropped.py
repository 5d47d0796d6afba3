"""Find cars that score higher than some in a list, and why they are not in it.

They are looked for among the cars with the highest utility in the listing index, sold ones included. Reasons are tried
in the order in which a list is made: for sale, not excluded by the buyer, matching the filters, proposed by a source,
kept by the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.listings.index import ListingIndex
from recommendations.merchandising.plan import matches as matches_target
from recommendations.merchandising.rules import Rule
from recommendations.serving.ranking import SOURCE_OF_KIND, Candidate
from recommendations.serving.rules import Rules
from recommendations.serving.scorer import Scorer

SHORTLIST = 2_000  # cars of highest utility, which are scored exactly
ENDED_DAYS = 14.0  # a car that ended earlier is left out
LOOKED_AT = 300  # highest scores whose reasons are found
SHOWN_PER_REASON = 8
LOCATION_FILTERS = ("latitude", "longitude", "radius_km")

NOT_FOR_SALE, DISMISSED, OWN, FREQUENCY_CAP = "not for sale", "dismissed", "their own", "shown too often"
PLACEMENT_FILTER, ASKED_FILTER = "placement's filters", "filters asked for"
NOT_PROPOSED, MODEL_CAP, SELLER_CAP = "not proposed", "cap per model", "cap per seller"
HIDDEN, RULE_CAP = "hidden by a rule", "cap of a rule"
TASTE_SHARE, DIVERSITY, KEPT_POSITIONS = "share of another interest", "too similar", "reserved positions"


@dataclass(frozen=True)
class Dropped:
    """One car that is not in the list.

    Attributes:
        listing_id: Its listing.
        score: By the same score as the list.
        rank: By score alone, among all cars that were looked at; 1 is the best.
        reason: One of the constants of this module.
        detail: The reason in words.
    """

    listing_id: int
    score: float
    rank: int
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class MadeList:
    """A list that was made, and its inputs.

    Attributes:
        listing_index, scorer, rules: Those the list was made with.
        filters: As requested, without the placement's.
        dismissed, frequency_capped: Ids that must not be shown, and ids that rank lower.
        listed: Ids of the list, in its order.
        pool: Every candidate that was ranked.
        is_of_now: Whether the list is as of now rather than of a past time.
    """

    listing_index: ListingIndex
    scorer: Scorer
    rules: Rules
    filters: ListingFilters
    dismissed: Set[int]
    frequency_capped: Set[int]
    listed: Sequence[int]
    pool: Mapping[int, Candidate]
    is_of_now: bool = True

    @cached_property
    def listed_rows(self) -> NDArray[np.intp]:
        rows = self.listing_index.stock.rows_of(np.array(self.listed, np.int64))
        return rows[rows >= 0]

    @cached_property
    def n_kept(self) -> int:
        """Number of positions that went to exploration, promoted or new cars."""
        return sum(self.pool[key].source in SOURCE_OF_KIND.values() for key in self.listed if key in self.pool)

    @cached_property
    def left_in_pool(self) -> list[int]:
        """Return the candidates that were not listed, best first."""
        listed = set(self.listed)
        left = [one for one in self.pool.values() if one.listing_id not in listed]
        return [one.listing_id for one in sorted(left, key=lambda one: -one.score)]


def find_dropped(made: MadeList) -> tuple[dict[int, int], list[Dropped], Counter[str]]:
    """Find the cars that are missing from a list.

    Returns:
        Ranks by score alone, of the list's cars and of those named; the best cars left out for each reason, best first;
        and the number for each reason, among the ``LOOKED_AT`` highest scores.
    """
    listing_index = made.listing_index
    rows = shortlist(made)
    ids = listing_index.stock.listing_ids[rows]
    scored = made.scorer.score_listings(listing_index.listing_features.take(rows), ids.tolist())
    order = np.lexsort((ids, -scored.scores))
    ranks = {key: rank for rank, key in enumerate(ids[order].tolist(), start=1)}
    listed = set(made.listed)
    lowest = min(scored.scores[np.isin(ids, made.listed)], default=-np.inf)
    above = [at for at in order.tolist() if scored.scores[at] > lowest and int(ids[at]) not in listed][:LOOKED_AT]
    counts: Counter[str] = Counter()
    named = []
    for at in above:
        reason, detail = exclusion_reason(made, int(rows[at]))
        counts[reason] += 1
        if counts[reason] <= SHOWN_PER_REASON:
            key = int(ids[at])
            named.append(Dropped(key, float(scored.scores[at]), ranks[key], reason, detail))
    wanted = {*listed, *(one.listing_id for one in named)}
    return {key: rank for key, rank in ranks.items() if key in wanted}, named, counts


def shortlist(made: MadeList) -> NDArray[np.intp]:
    """Return rows of the cars with the highest utility that are or were lately for sale, and of the list."""
    listing_index, scorer = made.listing_index, made.scorer
    as_of = float(scorer.market_statistics.as_of)
    started = listing_index.stock.published_at <= as_of + SECONDS_A_DAY
    rows = np.flatnonzero(started & (listing_index.stock.ended_at > as_of - ENDED_DAYS * SECONDS_A_DAY))
    best = np.full(len(rows), -np.inf)
    for weights, offset in zip(scorer.buyer_features.weights, scorer.buyer_features.offsets, strict=True):
        best = np.maximum(best, listing_index.products(weights, rows) + offset)
    if len(rows) > SHORTLIST:
        rows = rows[np.argpartition(-best, SHORTLIST)[:SHORTLIST]]
    return np.union1d(rows, made.listed_rows)


def exclusion_reason(made: MadeList, row: int) -> tuple[str, str]:
    """Return the first reason that applies, and its detail."""
    listing_index = made.listing_index
    listing_id = int(listing_index.stock.listing_ids[row])
    buyer = made.scorer.buyer_context.buyer
    if not listing_index.column("is_live")[row]:
        return NOT_FOR_SALE, "sold, reserved or withdrawn"
    if rule := hiding_rule(made, listing_id):
        return HIDDEN, f"rule “{rule.name}” hides it"
    if listing_id in made.dismissed:
        is_own = buyer is not None and buyer.user_id and listing_index.column("seller_user_ids")[row] == buyer.user_id
        return (OWN, "buyers are not shown their own cars") if is_own else (DISMISSED, "the buyer dismissed this car")
    for filters, reason in ((made.rules.filters, PLACEMENT_FILTER), (made.filters, ASKED_FILTER)):
        if missed := [name for name, part in parts_of(filters) if not matches(listing_index, part, row)]:
            return reason, ", ".join(missed)
    if listing_id in made.frequency_capped:
        times = made.rules.placement.times_shown_at_most
        return FREQUENCY_CAP, f"shown {times} times or more within 30 days, so others go first"
    if listing_id not in made.pool:
        return NOT_PROPOSED, f"no source had it among its best; {len(made.pool)} others were proposed"
    return omission_reason(made, row, listing_id)


def hiding_rule(made: MadeList, listing_id: int) -> Rule | None:
    """Return the first merchandising rule that hides a car."""
    return next((r for r in made.rules.plan.hides if matches_target(r.target, [listing_id])[0]), None)


def omission_reason(made: MadeList, row: int, listing_id: int) -> tuple[str, str]:
    """Return which rule of the placement left a candidate out, and its detail."""
    listing_index, placement = made.listing_index, made.rules.placement
    caps: tuple[tuple[NDArray[Any], int, str, str], ...] = (
        (listing_index.columns.codes("model"), placement.max_per_model, MODEL_CAP, "of its model"),
        (listing_index.column("seller_ids"), placement.max_per_seller, SELLER_CAP, "of its seller"),
    )
    for codes, cap, reason, of_what in caps:
        n = int((codes[made.listed_rows] == codes[row]).sum())
        if cap and codes[row] > 0 and n >= cap:
            beyond = "; others were too few, or some of them are pinned" if n > cap else ""
            return reason, f"{n} {of_what} are in the list already, of {cap} at most{beyond}"
    for rule in made.rules.plan.caps:
        n = int(matches_target(rule.target, made.listed).sum())
        if matches_target(rule.target, [listing_id])[0] and n >= int(rule.share * len(made.listed)):
            return RULE_CAP, f"rule “{rule.name}” lets {rule.share:.0%} of a list be such cars, and {n} are in it"
    if len(made.scorer.buyer_context.interests) > 1 and is_of_a_full_taste(made, row):
        return TASTE_SHARE, "each interest of the buyer gets its share of the list"
    if made.left_in_pool.index(listing_id) < made.n_kept:
        return KEPT_POSITIONS, f"{made.n_kept} positions are reserved for exploration and for new or promoted cars"
    return too_alike(made, row)


def is_of_a_full_taste(made: MadeList, row: int) -> bool:
    """Whether the car suits an interest that has its share of the list already."""
    listing_index, scorer = made.listing_index, made.scorer
    _, tastes = scorer.buyer_features.utilities(listing_index.stock.vectors[np.append(made.listed_rows, row)])
    n_own = int((tastes[:-1] == tastes[-1]).sum())
    return n_own >= scorer.buyer_context.interests[int(tastes[-1])].share * len(made.listed)


def too_alike(made: MadeList, row: int) -> tuple[str, str]:
    """Name the car of the list that is most similar."""
    vectors = made.listing_index.stock.vectors
    own, others = vectors[row].astype(np.float64), vectors[made.listed_rows].astype(np.float64)
    lengths = np.linalg.norm(others, axis=1) * np.linalg.norm(own)
    cosines = np.divide(others @ own, lengths, out=np.zeros(len(others)), where=lengths > 0)
    nearest = int(cosines.argmax()) if len(cosines) else 0
    return (
        DIVERSITY,
        f"similar to the car at position {nearest + 1} (cosine {cosines[nearest]:.2f}), so diversity left it out",
    )


def parts_of(filters: ListingFilters) -> Iterator[tuple[str, ListingFilters]]:
    """Yield each filter alone, with its name in words; the fields of a circle are one filter."""
    asked = filters.as_query()
    if filters.location:
        yield "place", ListingFilters.from_query({name: asked[name] for name in LOCATION_FILTERS})
    for name, value in asked.items():
        if name not in LOCATION_FILTERS:
            yield name.replace("_", " "), ListingFilters.from_query({name: value})


def matches(listing_index: ListingIndex, filters: ListingFilters, row: int) -> bool:
    if filters.text:  # text is searched by the database, whose result is the list's mask
        return bool(listing_index.allowed(filters)[row])
    return bool(listing_index.columns.matching(filters, np.array([row]))[0])
