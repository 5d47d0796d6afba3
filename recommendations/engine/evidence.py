"""Build choice sets from events: each choice with its alternatives.

Events of one buyer or of thousands are processed together: positions first, features last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.columns import Columns
from recommendations.engine.stock import Stock

PADDING = -1  # in a padded matrix of rows
# Of the position among the features from which both are learned: where what we like stands first, position and taste
# explain the same choices, and the larger feature, which a small weight suffices for, is held back less by the prior.
POSITION_SCALE = 4.0


@dataclass(frozen=True, eq=False)
class Choices(Columns):
    """Events as arrays of length n_events unless noted otherwise.

    Attributes:
        vectors: Features of everything chosen or shown, float32, shape (n_vectors, n_dims).
        chosen: Row of ``vectors`` of the chosen one: a listing, or the cars that meet a condition of a search.
        shown: Rows of ``vectors`` of the other alternatives, shape (n_events, n_shown): the other listings of a list,
            or cars that do not meet the condition; ``PADDING`` where there were fewer.
        chosen_positions, shown_positions: Their positions in the list, 1 at the top, shape (n_events,) and (n_events,
            n_shown); 1 where there was no list.
        has_unseen: Whether live listings are added as alternatives: where no list is known. A listing that a known list
            does not hold was not rejected.
        weights: Strength after decay, >= 0.
        reverse: Whether it is a rejection (a dislike).
        moments: Time of the event, epoch seconds.
        seeds: Seed of the event's sample of live listings, int64.
        listing_ids: The chosen listing, which the sample leaves out; 0 for a search.
        buyer_ids: The buyer of each event.
    """

    SHARED = ("vectors",)

    vectors: NDArray[np.float32]
    chosen: NDArray[np.intp]
    shown: NDArray[np.intp]
    chosen_positions: NDArray[np.int64]
    shown_positions: NDArray[np.int64]
    has_unseen: NDArray[np.bool_]
    weights: NDArray[np.float64]
    reverse: NDArray[np.bool_]
    moments: NDArray[np.float64]
    seeds: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    buyer_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chosen)

    @classmethod
    def concatenate(cls, parts: Sequence[Choices]) -> Self:
        """Concatenate the events of several parts, at least one."""
        starts = np.cumsum([0, *(len(part.vectors) for part in parts)])
        width = max(part.shown.shape[1] for part in parts)
        joined = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("chosen", "shown", "shown_positions")
        }
        pairs = list(zip(parts, starts, strict=False))
        return cls(
            chosen=np.concatenate([part.chosen + start for part, start in pairs]),
            shown=np.concatenate([_shifted(part.shown, start, width) for part, start in pairs]),
            shown_positions=np.concatenate([_padded(part.shown_positions, width, 1) for part in parts]),
            **joined,
        )


def _shifted(rows: NDArray[np.intp], start: int, width: int) -> NDArray[np.intp]:
    """Add an offset to the rows, and pad them to a width."""
    return _padded(np.where(rows == PADDING, PADDING, rows + start), width, PADDING)


def _padded(values: NDArray[Any], width: int, fill: int) -> NDArray[Any]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)


def build_choice_sets(
    choices: Choices, stock: Stock, n_unseen: int, position_bias: float = 0.0, *, learns_position: bool = False
) -> dict[int, ChoiceSets]:
    """Build the choice set of each choice.

    For a choice from a list, the alternatives are the listings shown. With a random sample of the stock beside them,
    the buyer would seem to have rejected what the list left out by our score, its filters or its order. Where no list
    is known, live listings are the alternatives. A higher position was chosen more easily, which the position bias
    corrects.

    Args:
        choices: Events in any order.
        stock: Source of the live listings.
        n_unseen: Number of live listings to add to a set that has them.
        position_bias: Logits that a listing loses with each doubling of its position.
        learns_position: Append log2 of the position, times ``POSITION_SCALE``, to the features, so that its effect is
            learned with the weights, instead of correcting a known bias.

    Returns:
        Sets by buyer, events in the given order, each set padded to the buyer's longest, the chosen alternative always
        first. Events of weight zero, and events without alternatives, are left out; so are buyers left without events.
    """
    choices = choices.take(choices.weights > 0)
    if not len(choices):
        return {}
    rows, doublings = alternatives(choices, stock, n_unseen)
    n_alternatives = (rows != PADDING).sum(axis=1)
    by_buyer = np.argsort(choices.buyer_ids, kind="stable")
    by_buyer = by_buyer[n_alternatives[by_buyer] > 1]
    if not len(by_buyer):
        return {}
    buyers, starts = np.unique(choices.buyer_ids[by_buyer], return_index=True)
    bias = None if learns_position else position_bias
    return {
        buyer: sets_of(choices.take(events), rows[events], doublings[events], stock, bias)
        for buyer, events in zip(buyers.tolist(), np.split(by_buyer, starts[1:]), strict=True)
    }


def alternatives(choices: Choices, stock: Stock, n_unseen: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the alternatives of each choice: the chosen one, the others shown, and live listings that were not shown.

    Returns:
        Rows of ``choices.vectors`` or, counted on from their end, of the stock; shape (n_events, n_alternatives),
        ``PADDING`` after the last of each. And log2 of the position of each, same shape; an unseen listing has the
        chosen one's, since its position is not why it was not chosen.
    """
    unseen = _unseen(choices, stock, n_unseen)
    rows = np.hstack([choices.chosen[:, None], choices.shown, unseen])
    chosen_positions = choices.chosen_positions[:, None]
    positions = np.hstack([chosen_positions, choices.shown_positions, np.broadcast_to(chosen_positions, unseen.shape)])
    to_the_left = np.argsort(rows == PADDING, axis=1, kind="stable")
    rows, positions = (np.take_along_axis(each, to_the_left, axis=1) for each in (rows, positions))
    return rows, np.log2(positions).astype(np.float32)


