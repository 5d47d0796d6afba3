"""Choice sets of one buyer: the alternatives of each choice, and the choice; the data of the preference model.

Arrays only. The caller that builds the arrays decides which listings are in a set, and how old an event is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Array, Flags, Floats, Reals, Rows

# Features of a sane scale are a few units at most. Their squares, times the weight, stand beside the prior's precision
# (1 or so) in one matrix: within these bounds the prior survives the rounding, in float32 up to the last one.
LARGEST_FEATURE = 1e4
LARGEST_WEIGHT = 1e3
LARGEST_FEATURE_IN_SINGLE = 30.0
BOUNCE = 0.25  # what a view counts that was left at once, against a usual one
LONGEST_DWELL = 2.0  # what the longest one counts
USUAL_DWELL_SECONDS = 20.0  # after which a view counts 1
LARGEST_OFFSET = 100.0  # logits; odds beyond e^100 are certainty


@dataclass(frozen=True, eq=False)
class ChoiceSets:
    """The choices of one buyer: in each event they chose one listing out of several (or rejected one).

    Sets of different sizes are padded to the largest; ``available`` marks the alternatives. Values in padding are
    ignored, nan included.

    Attributes:
        features: Listing features, float32 or float64, shape (n_events, n_alternatives, n_dims). Arithmetic has this
            precision. Other types, and float32 with values beyond 30, become float64.
        chosen: Position of the chosen listing in its set, int, shape (n_events,).
        weights: Strength of each event after decay, shape (n_events,), 0 to ``LARGEST_WEIGHT``. Left out: all 1.
        reverse: True where the event rejects the listing (a dislike), shape (n_events,). Left out: none.
        available: True where an alternative was offered, shape (n_events, n_alternatives). Left out: all.
        offsets: Utility of each alternative apart from the preference, in logits (see ``position_offsets``), at most
            ``LARGEST_OFFSET`` in size, shape (n_events, n_alternatives). For a dislike it raises the odds of being
            rejected, since position bias acts on both. Left out: none.

    Raises:
        ValueError: If the arrays disagree in shape, a chosen listing was not offered, a weight or an offset is out of
            range, or an offered listing has a feature that is not finite or larger than ``LARGEST_FEATURE``.
    """

    features: Reals
    chosen: Rows
    # Never None once built: __post_init__ fills in what was left out.
    weights: Floats = None  # type: ignore[assignment]
    reverse: Flags = None  # type: ignore[assignment]
    available: Flags = None  # type: ignore[assignment]
    offsets: Floats = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        features = np.asarray(self.features)
        if features.ndim != 3:
            raise ValueError(f"features must have shape (n_events, n_alternatives, n_dims), not {features.shape}")
        if features.dtype not in (np.float32, np.float64):
            features = features.astype(np.float64)
        n_events = len(features)
        self._set("features", features)
        self._set("chosen", _positions(self.chosen, n_events))
        self._set("weights", _filled(self.weights, (n_events,), 1.0, np.float64, "weights"))
        self._set("reverse", _filled(self.reverse, (n_events,), False, np.bool_, "reverse"))
        self._set("available", _filled(self.available, features.shape[:2], True, np.bool_, "available"))
        self._set("offsets", _filled(self.offsets, features.shape[:2], 0.0, np.float64, "offsets"))
        self._check_values()

    def _set(self, name: str, value: Array) -> None:
        object.__setattr__(self, name, value)

    def _check_values(self) -> None:
        if not ((self.weights >= 0).all() and (self.weights <= LARGEST_WEIGHT).all()):
            raise ValueError(f"weights must be 0 to {LARGEST_WEIGHT:g}; a choice against a listing is said by reverse")
        if len(self) == 0:
            return
        n_alternatives = self.features.shape[1]
        if self.chosen.min() < 0 or self.chosen.max() >= n_alternatives:
            raise ValueError(f"chosen must lie between 0 and {n_alternatives - 1}")
        if not self.available[np.arange(len(self)), self.chosen].all():
            raise ValueError("a chosen listing is not among the available ones")
        if not (np.abs(self.offsets[self.available]) <= LARGEST_OFFSET).all():
            raise ValueError(f"offsets must lie between -{LARGEST_OFFSET:g} and {LARGEST_OFFSET:g}")
        largest = _largest(self.features)
        if not largest <= LARGEST_FEATURE:  # once more without the padding, which saves the usual case a copy
            largest = _largest(self.features[self.available])
        if not largest <= LARGEST_FEATURE:  # also true for nan
            raise ValueError(f"features must be finite and at most {LARGEST_FEATURE:g} in size")
        if largest > LARGEST_FEATURE_IN_SINGLE:
            self._set("features", self.features.astype(np.float64))

    def __len__(self) -> int:
        return len(self.features)

    @property
    def n_dims(self) -> int:
        return int(self.features.shape[2])

    @classmethod
    def empty(cls, n_dims: int) -> ChoiceSets:
        """Return the sets of a buyer without events."""
        return cls(np.zeros((0, 1, n_dims), dtype=np.float32), np.zeros(0, dtype=np.intp))

    def take(self, events: ArrayLike) -> ChoiceSets:
        """Return the sets with these events only: positions, a slice's range, or a boolean mask."""
        events = np.asarray(events)
        return ChoiceSets(
            self.features[events],
            self.chosen[events],
            self.weights[events],
            self.reverse[events],
            self.available[events],
            self.offsets[events],
        )

    def reweighted(self, weights: ArrayLike) -> ChoiceSets:
        """Return the same events with other strengths, shape (n_events,); the features are shared rather than
        copied."""
        return ChoiceSets(self.features, self.chosen, np.asarray(weights), self.reverse, self.available, self.offsets)

    def differences(self) -> Reals:
        """Return the features of each alternative minus those of the chosen one, shape of ``features``; 0 in padding.

        Only differences within a set carry information, and taking them first keeps float32 accurate for features with
        a large common part. For a dislike the sign is reversed.
        """
        differences = self.features - self.features[np.arange(len(self)), self.chosen][:, None, :]
        if not self.available.all():
            differences[~self.available] = 0
        if self.reverse.any():
            differences[self.reverse] *= -1
        return differences

    def log_odds(self) -> NDArray[np.float64]:
        """Return the offset of each alternative minus that of the chosen one, shape of ``available``; -inf in
        padding."""
        of_chosen = self.offsets[np.arange(len(self)), self.chosen]
        return np.where(self.available, self.offsets - of_chosen[:, None], -np.inf)


