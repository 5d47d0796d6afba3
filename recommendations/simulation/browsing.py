"""Simulated buyers browse a simulated market, for tests, benchmarks and demos.

Buyers have a known true utility (``true_taste``, ``buyers``). Their behaviour adds what utility does not explain:
position bias, distance, mistaken clicks, and a random liking for single cars. Nothing here reads a clock or uses a
global generator. Times are whole seconds before an anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from recommendations.engine.arrays import Floats
from recommendations.simulation.buyers import Behaviour, Menu, SimulatedBuyer, draw_buyers, draw_taste
from recommendations.simulation.market import DAY, Market
from recommendations.simulation.true_taste import (
    CodedTable,
    Rows,
    TrueTaste,
    oracle_share,
    utility,
)

__all__ = [
    "EVENT_KINDS", "LIST_KINDS", "Behaviour", "CodedTable", "History", "Menu", "SimulatedBuyer", "TrueTaste",
    "choice_scores", "conditions", "draw_buyers", "draw_query", "draw_taste", "find", "oracle_share",
    "simulate", "utility",
]  # fmt: skip

BROWSING_STREAM = 3  # separates its random numbers from the market's and the buyers'
EARTH_RADIUS_KM = 6371.0

EVENT_KINDS = ("view", "favourite", "contact", "dislike", "search")
VIEW, FAVOURITE, CONTACT, DISLIKE, SEARCH = range(len(EVENT_KINDS))
LIST_KINDS = ("popular", "search", "random")
POPULAR, SEARCHED, RANDOM = range(len(LIST_KINDS))
LIST_SHARE = (0.35, 0.4, 0.25)  # of the lists a buyer sees
LIST_LENGTH = 20
NOTHING = -1  # an empty slot of a list, or the listing of a search
VIEWS_PER_LIST = 0.7  # beyond the first, on average
DISLIKES_PER_LIST = 0.12
CANDIDATES = 90  # cars among which those of a list that were for sale are found
LONGEST_AGO_DAYS = 85  # no buyer's search began earlier
QUERY_FIELDS = {"make": "makes", "body": "bodies", "fuel": "fuels", "gearbox": "gearboxes"}
POPULARITY_STEEPNESS = 0.8  # how strongly popular lists favour appeal


@dataclass(frozen=True)
class History:
    """All lists and events of the simulation, oldest first.

    Attributes:
        list_buyer: Position of the buyer who saw each list, shape (n_lists,).
        list_kind: Position in ``LIST_KINDS``.
        list_s: Seconds before the anchor at which it was shown.
        list_rows: Listings in the order shown, ``NOTHING`` after the last, shape (n_lists, LIST_LENGTH).
        list_query: The search, in the words of ``ListingFilters.as_query``; empty for other lists.
        event_buyer, event_kind: Buyer and kind of each event; the kind is a position in ``EVENT_KINDS``, shape
            (n_events,).
        event_row: The listing, ``NOTHING`` for a search.
        event_list: Position of the list it came from; for a search, of the list of its results.
        event_position: Position in that list, from 1; 0 for a search.
        event_s: Seconds before the anchor.
    """

    list_buyer: Rows
    list_kind: Rows
    list_s: Rows
    list_rows: Rows
    list_query: list[dict[str, Any]]
    event_buyer: Rows
    event_kind: Rows
    event_row: Rows
    event_list: Rows
    event_position: Rows
    event_s: Rows

    @property
    def n_lists(self) -> int:
        return len(self.list_buyer)

    @property
    def n_events(self) -> int:
        return len(self.event_buyer)


def simulate(
    market: Market,
    buyers: Sequence[SimulatedBuyer],
    n_events: int,
    seed: int,
    report: Callable[[float], None] = lambda fraction: None,
) -> History:
    """Let every buyer browse until there are ``n_events`` events, in proportion to their activity.

    A list is drawn by popularity, by a search within the buyer's budget, or at random; all its cars are for sale at
    that time. The cars opened in it follow a logit of utility, distance, random liking and position. A car is opened
    before its seller is contacted.

    Args:
        market: The listings.
        buyers: The buyers.
        n_events: Exact number of events. In a market with hardly a car for sale, most are searches.
        seed: The same seed gives the same history.
        report: Called with the share done.

    Raises:
        ValueError: If ``n_events`` is positive and there are no buyers or no listings.
    """
    if n_events and not (len(market) and buyers):
        raise ValueError("events need at least one listing and one buyer")
    coded = CodedTable(market.table)
    appeal = np.cumsum(np.exp(POPULARITY_STEEPNESS * market.appeal))
    n_each = _events_each(buyers, n_events)
    active = np.flatnonzero(n_each).tolist()
    visits = []
    for number in active:
        rng = np.random.default_rng([seed, BROWSING_STREAM, number])
        visits.append(_Visit(market, coded, appeal, buyers[number], rng).browse(int(n_each[number])))
        if number % 50 == 0:
            report(number / len(buyers))
    return _merged(active, visits)


def _events_each(buyers: Sequence[SimulatedBuyer], n_events: int) -> Rows:
    """Split ``n_events`` into whole numbers in proportion to activity; the remainder of rounding goes to the first."""
    if not buyers:
        return np.zeros(0, np.int64)
    activity = np.array([buyer.behaviour.activity for buyer in buyers])
    ends = np.round(np.cumsum(activity) / activity.sum() * n_events).astype(np.int64)
    each: Rows = np.diff(ends, prepend=0)
    return each


def choice_scores(worth: Floats, position_bias: float, rng: np.random.Generator) -> Floats:
    """Return perturbed utilities of the cars of lists, shape (n_lists, length): their descending order is one draw of a
    logit.

    Source: adding Gumbel noise and sorting draws without replacement from the Plackett-Luce model (Yellott 1977).
    """
    slots = position_bias * np.log2(np.arange(1, worth.shape[1] + 1))
    return worth - slots + rng.gumbel(size=worth.shape)


def draw_query(taste: TrueTaste, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a search: a price range around the budget, and some of make, body, fuel and gearbox, by utility."""
    budget, levels = taste.budget, taste.levels
    query: dict[str, Any] = {
        "min_price": round(budget * float(rng.uniform(0.4, 0.75)), -2),
        "max_price": round(budget * float(rng.uniform(1.05, 1.4)), -2) + 100,
    }
    for (name, asked_as), share in zip(QUERY_FIELDS.items(), (0.4, 0.35, 0.25, 0.2), strict=True):
        worth = levels.get(name)
        if worth and rng.random() < share:
            best = sorted(worth, key=worth.__getitem__, reverse=True)[: 3 if name == "make" else 1]
            query[asked_as] = [str(rng.choice(best))]
    return query