def _unseen(choices: Choices, stock: Stock, n_unseen: int) -> NDArray[np.intp]:
    """Return live listings without the chosen one, counted on from the end of the vectors, shape (n_events, n)."""
    found = np.full((len(choices), n_unseen + 1), PADDING, np.intp)
    has = choices.has_unseen
    found[has] = stock.samples_live(stock.settled(choices.moments[has]), n_unseen + 1, choices.seeds[has])
    is_other = found != PADDING
    if len(stock):
        is_other &= stock.listing_ids[found] != choices.listing_ids[:, None]
    is_other &= is_other.cumsum(axis=1) <= n_unseen
    return np.where(is_other, found + len(choices.vectors), PADDING)


def sets_of(
    choices: Choices,
    rows: NDArray[np.intp],
    doublings: NDArray[np.float32],
    stock: Stock,
    position_bias: float | None,
) -> ChoiceSets:
    """Return the choice sets of one buyer, from rows and positions as of ``alternatives``; without a bias it is
    learned."""
    width = (rows != PADDING).sum(axis=1).max()
    rows, doublings = rows[:, :width], doublings[:, :width]
    n_vectors, n_dims = len(choices.vectors), choices.vectors.shape[1]
    is_learned = position_bias is None
    features = np.zeros((*rows.shape, n_dims + is_learned), np.float32)
    own, padding = rows < n_vectors, rows == PADDING
    features[own, :n_dims] = choices.vectors[rows[own]]
    features[~own, :n_dims] = stock.vectors[rows[~own] - n_vectors]
    if is_learned:
        # what stands at the top is seen first, be it liked or disliked: ``differences`` turns dislikes round once more
        features[..., n_dims] = POSITION_SCALE * np.where(choices.reverse[:, None], -doublings, doublings)
    features[padding] = 0.0
    return ChoiceSets(
        features,
        chosen=np.zeros(len(rows), np.intp),
        weights=choices.weights,
        reverse=choices.reverse,
        available=~padding,
        offsets=np.where(padding, 0.0, -(position_bias or 0.0) * doublings),
    )