def position_offsets(positions: ArrayLike, position_bias: float) -> NDArray[np.float64]:
    """Return the effect of positions in a list on the odds of being chosen, in logits: the top is seen first.

    Each doubling of the position costs ``position_bias``. Without offsets a preference would learn to like listings
    that happened to be on top, and confirm its own lists.

    Args:
        positions: From 1 at the top, any shape.
        position_bias: >= 0; 0 is none.

    Raises:
        ValueError: If a position is below 1, or the bias is negative or no number.
    """
    positions = np.asarray(positions, dtype=np.float64)
    if not ((positions >= 1).all() and 0 <= position_bias < np.inf):
        raise ValueError("positions count from 1, and the bias is a number from 0")
    offsets: NDArray[np.float64] = -position_bias * np.log2(positions)
    return offsets


def event_weights(
    base_weights: ArrayLike, age_days: ArrayLike, half_life_days: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the weight of each event after decay, and which events reject a listing.

    Args:
        base_weights: Weight of the event's kind relative to a view's 1; negative for a rejection. Shape (n_events,).
        age_days: Days since the event, shape (n_events,). A negative age (a fast clock) counts as 0.
        half_life_days: Time after which the weight is halved; > 0, inf for never. Shape (n_events,) or one number.

    Returns:
        Weights >= 0 and the reverse flags, both shape (n_events,), as ``ChoiceSets`` takes them.

    Raises:
        ValueError: If a base weight or an age is not finite, or a half-life is not positive.
    """
    base, age = np.asarray(base_weights, dtype=np.float64), np.asarray(age_days, dtype=np.float64)
    half_life = np.asarray(half_life_days, dtype=np.float64)
    if not (np.isfinite(base).all() and np.isfinite(age).all()):
        raise ValueError("base_weights and age_days must be finite")
    if not (half_life > 0).all():
        raise ValueError("half_life_days must be positive")
    weights = np.abs(base) * np.exp2(-np.maximum(age, 0.0) / half_life)
    return weights, np.broadcast_to(base < 0, weights.shape).copy()


def dwell_factors(dwell_seconds: ArrayLike) -> NDArray[np.float64]:
    """Return the weight of a view by its dwell time, relative to a view of unknown dwell time.

    It is a quarter for a page that was left at once, 1 after some ``USUAL_DWELL_SECONDS``, and at most
    ``LONGEST_DWELL``, since a page may stay open unread.

    Args:
        dwell_seconds: >= 0, nan where it is not known (which gives 1), any shape.

    Raises:
        ValueError: If a time is negative.
    """
    seconds = np.asarray(dwell_seconds, np.float64)
    if (seconds < 0).any():
        raise ValueError("dwell_seconds must be 0 or more")
    share_of_rest = (1.0 - BOUNCE) / (LONGEST_DWELL - BOUNCE)
    read = 1.0 - (1.0 - share_of_rest) ** (seconds / USUAL_DWELL_SECONDS)
    return np.where(np.isnan(seconds), 1.0, BOUNCE + (LONGEST_DWELL - BOUNCE) * read)


def _positions(chosen: ArrayLike, n_events: int) -> NDArray[np.intp]:
    positions = np.asarray(chosen)
    if positions.shape != (n_events,):
        raise ValueError(f"chosen must have shape ({n_events},), not {positions.shape}")
    if positions.size and not np.issubdtype(positions.dtype, np.integer):
        raise ValueError(f"chosen must hold positions, not {positions.dtype}")
    return positions.astype(np.intp)


def _filled(values: ArrayLike | None, shape: tuple[int, ...], default: object, dtype: type, name: str) -> Array:
    if values is None:
        return np.full(shape, default, dtype=dtype)
    array: Array = np.asarray(values, dtype=dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    return array


def _largest(features: Reals) -> float:
    """Return the largest magnitude of a feature, nan if there is a nan. Two passes, but no temporary array."""
    return float(np.maximum(features.max(), -features.min())) if features.size else 0.0
