"""The order of ids that a client sends, for one buyer: scores and reasons as in a list, and nothing left to chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.buyers.exclusions import dismissed_listings
from recommendations.events.served_lists import writer
from recommendations.merchandising.plan import hidden_everywhere
from recommendations.models import ServedList
from recommendations.serving.lists import row_of
from recommendations.serving.ranking import Candidate
from recommendations.serving.recommended import RecommendedList, build_recommended_list
from recommendations.serving.requests import NO_FILTERS
from recommendations.serving.rows import rows_for_sale
from recommendations.serving.search_order import score_for

ORDERED = "ordered"  # the source of a car that the caller named


class LeftOut(StrEnum):
    """Why a car that was named is not in the order."""

    NOT_FOR_SALE = "not_for_sale"
    HIDDEN = "hidden"


@dataclass(frozen=True, eq=False)
class OrderedList:
    answer: RecommendedList
    left_out: dict[int, LeftOut]


def order_listings(listing_ids: Sequence[int], buyer: Buyer | None) -> OrderedList:
    """Those that are for sale and that the buyer may be shown, the best first; equal ones as they were sent.

    Before the first training, and for cars the ranker does not know, the score is 0 and the order that of the caller.
    Cars the buyer dismissed or blocked, and those that a merchandising rule hides everywhere, are left out.
    """
    ids = list(dict.fromkeys(listing_ids))
    shown = rows_for_sale(ids, hidden_everywhere(NO_FILTERS))
    missing = [key for key in ids if key not in shown]
    hidden = set(rows_for_sale(missing, NO_FILTERS)) if missing else set()
    hidden |= (dismissed_listings(buyer) if buyer else set()) & shown.keys()
    left_out = {
        key: LeftOut.HIDDEN if key in hidden else LeftOut.NOT_FOR_SALE
        for key in ids
        if key in hidden or key not in shown
    }
    rows: dict[int, Listing] = {key: shown[key] for key in ids if key not in left_out}
    scores, scorer = score_for(list(rows), buyer)
    best_first = sorted(rows, key=lambda key: -scores.get(key, float("-inf")))
    chosen = [(Candidate(key, scores.get(key, 0.0), ORDERED), rows[key]) for key in best_first]
    answer = build_recommended_list(chosen, scorer)
    writer.write(row_of(answer, buyer, NO_FILTERS, ServedList.Kind.RANKED))
    return OrderedList(answer, left_out)
