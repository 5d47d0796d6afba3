"""Several interests of one buyer, such as one who looks for a van and for a roadster in the same weeks.

``engine.mixture.tastes`` finds the number of interests. It takes ten times as long as the posterior, so it is called
when the log has grown by a factor since the last call, and by workers only, unless it is long overdue. In between, each
event counts for the interest that explains it best, which is as fast as the posterior.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine import logit
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.mixture import tastes
from recommendations.engine.taste import Prior, Taste, pack_covariance, posterior, unpack_covariance

REFIT_GROWTH = 1.4  # growth of the log after which a worker asks anew how many tastes there are
OVERDUE_GROWTH = 2.0  # growth after which any caller asks, for then no worker is at work
EVENTS_FITTED = 80  # those with the most weight left: the question costs more with every event
FEWEST_EVENTS = 10
MIN_INTEREST_WEIGHT = 2.0  # event weight below which a taste is given up

HEADER = struct.Struct("<BBI")  # format, number of tastes, events when last asked
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Interest:
    """One of the interests of a buyer.

    Attributes:
        share: Of the buyer's event weight, 0 to 1.
        offset: Added to utilities under this interest, to compare them with those under another: ``with_offsets``.
        taste: The preference: mean and covariance.
    """

    share: float
    offset: float
    taste: Taste


@dataclass(frozen=True, eq=False)
class InterestSet:
    """The interests of a buyer with several, the largest share first; empty for a buyer with one.

    ``fitted_at`` is the number of events at which the number of interests was found last.
    """

    interests: tuple[Interest, ...] = ()
    fitted_at: int = 0

    def pack(self) -> bytes:
        """Serialise for storage; ``unpack`` restores it, rounded to float32. Empty where the number was never looked
        for."""
        if not self.fitted_at:
            return b""
        packed = HEADER.pack(FORMAT, len(self.interests), self.fitted_at)
        for interest in self.interests:
            packed += np.array([interest.share, interest.offset, *interest.taste.mean], "<f4").tobytes()
            packed += pack_covariance(interest.taste.covariance)
        return packed

    @classmethod
    def unpack(cls, content: bytes, n_dims: int) -> InterestSet:
        """Restore what was packed; ``InterestSet()`` for empty content, another format, or incomplete content."""
        if len(content) < HEADER.size or content[0] != FORMAT:
            return cls()
        _, n_interests, fitted_at = HEADER.unpack_from(content)
        n_mean, n_covariance = 4 * (2 + n_dims), 2 * n_dims * (n_dims + 1)
        if len(content) < HEADER.size + n_interests * (n_mean + n_covariance):
            return cls()
        interests = []
        for number in range(n_interests):
            start = HEADER.size + number * (n_mean + n_covariance)
            share, offset, *mean = np.frombuffer(content, "<f4", 2 + n_dims, start).astype(np.float64).tolist()
            covariance = unpack_covariance(content[start + n_mean : start + n_mean + n_covariance], n_dims)
            interests.append(Interest(share, offset, Taste(np.array(mean), covariance)))
        return cls(tuple(interests), fitted_at)


def update_interests(
    sets: ChoiceSets,
    prior: Prior,
    live: NDArray[np.float32],
    before: InterestSet | None,
    n_events: int,
    *,
    is_hurried: bool,
) -> InterestSet:
    """Bring a buyer's interests up to date.

    Args:
        sets: The choices, in any order.
        prior: The population.
        live: Vectors of the stock or of a sample of it, shape (n, n_dims), over which utilities are averaged.
        before: The last known interests; None where there are none for this version.
        n_events: Number of events in the buyer's log.
        is_hurried: A request waits. Then the number of interests is looked for only when that is overdue, and not for a
            buyer who is new to the version, as all are after a promotion.
    """
    sets = sets.take(sets.weights > 0)
    if is_due(before, n_events, is_hurried=is_hurried):
        strongest = np.sort(np.argsort(-sets.weights, kind="stable")[:EVENTS_FITTED])
        found = tastes(sets.take(strongest), prior)
        return InterestSet(with_offsets(found, live), n_events)
    before = before or InterestSet()
    return InterestSet(with_offsets(_reassigned(sets, prior, before.interests), live), before.fitted_at)


def is_due(before: InterestSet | None, n_events: int, *, is_hurried: bool) -> bool:
    if is_hurried:
        return before is not None and n_events >= OVERDUE_GROWTH * max(before.fitted_at, FEWEST_EVENTS)
    return n_events >= max(FEWEST_EVENTS, REFIT_GROWTH * (before.fitted_at if before else 0))


def _reassigned(sets: ChoiceSets, prior: Prior, interests: Sequence[Interest]) -> list[tuple[float, Taste]]:
    """Return shares and preferences when each event counts for the interest that explains it best; a thin one is
    dropped."""
    if not interests or not len(sets):
        return []
    batch = logit.stack([sets])
    likely = [logit.choice_log_probabilities(batch, interest.taste.mean[None])[0] for interest in interests]
    log_shares = np.log([max(interest.share, 1e-12) for interest in interests])
    best = (log_shares[:, None] + np.concatenate(likely) * sets.weights).argmax(axis=0)
    weights = np.bincount(best, sets.weights, len(interests))
    if weights.min() < MIN_INTEREST_WEIGHT:
        return []
    return [
        (weight / weights.sum(), posterior(sets.take(best == number), prior, start=interest.taste))
        for number, (interest, weight) in enumerate(zip(interests, weights.tolist(), strict=True))
    ]


def with_offsets(found: Sequence[tuple[float, Taste]], live: NDArray[np.float32]) -> tuple[Interest, ...]:
    """Return interests with offsets that make their utilities comparable, the largest share first; empty for a single
    one.

    The probability that the buyer's next choice is car i under interest t is ``share_t * exp(u_t(i))`` over the sum of
    ``exp(u_t)`` over the stock. So its logarithm is the utility plus ``log share_t - log mean exp(u_t)``, up to a
    constant. A car counts by the larger of these rather than by their sum: so its score stays linear and can be
    explained, and is too low by log 2 at most. The first interest has the offset 0, so that scores keep their scale
    when a second one is found.
    """
    if len(found) < 2:
        return ()
    ordered = sorted(found, key=lambda one: -one[0])
    offsets = np.array([np.log(max(share, 1e-12)) - log_mean_exp(live @ taste.mean) for share, taste in ordered])
    return tuple(
        Interest(share, float(offset), taste)
        for (share, taste), offset in zip(ordered, offsets - offsets[0], strict=True)
    )


def log_mean_exp(values: NDArray[np.floating]) -> float:
    """Return the logarithm of the mean of the exponentials, without overflow; 0 for no values."""
    if not values.size:
        return 0.0
    largest = float(values.max())
    return largest + float(np.log(np.mean(np.exp(values - largest))))
