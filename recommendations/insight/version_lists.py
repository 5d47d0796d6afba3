"""The current lists of a few buyers under each of several ranker versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accounts.models import Buyer
from recommendations.insight.what_if import WhatIf, answer
from recommendations.models import Interaction, RankerVersion
from recommendations.serving.recommended import RecommendedListing

SAMPLE_BUYERS = 3
LIST_LENGTH = 10


@dataclass(frozen=True)
class BuyerLists:
    """One buyer's list under each version, in the order of the versions; None where a version has no vectors."""

    buyer: Buyer
    lists: list[list[RecommendedListing] | None]
    n_shared: int


def sample_lists(versions: Sequence[RankerVersion]) -> list[BuyerLists]:
    """Make the lists of some recently active buyers under each version."""
    buyers = sample_buyers()
    # the outer loop is over versions, because only one index of a version that is not live is in memory
    by_version = [lists_by(version, buyers) for version in versions]
    columns = list(zip(*by_version, strict=True))
    return [BuyerLists(buyer, list(lists), shared(lists)) for buyer, lists in zip(buyers, columns, strict=True)]


def sample_buyers() -> list[Buyer]:
    newest = Interaction.objects.order_by("-pk").values_list("buyer_id", flat=True)[:200]
    ids = list(dict.fromkeys(newest))[:SAMPLE_BUYERS]
    rows = Buyer.objects.select_related("user").in_bulk(ids)
    return [rows[one] for one in ids if one in rows]


def lists_by(version: RankerVersion, buyers: Sequence[Buyer]) -> list[list[RecommendedListing] | None]:
    if version.status not in (RankerVersion.Status.LIVE, RankerVersion.Status.READY):
        return [None] * len(buyers)
    return [answer(WhatIf(buyer=buyer, k=LIST_LENGTH, version_id=version.pk)).recommended.items for buyer in buyers]


def shared(lists: Iterable[list[RecommendedListing] | None]) -> int:
    """Return how many cars are on all of the lists."""
    sets = [{item.listing.pk for item in one} for one in lists if one is not None]
    return len(set.intersection(*sets)) if sets else 0
