"""The cars most like one car, as a list of their own."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

from accounts.models import Buyer
from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.buyers.exclusions import left_out_beside
from recommendations.engine.reason import Kind, Reason
from recommendations.events.served_lists import writer
from recommendations.listings.index import borrow_index
from recommendations.listings.market_prices import market_prices_of
from recommendations.listings.retrieval import retriever_for
from recommendations.listings.rows import table_of
from recommendations.merchandising.plan import hidden_everywhere
from recommendations.models import ServedList
from recommendations.serving.lists import row_of
from recommendations.serving.ranking import Candidate
from recommendations.serving.recommended import RecommendedList, RecommendedListing, as_recommended_list
from recommendations.serving.requests import NO_FILTERS
from recommendations.serving.selection import POOL_GROWTH, for_sale
from recommendations.serving.sources import SIMILAR
from recommendations.serving.wording import sentence

SIMILAR_LISTS = uuid.UUID("6b0d1a52-6f8e-4c53-9a8e-0f2f5a7f3c11")  # the namespace of their ids


def similar_listings(
    listing: Listing, k: int = 20, filters: ListingFilters = NO_FILTERS, buyer: Buyer | None = None
) -> list[RecommendedListing]:
    """The live cars most like one car, which may itself be sold, the most similar first.

    Neither the car itself nor another advertisement of it is among them, and none of them twice; nor what a buyer
    dismissed or blocked.
    """
    # before the index is borrowed: others need not wait for the database
    filters, left_out, table = hidden_everywhere(filters), left_out_beside(listing, buyer), table_of([listing])
    with borrow_index() as listing_index:
        if listing_index is None:
            return []
        vector = listing_index.ranker.similarity.vectors(table)[0]
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
