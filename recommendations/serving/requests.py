"""What a list is asked for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.engine.ranker import SourceSwitch
from recommendations.serving.placements import HOME

NO_FILTERS = ListingFilters()


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
