"""What a few buyers would get from each of several ranker versions this moment."""

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
    """One buyer's list by each version, in their order; None where a version cannot answer."""

    buyer: Buyer
    lists: list[list[RecommendedListing] | None]
    n_shared: int


def sample_lists(versions: Sequence[RankerVersion]) -> list[BuyerLists]:
    """What some buyers who were active lately would get from each version this moment."""
    buyers = sample_buyers()
    # version by version, because the stock in a version's space is loaded for one version at a time
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
    """How many cars are on every list there is."""
    sets = [{item.listing.pk for item in one} for one in lists if one is not None]
    return len(set.intersection(*sets)) if sets else 0
