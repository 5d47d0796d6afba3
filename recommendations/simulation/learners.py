"""The site as a recommender of the closed loop: it records events as a client does, and returns the site's lists.

Nothing is learned here. ``SimulatedSite`` learns and ranks by the functions that serve; this module is its client.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.engine.ranker import Ranker
from recommendations.listings.rows import ListingRows
from recommendations.models import Placement
from recommendations.serving.placements import HOME
from recommendations.simulation import browsing as sim
from recommendations.simulation.closed_loop import Round
from recommendations.simulation.memory_log import MemoryLog
from recommendations.simulation.site import MemoryIndex, SimulatedSite, ids_of
from recommendations.simulation.true_taste import Rows

FIRST_BUYER = 1_000_000  # of those under test; the buyers of the log are counted from 1
SECONDS_TO_OPEN = 20.0


def log_of(history: sim.History, anchor: float, until_s: float = 0.0) -> MemoryLog:
    """Record a history as clients do.

    Args:
        history: Lists and events.
        anchor: Epoch seconds from which its times count back.
        until_s: Lists and events later than this many seconds before the anchor are left out.
    """
    log, number_of_list = MemoryLog(), {}
    for event in range(history.n_events):  # oldest first
        at = int(history.event_list[event])
        if history.event_s[event] <= until_s:
            continue
        moment, buyer_id = anchor - float(history.event_s[event]), int(history.event_buyer[event]) + 1
        if history.event_kind[event] == sim.SEARCH:
            log.record_search(buyer_id, moment, history.list_query[at])
            continue
        if at not in number_of_list:
            rows = history.list_rows[at]
            number_of_list[at] = log.record_list(ids_of(rows[rows != sim.NOTHING]))
        kind, listing_id = sim.EVENT_KINDS[history.event_kind[event]], int(history.event_row[event]) + 1
        log.record_event(buyer_id, kind, moment, listing_id, number_of_list[at])
    return log


@dataclass(frozen=True, eq=False)
class Training:
    """What the site has when the loop begins.

    Attributes:
        rows: The stock.
        ranker: As trained.
        history: The log it was trained on, to which the loop adds.
        anchor: Of the market's times, epoch seconds.
        hours: Between two rounds of the loop.
        n_rounds: Of the loop.
    """

    rows: ListingRows
    ranker: Ranker
    history: sim.History
    anchor: float
    hours: float
    n_rounds: int

    @property
    def begin_s(self) -> float:
        """Seconds before the anchor at which the loop begins; training uses nothing later."""
        return (self.n_rounds - 1) * self.hours * 3600


class ShowAsServed:
    """Lists as the site serves them, for ``run_loop``. It keeps the log of one loop, so each loop needs a new one."""

    def __init__(self, training: Training, placement: Placement | None = None, ranker: Ranker | None = None) -> None:
        self.training = training
        log = log_of(training.history, training.anchor, training.begin_s)
        index = MemoryIndex(ranker or training.ranker, training.rows)
        self.site = SimulatedSite(index, log, placement or Placement(slug=HOME))

    def __call__(self, asked: Round) -> Rows:
        if asked.number:
            for buyer in range(asked.n_buyers):
                self.record(buyer, asked)
        buyer_ids = [FIRST_BUYER + buyer for buyer in range(asked.n_buyers)]
        lists = np.full((asked.n_buyers, asked.k), -1)
        for buyer, ids in enumerate(self.site.recommend(buyer_ids, asked.k, self.moment_of(asked.number))):
            lists[buyer, : len(ids)] = np.array(ids, np.int64) - 1
        return lists

    def record(self, buyer: int, asked: Round) -> None:
        """Record the last round: the search if there was one, the list that was shown, and the cars opened."""
        log, moment, buyer_id = self.site.log, self.moment_of(asked.number - 1), FIRST_BUYER + buyer
        searched = asked.searched[-1][buyer]
        if searched is not None:
            log.record_search(buyer_id, moment, searched)
        shown, opened = asked.shown[-1, buyer], asked.chosen[-1, buyer]
        of_list = log.record_list(ids_of(shown[shown >= 0]))
        for number, row in enumerate(opened[opened >= 0].tolist(), start=1):
            log.record_event(buyer_id, "view", moment + number * SECONDS_TO_OPEN, row + 1, of_list)

    def moment_of(self, number: int) -> float:
        """Return the time of a round, in epoch seconds."""
        return self.training.anchor - (self.training.n_rounds - 1 - number) * self.training.hours * 3600
