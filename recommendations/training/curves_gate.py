"""May a version list cars by curves of its terms? Held against its own weights alone, on the same buyers.

The test of ``learned_curves`` is of choices from lists that were shown; this one is of lists from the whole stock.
Curves stay where their lists are shown to be *not inferior*, by the margin of the gate of versions (``gate``).
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommendations.listings.snapshot import ListingSnapshot
from recommendations.metrics import ranking as metrics
from recommendations.training.dataset import PartedEvents
from recommendations.training.gate import FEWEST_BUYERS, MARGIN
from recommendations.training.held_out import OURS, K, Tested, ndcg_of, other_answers
from recommendations.training.score_weights import LearnedScores


def judge_curves(
    snapshot: ListingSnapshot, scores: LearnedScores, tested: Tested, events: PartedEvents, *, seed: int
) -> tuple[Tested, LearnedScores]:
    """What was tested with curves, where its lists are not worse than those of the weights alone; else those."""
    alone = scores.weights_alone()
    of_weights = copy.copy(snapshot)
    of_weights.ranker = snapshot.ranker.with_scores(alone.known, alone.cold)
    answers = other_answers(of_weights, tested, events)
    of_curves, alone_ndcg = (ndcg_of(lists, tested.case) for lists in (tested.lists[OURS], answers.lists))
    is_passed, sentence = against_weights(of_curves, alone_ndcg, K, seed)
    listed = tested if is_passed else replace(tested, lists={**tested.lists, OURS: answers.lists}, won=answers.won)
    return listed, scores.judged(is_passed, sentence)


def against_weights(of_curves: NDArray[np.float64], alone: NDArray[np.float64], k: int, seed: int) -> tuple[bool, str]:
    """Whether lists made with curves are not worse than those of the weights alone, and a sentence about it.

    Args:
        of_curves, alone: NDCG@k of each buyer of the held-out test, shape (n_buyers,).
        k: Length of the lists.
        seed: Of the bootstrap.
    """
    n_buyers = int(np.isfinite(alone).sum())
    if n_buyers < FEWEST_BUYERS:
        return False, f"Only {n_buyers} buyers to test lists on; it takes {FEWEST_BUYERS}, so the weights stay alone."
    found = metrics.compare(of_curves, alone, np.random.default_rng(seed))
    level = metrics.mean_over_users(alone)
    is_passed = found.low >= -MARGIN * level
    sentence = (
        f"Their lists are {'not worse than' if is_passed else 'not shown to be as good as'} those of weights alone: "
        f"NDCG@{k} {found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}) against {level:.3f}."
    )
    return is_passed, sentence
