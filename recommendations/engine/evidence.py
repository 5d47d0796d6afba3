"""What a buyer's events say about taste: each choice, out of what it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.stock import Stock


@dataclass(frozen=True, eq=False)
class Choice:
    """One event of one buyer, ready for arithmetic.

    Attributes:
        chosen: Features of what was chosen, shape (n_dims,): a listing's vector, or the mean of what a search found.
        shown: Features of the other listings of the list it was chosen from, shape (n_shown, n_dims); may be empty.
        weight: Strength after decay, >= 0.
        reverse: Whether it is a choice against (a dislike).
        moment: When it happened, epoch seconds.
        seed: Makes the background sample of this event repeatable.
        listing_id: What was chosen, so that the sample leaves it out; 0 for a search.
    """

    chosen: NDArray[np.float32]
    shown: NDArray[np.float32]
    weight: float
    reverse: bool
    moment: float
    seed: int
    listing_id: int = 0


def build_choice_sets(choices: Sequence[Choice], stock: Stock, n_sampled: int) -> ChoiceSets:
    """Put each choice in front of what was shown beside it and a random sample of what was live then.

    A list that was already relevant says little about the region a buyer shops in; the sample says the rest.

    Args:
        choices: Events in any order.
        stock: Where the sample is drawn from.
        n_sampled: Random live listings to add to each set.

    Returns:
        Sets padded to the longest, the chosen alternative always first. Events of weight zero, and events with
        nothing to be chosen from, are left out.
    """
    sets: list[NDArray[np.float32]] = []
    kept: list[Choice] = []
    for choice in choices:
        if choice.weight == 0:
            continue
        sampled = stock.sample_live(choice.moment, n_sampled + 1, choice.seed)
        sampled = sampled[stock.listing_ids[sampled] != choice.listing_id][:n_sampled]
        alternatives = np.vstack([choice.chosen[None], choice.shown, stock.vectors[sampled]])
        if len(alternatives) > 1:
            sets.append(alternatives)
            kept.append(choice)
    if not sets:
        return ChoiceSets.empty(stock.vectors.shape[1])
    return ChoiceSets.from_ragged(
        sets,
        chosen=np.zeros(len(sets), np.intp),
        weights=[choice.weight for choice in kept],
        reverse=[choice.reverse for choice in kept],
    )
