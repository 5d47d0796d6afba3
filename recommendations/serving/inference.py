"""Given vectors in, the live listings with the highest inner products out: from memory, without any query.

No buyer, no placement, no log: the caller brings a vector of their own. Where the stock is larger than the index
may be, pgvector answers the same question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from django.utils.translation import gettext
from numpy.typing import NDArray

from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from recommendations.engine.inner_products import (
    approximate_products,
    best_products,
    largest_length,
    questions_at_once,
)
from recommendations.engine.stock import Stock
from recommendations.exceptions import NoLiveRanker
from recommendations.listings.index import ListingIndex, borrow_index
from recommendations.listings.retrieval import PgvectorRetriever
from recommendations.listings.vectors import read_vectors
from recommendations.telemetry import INFERENCES

GroupBy = Literal["body", "make"]
COLUMN_OF_GROUP = {"body": "body", "make": "make__slug"}
UNKNOWN_GROUP = "unknown"

Match = dict[str, Any]  # id, name, score


@dataclass(frozen=True, eq=False)
class Question:
    """One vector, shape (n_dims,), and what is wanted: the best ``top``, or so many of each group."""

    vector: NDArray[np.float64]
    top: int = 10
    group_by: GroupBy | None = None


# The matches best first, or such a list for each group; None to a vector that cannot be answered.
Answer = list[Match] | dict[str, list[Match]] | None


def infer(questions: Sequence[Question]) -> list[Answer]:
    """Answers in the order of the questions.

    A question with a number that is not finite, and one whose scores would not be, is answered None. Raises
    NoLiveRanker.
    """
    answers: list[Answer] = [None] * len(questions)
    asked = [at for at, question in enumerate(questions) if np.isfinite(question.vector).all()]
    done = 0
    while done < len(asked):
        # borrowed block by block, so that a large batch does not keep everybody else waiting
        with borrow_index(is_stale_allowed=True) as listing_index:
            if listing_index is None:
                raise NoLiveRanker(gettext("No ranker is live yet: train one first."))
            some = asked[done : done + questions_at_once(len(listing_index))]
            for at, answer in zip(some, _answers([questions[at] for at in some], listing_index), strict=True):
                answers[at] = answer
        done += len(some)
    INFERENCES.inc(len(questions))
    return answers


def _answers(questions: Sequence[Question], listing_index: ListingIndex) -> list[Answer]:
    if not listing_index.is_complete:
        return [_answer_from_database(question, listing_index.version_id) for question in questions]
    products = approximate_products(listing_index.stock.vectors, np.array([question.vector for question in questions]))
    live = np.flatnonzero(listing_index.column("is_live"))
    return [_answer(question, row, live, listing_index) for question, row in zip(questions, products, strict=True)]


def _answer(
    question: Question, products: NDArray[np.float32], live: NDArray[np.intp], listing_index: ListingIndex
) -> Answer:
    stock, names = listing_index.stock, listing_index.column("names")
    longest = longest_in(stock)

    def best_of(rows: NDArray[np.intp]) -> list[Match] | None:
        ids, vectors = stock.listing_ids, stock.vectors
        rows, scores = best_products(vectors, ids, rows, question.vector, question.top, products, longest)
        return _matches(ids[rows], names[rows], scores)

    if question.group_by is None:
        return best_of(live)
    return _by_group({name: best_of(rows) for name, rows in _groups(question.group_by, live, listing_index).items()})


def _groups(field: GroupBy, live: NDArray[np.intp], listing_index: ListingIndex) -> dict[str, NDArray[np.intp]]:
    """Live rows by category."""
    codes = listing_index.columns.codes(field)[live]
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    levels = listing_index.columns.levels(field)
    return {levels[code]: rows for code, rows in zip(present.tolist(), np.split(live[order], starts[1:]), strict=False)}


def _matches(ids: NDArray[np.int64], names: Iterable[str], scores: NDArray[np.float64]) -> list[Match] | None:
    """None where a score is beyond what a number can hold: infinity is not an answer."""
    if not np.isfinite(scores).all():
        return None
    return [
        {"id": listing_id, "name": name, "score": score}
        for listing_id, name, score in zip(ids.tolist(), names, scores.tolist(), strict=True)
    ]


def _by_group(found: Mapping[str, list[Match] | None]) -> Answer:
    """Categories in alphabetical order, and last, under a name of its own, what has none."""
    names = sorted(found, key=lambda name: (not name, name))
    answer = {name or UNKNOWN_GROUP: matches for name in names if (matches := found[name]) is not None}
    return answer if len(answer) == len(found) else None


def _answer_from_database(question: Question, version_id: int) -> Answer:
    live = Listing.objects.available().cars()
    if question.group_by is None:
        return _found_in_database(question, live, version_id)
    column = COLUMN_OF_GROUP[question.group_by]
    categories = live.order_by(column).values_list(column, flat=True).distinct()
    return _by_group(
        {
            category or "": _found_in_database(question, live.filter(**{column: category}), version_id)
            for category in categories
        }
    )


def _found_in_database(question: Question, allowed: ListingQuerySet, version_id: int) -> list[Match] | None:
    """Found by pgvector, and scored again as in memory; scaled, because the index knows single precision only."""
    largest = np.abs(question.vector).max(initial=0.0) or 1.0
    ids, _ = PgvectorRetriever(version_id).best_among(question.vector / largest, question.top, allowed)
    ids, vectors, _ = read_vectors(version_id, ids.tolist())
    cards = allowed.with_card_data().in_bulk(ids.tolist())
    still_there = np.flatnonzero([key in cards for key in ids.tolist()])
    rows, scores = best_products(vectors, ids, still_there, question.vector, question.top)
    return _matches(ids[rows], [cards[key].name for key in ids[rows].tolist()], scores)


_longest: tuple[Stock | None, float] = (None, 0.0)


def longest_in(stock: Stock) -> float:
    """``largest_length`` of the stock's vectors, measured once for each state of it."""
    global _longest
    known, length = _longest
    if known is not stock:
        length = largest_length(stock.vectors)
        _longest = (stock, length)
    return length
