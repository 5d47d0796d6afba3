"""Why a car is not in a list: the step that removed it, and what would have to change.

The steps are tried in the order in which a list is made, by the functions of ``dropped``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import expm1

import numpy as np

from catalog.models import Listing
from recommendations.engine.reasons import LABELS
from recommendations.engine.terms import Scored
from recommendations.insight import dropped
from recommendations.insight.dropped import MadeList, exclusion_reason
from recommendations.serving.ranking import snapshot_with

LISTED, SCORE = "in the list", "score"
TERMS_NAMED = 3

# Reason -> the step of making a list that removes the car
STEPS: Mapping[str, str] = {
    dropped.NOT_FOR_SALE: "For sale",
    dropped.HIDDEN: "Merchandising rules",
    dropped.DISMISSED: "Dismissed or own",
    dropped.OWN: "Dismissed or own",
    dropped.PLACEMENT_FILTER: "Filters",
    dropped.ASKED_FILTER: "Filters",
    dropped.FREQUENCY_CAP: "Frequency cap",
    dropped.NOT_PROPOSED: "Candidates",
    SCORE: "Score",
    dropped.MODEL_CAP: "Caps",
    dropped.SELLER_CAP: "Caps",
    dropped.RULE_CAP: "Merchandising rules",
    dropped.TASTE_SHARE: "Interests",
    dropped.KEPT_POSITIONS: "Kept positions",
    dropped.DIVERSITY: "Diversity",
    LISTED: "In the list",
}
CHANGES: Mapping[str, str] = {  # what would have to change
    dropped.NOT_FOR_SALE: "Put it on sale: publish or relist it.",
    dropped.HIDDEN: "Switch the rule off, or take the car out of it.",
    dropped.DISMISSED: "The buyer would have to want it back; their page lists what they dismissed.",
    dropped.OWN: "Nothing: buyers are never shown their own cars.",
    dropped.PLACEMENT_FILTER: "Change the filters of the placement, or the facts of the car.",
    dropped.ASKED_FILTER: "Ask without these filters, or change the facts of the car.",
    dropped.FREQUENCY_CAP: "Wait until the buyer saw it less often within 30 days, or allow more in the placement.",
    dropped.MODEL_CAP: "Raise the cap per model in the placement, or pin the car.",
    dropped.SELLER_CAP: "Raise the cap per seller in the placement, or pin the car.",
    dropped.RULE_CAP: "Raise the share of the rule, or pin the car.",
    dropped.TASTE_SHARE: "Ask for a longer list, or pin the car.",
    dropped.KEPT_POSITIONS: "Keep fewer positions for exploration, new and promoted cars, or ask for a longer list.",
    dropped.DIVERSITY: "Lower the diversity of the placement, or ask for a longer list.",
}
LARGEST_BOOST = 5.0  # a larger boost would put the car near the top for all buyers


@dataclass(frozen=True)
class WhyNot:
    """What happened to one car.

    Attributes:
        listing: The car.
        step: The step that removed it; a value of ``STEPS``.
        detail: The reason in words.
        change: What would have to change; "" for a car that is in the list.
        score, lowest: Its score, and the lowest score in the list; None where there is none.
        position: Its position, 1 is the top; None for a car that is not in the list.
    """

    listing: Listing
    step: str
    detail: str
    change: str
    score: float | None = None
    lowest: float | None = None
    position: int | None = None


def why_not(made: MadeList, listing: Listing) -> WhyNot:
    """Find what happened to a car in a list that was made."""
    if listing.status != Listing.Status.LIVE and made.is_of_now:
        detail = f"it is {listing.get_status_display().lower()}"
        return WhyNot(listing, STEPS[dropped.NOT_FOR_SALE], detail, CHANGES[dropped.NOT_FOR_SALE])
    own, listed = scored_with_list(made, listing)
    score = float(own.scores[0])
    lowest = min(listed.scores.tolist(), default=None)
    if listing.pk in made.listed:
        position = list(made.listed).index(listing.pk) + 1
        return WhyNot(listing, STEPS[LISTED], f"it is at position {position}", "", score, lowest, position)
    reason, detail = reason_of(made, listing)
    is_beaten = lowest is not None and score < lowest
    if reason == dropped.NOT_PROPOSED:
        return WhyNot(listing, STEPS[reason], detail, boost_needed(score, lowest), score, lowest)
    if is_beaten and reason in AFTER_SCORE:
        return WhyNot(listing, STEPS[SCORE], beaten_by(own, listed), boost_needed(score, lowest), score, lowest)
    return WhyNot(listing, STEPS[reason], detail, CHANGES[reason], score, lowest)


AFTER_SCORE = (
    dropped.MODEL_CAP, dropped.SELLER_CAP, dropped.RULE_CAP, dropped.TASTE_SHARE, dropped.KEPT_POSITIONS,
    dropped.DIVERSITY,
)  # fmt: skip


def reason_of(made: MadeList, listing: Listing) -> tuple[str, str]:
    """Return the first reason that applies, and its detail; less precise for a car outside the sample of the stock
    in memory."""
    row = int(made.listing_index.stock.rows_of(np.array([listing.pk], np.int64))[0])
    if row >= 0:
        return exclusion_reason(made, row)
    if rule := dropped.hiding_rule(made, listing.pk):
        return dropped.HIDDEN, f"rule “{rule.name}” hides it"
    if listing.pk in made.dismissed:
        return dropped.DISMISSED, "the buyer dismissed this car, or it is of a seller of theirs"
    if listing.pk in made.frequency_capped:
        return dropped.FREQUENCY_CAP, "shown too often of late, so others go first"
    return dropped.NOT_PROPOSED, f"no source had it among its best; {len(made.pool)} others were proposed"


def scored_with_list(made: MadeList, listing: Listing) -> tuple[Scored, Scored]:
    """Return the terms of the car and of the cars in the list, by the same score."""
    ids = np.array([listing.pk, *made.listed], np.int64)
    snapshot = snapshot_with(made.listing_index, ids)
    rows = snapshot.stock.rows_of(ids)
    found = [
        made.scorer.score_listings(snapshot.listing_features.take(some[some >= 0]), keys[some >= 0].tolist())
        for some, keys in ((rows[:1], ids[:1]), (rows[1:], ids[1:]))
    ]
    return found[0], found[1]


def beaten_by(own: Scored, listed: Scored) -> str:
    """Name the terms in which the car is worse than the average car of the list, the largest difference first."""
    differences = own.parts[0] - listed.parts.mean(axis=0)
    worst = [at for at in np.argsort(differences)[:TERMS_NAMED].tolist() if differences[at] < -1e-9]
    named = ", ".join(f"{LABELS.get(own.names[at], own.names[at]).lower()} {differences[at]:+.2f}" for at in worst)
    return f"every car of the list scores higher; against their average: {named or 'about the same'}"


def boost_needed(score: float, lowest: float | None) -> str:
    """Name the boost that would lift it to the lowest score in the list."""
    if lowest is None or score >= lowest:
        return "Pin it, or boost it so that it is proposed."
    gap = lowest - score
    boost = expm1(gap)
    help_ = "a pin, and no usual boost," if boost > LARGEST_BOOST else f"a boost of {boost:,.0%}, or a pin,"
    return f"It lacks {gap:.2f} to the last car by score: {help_} would bring it in."
