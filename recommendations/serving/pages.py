"""Lists that go on: the next page of a list, and several lists of one page without a car twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.engine.ranker import SourceSwitch
from recommendations.events.served_lists import find_served_list
from recommendations.exceptions import NoSuchList, OtherQuestion
from recommendations.models import ServedList
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import HOME
from recommendations.serving.recommended import RecommendedList

FEED = "feed"  # the variant of lists of the feed, whose items are no cars


def request_of_next_page(list_id: uuid.UUID, buyer: Buyer | None, k: int | None) -> ListRequest:
    """The question whose answer is the next page of a list: the same one, without the cars of the pages before.

    Raises NoSuchList where there is none, it is another buyer's, or not one that goes on. A list that was made for no
    known buyer goes on for any: guests become buyers by their first event.
    """
    served = find_served_list(list_id)
    if served is None or not is_of(served, buyer) or served.kind or served.variant == FEED:
        raise NoSuchList
    return ListRequest(
        buyer=buyer,
        k=k or len(served.listing_ids) or None,
        filters=ListingFilters.from_query(served.filters),
        placement=served.placement.slug if served.placement else HOME,
        source=switch_of(served.looks_at),
        left_out=frozenset((*served.left_out, *served.listing_ids)),
        goes_on_from=served.pk,
        starts_after=served.starts_after + len(served.listing_ids),
    )


def is_of(served: ServedList, buyer: Buyer | None) -> bool:
    if served.buyer is None:
        return True
    return buyer is not None and buyer.pk in (served.buyer_id, served.buyer.merged_into_id)


def switch_of(stored: str) -> SourceSwitch:
    known: tuple[SourceSwitch, ...] = get_args(SourceSwitch)
    return next((switch for switch in known if switch == stored), "hybrid")


def check_same_question(
    page: ListRequest, *, filters: ListingFilters, placement: str | None, source: str | None
) -> None:
    """Raises OtherQuestion where a caller asks something else along with the next page; asking nothing is right."""
    asked = filters.as_query()
    if asked and asked != page.filters.as_query():
        raise OtherQuestion
    if placement not in (None, page.placement) or source not in (None, page.source):
        raise OtherQuestion


def recommend_several(requests: Sequence[ListRequest]) -> list[RecommendedList]:
    """A list for each question, none of which holds a car of an earlier one."""
    answers: list[RecommendedList] = []
    taken: set[int] = set()
    for request in requests:
        answers.append(recommend(replace(request, left_out=request.left_out | taken)))
        taken.update(item.listing.pk for item in answers[-1].items)
    return answers
