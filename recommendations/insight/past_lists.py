"""Why a list of the past was as it was: what its record says, and its scores taken apart as of that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.exceptions import RankerRefused
from recommendations.insight.what_if import WhatIf, answer
from recommendations.models import MerchandisingRule, ServedList
from recommendations.serving.explanations import explain

VERBS = {"pin": "pinned", "boost": "boosted", "bury": "buried", "cap": "counted", "hide": "hidden"}
CLOSE = 0.01  # a score that is this near to the recorded one is the same


@dataclass(frozen=True)
class Explained:
    """One car of a list.

    Attributes:
        position: 1 is the top.
        listing_id, source, score: As recorded.
        rules: What merchandising rules did to it, in words, as recorded.
        is_promoted: Whether it was labelled.
        terms: Its score taken apart as of then, under the same version; empty where that cannot be done any more.
        is_exact: Whether those terms add up to the recorded score: the facts of the car have not changed since.
    """

    position: int
    listing_id: int
    source: str
    score: float
    rules: tuple[str, ...] = ()
    is_promoted: bool = False
    terms: Mapping[str, float] | None = None

    @property
    def is_exact(self) -> bool:
        return bool(self.terms) and abs(sum((self.terms or {}).values()) - self.score) <= CLOSE


def explained(served: ServedList) -> list[Explained]:
    """Every car of a recorded list, in its order."""
    rules, promoted = rules_by_position(served), set(served.merchandising.get("promoted", ()))
    terms = terms_as_of(served)
    rows = zip(served.listing_ids, served.scores, served.sources, strict=False)
    return [
        Explained(
            position, listing_id, source, score, tuple(rules.get(position, ())), position in promoted,
            terms.get(listing_id),
        )
        for position, (listing_id, score, source) in enumerate(rows, start=1)
    ]  # fmt: skip


def rules_by_position(served: ServedList) -> dict[int, list[str]]:
    """What the record says of merchandising rules, by the positions that they touched."""
    applied: Mapping[str, list[int]] = served.merchandising.get("applied", {})
    rules = MerchandisingRule.objects.in_bulk([int(key) for key in applied])
    found: dict[int, list[str]] = {}
    for key, positions in applied.items():
        rule = rules.get(int(key))
        for position in positions if rule else ():
            found.setdefault(position, []).append(f"{VERBS[rule.action]} by rule “{rule.name}”")  # type: ignore[union-attr]
    return found


def terms_as_of(served: ServedList) -> dict[int, Mapping[str, float]]:
    """Listing id -> the terms of its score for that buyer, then, by that version; empty where those are gone."""
    oldest = timezone.now() - timedelta(days=settings.WINDOW_LOOKBACK_DAYS)
    if served.buyer is None or served.version_id is None or served.served_at < oldest:
        return {}
    listings = list(Listing.objects.with_card_data().filter(pk__in=served.listing_ids))
    question = WhatIf(
        buyer=served.buyer,
        k=1,
        filters=ListingFilters.from_query(served.filters),
        version_id=served.version_id,
        as_of=served.served_at,
    )
    try:
        scorer = answer(question).scorer
    except RankerRefused:
        return {}
    explanations = explain(listings, scorer)
    return {row.pk: each.breakdown for row, each in zip(listings, explanations, strict=True)}
