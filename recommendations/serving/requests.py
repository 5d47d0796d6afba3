"""The request for a list."""

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
    """A request for the best ``k`` listings for a buyer (None: a cold buyer) under filters, at a placement.

    ``k`` None stands for the placement's default. ``left_out`` are listings whose cars must not be in the list. For a
    next page, ``goes_on_from`` is the list before it and ``starts_after`` the number of listings on earlier pages.
    """

    buyer: Buyer | None
    k: int | None = None
    filters: ListingFilters = NO_FILTERS
    placement: str = HOME
    source: SourceSwitch = "hybrid"
    left_out: frozenset[int] = frozenset()
    goes_on_from: uuid.UUID | None = None
    starts_after: int = 0
