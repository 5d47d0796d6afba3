"""Choices before a day, at several moments, to learn weights from and to try rankers out on.

The windows follow each other up to the day. How long they are depends on what is known before the day alone, never on
how long the test is: what is chosen must serve a test of any length. The newest is as short as it takes to see enough
users, so that what changed lately shows; those before it are longer, so that the choice does not rest on one day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.evaluation.item_events import COLD_EVENTS, ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_terms import ItemRankerConfig, LearningData

LONGEST_DAYS = 14.0  # of a window
SHARE_OF_PAST = 1 / 10  # of what lies before the day, that a window takes at most
SHARE_OF_USERS = 1 / 20  # of all before the day, that the newest window waits for
FEWEST_USERS, MOST_USERS = 6, 200  # between which that number lies, and the most that are asked about in a window
ENOUGH_USERS = 150  # in all windows; with fewer, there are more windows, up to MOST_WINDOWS
MOST_WINDOWS = 12
NONE, FEW, KNOWN = 0, 1, 2  # segments of users by their events before the moment: none, below COLD_EVENTS, more
SEGMENTS = ("users without events", "users with few events", "known users")


def segments_of(n_events: NDArray[np.intp]) -> NDArray[np.intp]:
    """Segment of users by their number of events, shape as given."""
    return np.where(n_events == 0, NONE, np.where(n_events < COLD_EVENTS, FEW, KNOWN))


@dataclass(frozen=True, eq=False)
class Window:
    """The events before a time, and the items that some users chose after it."""

    learning_data: LearningData
    asked: ItemQuestion

    @property
    def segments(self) -> NDArray[np.intp]:
        return segments_of(self.learning_data.n_events_of_users[self.asked.user_rows])


def windows_before(
    events: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig, length: float | None = None
) -> list[Window]:
    """Consecutive windows that end at a day, oldest first, those without a user to ask about left out.

    Args:
        events: Later ones may be among them; they are not looked at.
        catalogue: Of the items.
        day: End of the last window.
        config: Number of windows, and how is asked.
        length: Of each in days; None: as ``lengths_before`` says.
    """
    past = events.before(day)
    if len(past) < 2:
        return []
    found = _windows(past, catalogue, day, config, np.full(config.moments, length) if length
                     else lengths_before(past, day, config.moments))  # fmt: skip
    if not length and sum(len(window.asked) for window in found) < ENOUGH_USERS:
        more = lengths_before(past, day, max(config.moments, MOST_WINDOWS))
        found = _windows(past, catalogue, day, config, more) or found
    return found


def _windows(
    past: ItemEvents, catalogue: ItemCatalogue, day: float, config: ItemRankerConfig, lengths: Floats
) -> list[Window]:
    rng = np.random.default_rng(config.seed)
    found, until = [], day
    for days in lengths:
        start = until - float(days)
        if start <= past.days.min() + (day - past.days.min()) / 4:  # too little lies before
            break
        asked = ask(past, catalogue, start, until, known_only=config.known_only, unseen_only=config.unseen_only)
        if len(asked):
            sample = np.sort(rng.permutation(len(asked))[:MOST_USERS])
            found.append(Window(LearningData(past, catalogue, start, config), asked.take(sample)))
        until = start
    return found[::-1]


def lengths_before(past: ItemEvents, day: float, n: int) -> Floats:
    """Days of n windows, newest first: from the time it takes to see enough users, in equal ratios, to the longest.

    Of many windows, the newest are of equal length: of a change in what users want, they begin soon after it.

    Args:
        past: At least one event, all before the day.
        day: End of the newest window.
        n: How many, at least 1.
    """
    span = day - float(past.days.min())
    longest = min(LONGEST_DAYS, span * SHARE_OF_PAST)
    latest = np.full(past.n_users, -np.inf)
    np.maximum.at(latest, past.users, past.days)
    latest = np.sort(latest[np.isfinite(latest)])[::-1]
    n_users = int(np.clip(len(latest) * SHARE_OF_USERS, min(FEWEST_USERS, len(latest)), MOST_USERS))
    shortest = day - float(latest[n_users - 1])
    growing = np.geomspace(shortest, max(longest, shortest), n - n // 4)
    return np.concatenate([np.full(n // 4, shortest), growing])