def conditions(query: dict[str, Any], market: Market, coded: CodedTable) -> dict[str, NDArray[np.bool_]]:
    """Return the listings that meet each condition of a search, by its field."""
    price = market.table.price
    met = {"price": (price >= query["min_price"]) & (price <= query["max_price"])}
    for name, asked_as in QUERY_FIELDS.items():
        if asked_as in query:
            met[name] = coded.has(name, query[asked_as][0])
    return met


def find(query: dict[str, Any], market: Market, coded: CodedTable) -> Rows:
    """Return the rows that a search finds, newest first, sold or not.

    Where there are hardly any, the search is reduced to its price range, in ``query`` too.
    """
    met = conditions(query, market, coded)
    is_found = np.logical_and.reduce(list(met.values()))
    if is_found.sum() < 5:
        for asked_as in QUERY_FIELDS.values():
            query.pop(asked_as, None)
        is_found = met["price"]
    rows = np.flatnonzero(is_found)
    return rows[np.argsort(market.published_s[rows], kind="stable")]


class _Visit:
    """One buyer's weeks on the site: the lists shown, and the events on each."""

    def __init__(
        self, market: Market, coded: CodedTable, appeal: Floats, buyer: SimulatedBuyer, rng: np.random.Generator
    ) -> None:
        self.market, self.coded, self.appeal, self.rng = market, coded, appeal, rng
        self.taste, self.behaviour = buyer.taste, buyer.behaviour
        self.fancy_key = int(rng.integers(2**63))
        some = rng.integers(len(market), size=200)
        worth = utility(self.taste, coded.take(some))
        self.mean, self.spread = float(worth.mean()), float(worth.std()) + 1e-9

    def browse(self, n_events: int) -> tuple[_Lists, Rows]:
        """Return the lists shown and the newest ``n_events`` events: (5, n_events) of kind, row, list, position,
        seconds."""
        n_lists = 2 + n_events // 3
        while True:
            lists = self._show(n_lists)
            events = self._act(lists)
            if events.shape[1] >= n_events:
                break
            n_lists *= 2  # a search always counts, so this ends, however empty the market
        events = events[:, np.argsort(-events[-1], kind="stable")][:, -n_events:]
        first = int(events[2].min())
        events[2] -= first
        return lists.since(first), events

    def _show(self, n_lists: int) -> _Lists:
        times = self._times(n_lists)
        kinds = self.rng.choice(len(LIST_KINDS), n_lists, p=LIST_SHARE)
        candidates = np.full((n_lists, CANDIDATES), NOTHING)
        popular, random = kinds == POPULAR, kinds == RANDOM
        points = self.rng.random((int(popular.sum()), CANDIDATES)) * self.appeal[-1]
        candidates[popular] = np.minimum(np.searchsorted(self.appeal, points), len(self.market) - 1)
        candidates[random] = self.rng.integers(len(self.market), size=(int(random.sum()), CANDIDATES))
        queries: list[dict[str, Any]] = [{} for _ in kinds]
        self._search(np.flatnonzero(kinds == SEARCHED), times, candidates, queries)
        return _Lists(times, kinds, self._first_on_sale(candidates, times), queries)

    def _times(self, n_lists: int) -> Rows:
        """Draw the times of the lists, oldest first, within the weeks of the buyer's search."""
        span = self.behaviour.shopping_days * DAY
        latest = max(0.0, float(self.rng.normal(0, 20))) * DAY if self.rng.random() < 0.5 else 0.0
        latest = min(latest, (LONGEST_AGO_DAYS - self.behaviour.shopping_days) * DAY)
        times = latest + 600 + self.rng.random(n_lists) * span
        return -np.sort(-times).astype(np.int64)

    def _search(self, slots: Rows, times: Rows, candidates: Rows, queries: list[dict[str, Any]]) -> None:
        """Fill in the candidates of searches, newest first."""
        asked = [draw_query(self.taste, self.rng) for _ in range(1 + int(self.rng.integers(3)))]
        found = [find(query, self.market, self.coded) for query in asked]
        for slot in slots:
            which = int(self.rng.integers(len(asked)))
            rows = found[which]
            newest = np.searchsorted(self.market.published_s[rows], times[slot], side="right")
            rows = rows[newest : newest + CANDIDATES]
            candidates[slot, : len(rows)] = rows
            queries[slot] = asked[which]

    def _first_on_sale(self, candidates: Rows, times: Rows) -> Rows:
        """Return the first cars of each row of candidates that were for sale at its time, each once."""
        is_good = (candidates != NOTHING) & self.market.is_on_sale(candidates, times[:, None])
        is_good &= ~_is_repeated(candidates)
        slot = np.cumsum(is_good, axis=1) - 1
        is_good &= slot < LIST_LENGTH
        rows = np.full((len(times), LIST_LENGTH), NOTHING)
        of_list, column = np.nonzero(is_good)
        rows[of_list, slot[of_list, column]] = candidates[of_list, column]
        return rows

    def _worth(self, lists: _Lists) -> Floats:
        """Return the utility of each car of each list at its time, -inf in empty slots."""
        of_list, slot = np.nonzero(lists.rows != NOTHING)
        rows = lists.rows[of_list, slot]
        here = utility(self.taste, self.coded.take(rows), lists.times[of_list] / DAY)
        here += self.behaviour.fancy * fixed_normal(self.fancy_key, rows)
        here -= self.behaviour.distance_aversion * np.log2(1 + self._distance_km(rows) / 40)
        worth = np.full(lists.rows.shape, -np.inf)
        worth[of_list, slot] = here
        return worth

    def _distance_km(self, rows: Rows) -> Floats:
        """Return distances on a plane around the buyer; exact enough within one country."""
        north = np.radians(self.market.latitude[rows] - self.behaviour.latitude)
        east = np.radians(self.market.longitude[rows] - self.behaviour.longitude)
        distances_km: Floats = EARTH_RADIUS_KM * np.hypot(north, east * np.cos(np.radians(self.behaviour.latitude)))
        return distances_km

    def _act(self, lists: _Lists) -> NDArray[np.int64]:
        worth = self._worth(lists)
        is_viewed, is_disliked = self._opened(worth), self._disliked(worth)
        is_disliked &= ~is_viewed
        # cars of high utility relative to the stock are saved, and their sellers contacted, more often
        liking = (np.where(is_viewed, worth, 0) - self.mean) / self.spread
        is_kept = is_viewed & (self.rng.random(worth.shape) < _sigmoid(2.2 * liking - 5.0))
        is_called = is_viewed & (self.rng.random(worth.shape) < _sigmoid(3.0 * liking - 7.2))
        searches = np.flatnonzero(lists.kinds == SEARCHED)
        nothing = np.full(len(searches), NOTHING)
        parts = [np.stack([np.full(len(searches), SEARCH), nothing, searches, 0 * searches, lists.times[searches] + 2])]
        for kind, happened, wait_s in (
            (VIEW, is_viewed, 10), (FAVOURITE, is_kept, 40), (CONTACT, is_called, 90), (DISLIKE, is_disliked, 5),
        ):  # fmt: skip
            of_list, slot = np.nonzero(happened)
            occurred_at = lists.times[of_list] - wait_s - 15 * slot
            rows = lists.rows[of_list, slot]
            parts.append(np.stack([np.full(len(rows), kind), rows, of_list, slot + 1, occurred_at]))
        return np.concatenate(parts, axis=1)

    def _opened(self, worth: Floats) -> NDArray[np.bool_]:
        """Draw which cars are opened: the best few by logit, or in some lists any few, by mistake."""
        is_mistake = self.rng.random(len(worth)) < self.behaviour.noise_share
        guess = np.where(np.isfinite(worth), 0.0, -np.inf)
        worth = np.where(is_mistake[:, None], guess, worth)
        scores = choice_scores(worth, self.behaviour.position_bias, self.rng)
        n_views = 1 + self.rng.poisson(VIEWS_PER_LIST, len(worth))
        rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        return (rank < n_views[:, None]) & np.isfinite(scores)

    def _disliked(self, worth: Floats) -> NDArray[np.bool_]:
        """Draw the car that is disliked in a few lists, by the logit of negative utility."""
        disliking = np.where(np.isfinite(worth), -worth, -np.inf) + self.rng.gumbel(size=worth.shape)
        is_worst = np.arange(worth.shape[1]) == disliking.argmax(axis=1)[:, None]
        is_done = self.rng.random(len(worth)) < DISLIKES_PER_LIST
        is_disliked: NDArray[np.bool_] = is_worst & is_done[:, None] & np.isfinite(worth)
        return is_disliked


