"""The list in the window: recommended or sorted, by the functions that answer the API."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.api.search_pages import ordering_by
from recommendations.buyers.context import load_buyer_context
from recommendations.listings.index import borrow_index
from recommendations.listings.market_statistics import current_market_statistics
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import HOME, rules_of
from recommendations.serving.ranking import Candidate
from recommendations.serving.recommended import RecommendedListing, build_recommended_list
from recommendations.serving.scorer import Scorer
from shop.cards import Card, cards_of_listings, cards_of_recommended, liked_by
from shop.questions import BEST, Question, pages_at_most


@dataclass(frozen=True, eq=False)
class Window:
    """What is shown; ``ms`` is how long the list took, without the page around it."""

    cards: list[Card]
    question: Question
    n_found: int
    is_personalised: bool
    list_id: uuid.UUID | None
    ms: float

    @property
    def has_more(self) -> bool:
        return len(self.cards) == self.question.n_shown < self.n_found and self.question.page < pages_at_most()

    @property
    def listing_ids(self) -> list[int]:
        return [card.listing.pk for card in self.cards]


def open_window(buyer: Buyer | None, question: Question) -> Window:
    """The cars that a buyer, or a cold buyer (None), is shown for a question.

    A recommended list is logged as served.
    """
    started = time.perf_counter()
    liked = liked_by(buyer)
    matching = Listing.objects.available().cars().matching(question.filters)
    if question.ordering == BEST:
        answer = recommend(ListRequest(buyer=buyer, k=question.n_shown, filters=question.filters))
        cards = cards_of_recommended(answer.items, liked, answer.id)
        list_id, is_personalised = answer.id, answer.is_personalised
    else:
        found = matching.order_by(*ordering_by(question.ordering)).with_card_data()[: question.n_shown]
        cards, list_id, is_personalised = cards_of_listings(list(found), liked), None, False
    ms = 1000 * (time.perf_counter() - started)
    return Window(cards, question, matching.order_by().count(), is_personalised, list_id, ms)


def assessed(buyer: Buyer | None, listing: Listing) -> RecommendedListing | None:
    """One car as the home page's list would score it for a buyer, and why; None before any ranker is live."""
    context = load_buyer_context(buyer)
    with borrow_index() as listing_index:
        if context is None or listing_index is None or context.version_id != listing_index.version_id:
            return None
        scorer = Scorer.of(listing_index, context, rules_of(HOME, buyer), current_market_statistics())
    return build_recommended_list([(Candidate(listing.pk, 0.0, "taste"), listing)], scorer).items[0]
