"""What buyers' events say about taste: each choice, out of what it was made.

Events of one buyer or of thousands run through the same code, all of them at once: positions first, features last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.stock import Stock

NOBODY = -1  # in a padded matrix of rows


@dataclass(frozen=True, eq=False)
class Choices:
    """Events ready for arithmetic; arrays are of length n_events unless said otherwise.

    Attributes:
        vectors: Features of all that was chosen or shown, float32, shape (n_vectors, n_dims).
        chosen: Row of ``vectors`` of what was chosen: a listing, or the mean of what a search found.
        shown: Rows of ``vectors`` of the other listings of the list it was chosen from, shape (n_events, n_shown);
            ``NOBODY`` where a list was shorter.
        weights: Strength after decay, >= 0.
        reverse: Whether it is a choice against (a dislike).
        moments: When it happened, epoch seconds.
        seeds: Each makes the background sample of its event repeatable, int64.
        listing_ids: What was chosen, so that the sample leaves it out; 0 for a search.
        buyer_ids: Whose event it is.
    """

    vectors: NDArray[np.float32]
    chosen: NDArray[np.intp]
    shown: NDArray[np.intp]
    weights: NDArray[np.float64]
    reverse: NDArray[np.bool_]
    moments: NDArray[np.float64]
    seeds: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    buyer_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, at: NDArray) -> Self:
        """Events at some positions, or where a mask is true."""
        columns = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "vectors"}
        return type(self)(vectors=self.vectors, **{name: column[at] for name, column in columns.items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Choices]) -> Self:
        """The events of several parts, one after the other; at least one part."""
        starts = np.cumsum([0, *(len(part.vectors) for part in parts)])
        width = max(part.shown.shape[1] for part in parts)
        joined = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("chosen", "shown")
        }
        pairs = list(zip(parts, starts, strict=False))
        return cls(
            chosen=np.concatenate([part.chosen + start for part, start in pairs]),
            shown=np.concatenate([_shifted(part.shown, start, width) for part, start in pairs]),
            **joined,
        )


def _shifted(rows: NDArray[np.intp], start: int, width: int) -> NDArray[np.intp]:
    """The same rows counted from elsewhere, padded to a width."""
    wider = np.full((len(rows), width), NOBODY, np.intp)
    wider[:, : rows.shape[1]] = np.where(rows == NOBODY, NOBODY, rows + start)
    return wider


def build_choice_sets(choices: Choices, stock: Stock, n_sampled: int) -> dict[int, ChoiceSets]:
    """Put each choice in front of what was shown beside it and a random sample of what was live then.

    A list that was already relevant says little about the region a buyer shops in; the sample says the rest.

    Args:
        choices: Events in any order.
        stock: Where the sample is drawn from.
        n_sampled: Random live listings to add to each set.

    Returns:
        Sets by buyer, events in the given order, each set padded to the buyer's longest, the chosen alternative always
        first. Events of weight zero, and events with nothing to be chosen from, are left out; so are buyers left
        without events.
    """
    choices = choices.take(choices.weights > 0)
    if not len(choices):
        return {}
    rows = alternatives(choices, stock, n_sampled)
    n_alternatives = (rows != NOBODY).sum(axis=1)
    by_buyer = np.argsort(choices.buyer_ids, kind="stable")
    by_buyer = by_buyer[n_alternatives[by_buyer] > 1]
    if not len(by_buyer):
        return {}
    buyers, starts = np.unique(choices.buyer_ids[by_buyer], return_index=True)
    return {
        buyer: sets_of(choices.take(events), rows[events], stock)
        for buyer, events in zip(buyers.tolist(), np.split(by_buyer, starts[1:]), strict=True)
    }


def alternatives(choices: Choices, stock: Stock, n_sampled: int) -> NDArray[np.intp]:
    """What each choice was made from: the chosen, what was shown beside it, and a sample of what was live.

    Returns:
        Rows of ``choices.vectors``, or, counted on from their end, of the stock; shape (n_events, n_alternatives),
        ``NOBODY`` after the last of each.
    """
    sampled = stock.samples_live(choices.moments, n_sampled + 1, choices.seeds)
    is_other = sampled != NOBODY
    if len(stock):
        is_other &= stock.listing_ids[sampled] != choices.listing_ids[:, None]
    is_other &= is_other.cumsum(axis=1) <= n_sampled
    sampled = np.where(is_other, sampled + len(choices.vectors), NOBODY)
    rows = np.hstack([choices.chosen[:, None], choices.shown, sampled])
    to_the_left = np.argsort(rows == NOBODY, axis=1, kind="stable")
    return np.take_along_axis(rows, to_the_left, axis=1)


def sets_of(choices: Choices, rows: NDArray[np.intp], stock: Stock) -> ChoiceSets:
    """The choice sets of one buyer, from the rows of ``alternatives``."""
    rows = rows[:, : (rows != NOBODY).sum(axis=1).max()]
    n_vectors = len(choices.vectors)
    features = np.empty((*rows.shape, choices.vectors.shape[1]), np.float32)
    own = rows < n_vectors
    features[own] = choices.vectors[rows[own]]
    features[~own] = stock.vectors[rows[~own] - n_vectors]
    features[rows == NOBODY] = 0.0
    return ChoiceSets(
        features,
        chosen=np.zeros(len(rows), np.intp),
        weights=choices.weights,
        reverse=choices.reverse,
        available=rows != NOBODY,
    )