@dataclass(frozen=True)
class _Lists:
    """The lists that one buyer was shown, oldest first."""

    times: Rows
    kinds: Rows
    rows: Rows
    queries: list[dict[str, Any]]

    def since(self, first: int) -> _Lists:
        return _Lists(self.times[first:], self.kinds[first:], self.rows[first:], self.queries[first:])


def _merged(numbers: list[int], visits: list[tuple[_Lists, Rows]]) -> History:
    """Merge the visits of all buyers into one history, oldest first; ties in the order of buyers."""
    lists, events = [lists for lists, _ in visits], [events for _, events in visits]
    if not visits:
        none = np.zeros(0, np.int64)
        lists, events = [_Lists(none, none, np.zeros((0, LIST_LENGTH), np.int64), [])], [np.zeros((5, 0), np.int64)]
        numbers = [0]
    n_lists, n_events = [len(part.times) for part in lists], [part.shape[1] for part in events]
    first_list = np.repeat(np.cumsum(n_lists) - n_lists, n_events)
    times = np.concatenate([part.times for part in lists])
    order = np.argsort(-times, kind="stable")
    new_slot = np.empty(len(order), np.int64)
    new_slot[order] = np.arange(len(order))
    kind, row, of_list, position, event_s = np.concatenate(events, axis=1)
    by_time = np.argsort(-event_s, kind="stable")
    queries = [query for part in lists for query in part.queries]
    return History(
        list_buyer=np.repeat(numbers, n_lists)[order],
        list_kind=np.concatenate([part.kinds for part in lists])[order],
        list_s=times[order],
        list_rows=np.concatenate([part.rows for part in lists])[order],
        list_query=[queries[slot] for slot in order],
        event_buyer=np.repeat(numbers, n_events)[by_time],
        event_kind=kind[by_time],
        event_row=row[by_time],
        event_list=new_slot[of_list + first_list][by_time],
        event_position=position[by_time],
        event_s=event_s[by_time],
    )


def fixed_normal(key: int, rows: Rows) -> Floats:
    """Return a standard normal number for each row that depends only on the row and a key.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014), taken through the normal quantile function.
    """
    with np.errstate(over="ignore"):
        mixed = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    normal: Floats = ndtri((mixed >> np.uint64(11)).astype(np.float64) / 2**53 + 2.0**-54)
    return normal


def _is_repeated(candidates: Rows) -> NDArray[np.bool_]:
    """Mark values that occur further left in the same row."""
    order = np.argsort(candidates, axis=1, kind="stable")
    ordered = np.take_along_axis(candidates, order, axis=1)
    is_repeated = np.zeros(candidates.shape, bool)
    np.put_along_axis(is_repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return is_repeated


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))
