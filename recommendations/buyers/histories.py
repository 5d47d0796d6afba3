"""Turn events into choice sets: what a buyer chose, and from which alternatives, as listing vectors.

The same code is used for a single active buyer and for the thousands of a training.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.isolation import each_that_works
from recommendations.buyers.found_cars import others_found, searches_that_found
from recommendations.buyers.questionnaire import wishes_in
from recommendations.buyers.repeated_searches import limited
from recommendations.buyers.searches import Condition, Search, conditions_of, conditions_of_searches
from recommendations.buyers.sessions import dwell_by_occasion, one_per_occasion, saturated
from recommendations.engine.choice_sets import ChoiceSets, dwell_factors, event_weights
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.engine.evidence import PADDING, Choices, build_choice_sets
from recommendations.events.log import SEARCH
from recommendations.events.rows import DATABASE, EventLog, EventRows, ShownBeside
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.models import EventKind

QUESTIONNAIRE_WEIGHT = 4.0  # in views; it does not decay, later events outweigh it
UNMET_BESIDE_AN_ANSWER = 30  # cars that do not fit an answer
SHOWN_AT_MOST = 30  # of a served list, as far down as a buyer plausibly looks
VIEW = "view"  # the kind of event that weighs by how long it took


@dataclass(frozen=True)
class Assumptions:
    """Values that replace or extend what is stored of events, for what-ifs.

    Attributes:
        kinds: Slug -> event kind, in place of the stored ones; None: the stored ones.
        queries: Queries of searches that are in no log, by event id.
    """

    kinds: Mapping[str, EventKind] | None = None
    queries: Mapping[int, dict[str, Any]] = field(default_factory=dict)

    def kinds_by_slug(self, log: EventLog = DATABASE) -> Mapping[str, EventKind]:
        return log.kinds() if self.kinds is None else self.kinds


NO_ASSUMPTIONS = Assumptions()
Queries = Mapping[int, Mapping[str, Any] | None]  # by event id


def choice_sets_of(
    events: EventRows,
    snapshot: ListingSnapshot,
    now: datetime,
    n_unseen: int,
    answers: Sequence[Choices] = (),
    assumptions: Assumptions = NO_ASSUMPTIONS,
    *,
    learns_position: bool = False,
) -> dict[int, ChoiceSets]:
    """Choice sets by buyer id, of every buyer of some events; buyers whose events say nothing are absent.

    Serving, training, evaluation and simulation all learn from the sets that this function builds.

    Args:
        events: Of any buyers.
        snapshot: Has the vectors of listings.
        now: Events are weighted by their age at this time.
        n_unseen: Alternatives of a choice whose list is not known: live listings, or those that a search had found.
        answers: Choices made of questionnaires, as from ``choices_of_answers``.
        assumptions: See ``Assumptions``.
        learns_position: As in ``build_choice_sets``; otherwise the ranker's position bias is taken out.
    """
    said = choices_of(events, snapshot, now, n_unseen, assumptions)
    together = Choices.concatenate([*said, *answers])
    bias = snapshot.ranker.position_bias
    return build_choice_sets(together, snapshot.stock, n_unseen, bias, learns_position=learns_position)


def choices_of(
    events: EventRows, snapshot: ListingSnapshot, now: datetime, n_unmet: int, assumptions: Assumptions = NO_ASSUMPTIONS
) -> tuple[Choices, Choices]:
    """Return choices from events on listings, and from searches, with decayed weights; each occasion counts once."""
    kinds = assumptions.kinds_by_slug(events.log)
    events = events.take(np.array([kinds[kind].weight != 0 for kind in events.kinds], bool))
    queries: Queries = {**events.log.queries(events.ids[events.listing_ids == 0]), **assumptions.queries}
    subjects = subjects_of(events, queries)
    base = np.array([kinds[kind].weight for kind in events.kinds], np.float64)
    base *= dwell_factors(longest_dwell(events, subjects))
    counts = one_per_occasion(events.buyer_ids, subjects, events.occurred_at, base)
    events, base = events.take(counts), base[counts]
    beside = events.take(events.listing_ids > 0).shown_beside(SHOWN_AT_MOST)
    if SEARCH in kinds and kinds[SEARCH].weight > 0:
        events, base, queries = with_filters_of_lists(events, base, queries, beside, kinds[SEARCH].weight)
    subjects = subjects_of(events, queries)
    age_days = (now.timestamp() - events.occurred_at) / SECONDS_A_DAY
    weights, reverse = event_weights(base, age_days, [kinds[kind].half_life_days for kind in events.kinds])
    weights = saturated(events.buyer_ids, subjects, weights)
    is_search = events.listing_ids == 0
    on_cars = events.take(~is_search)
    from_none = ~np.isin(on_cars.ids, beside.event_ids)
    led = searches_that_found(events, queries, snapshot)
    beside = ShownBeside.joined([beside, others_found(on_cars.take(from_none), led, snapshot, n_unmet)])
    has_unseen = from_none & ~np.isin(on_cars.ids, list(led))
    return (
        choices_on_listings(on_cars, weights[~is_search], reverse[~is_search], snapshot, beside, has_unseen),
        choices_in_searches(
            events.take(is_search), weights[is_search], np.abs(base[is_search]), queries, snapshot, n_unmet
        ),
    )


def with_filters_of_lists(
    events: EventRows,
    base: NDArray[np.float64],
    queries: Queries,
    beside: ShownBeside,
    weight: float,
) -> tuple[EventRows, NDArray[np.float64], Queries]:
    """Add a search where a car was opened from a filtered list; returns events, their weights and queries.

    Filtering a list is the same evidence as a search by those filters, and counts once in each session with it.
    ``weight`` is that of a search.
    """
    filtered = np.unique(beside.event_ids[beside.is_filtered])
    filters = events.log.filters_of_lists(filtered) if len(filtered) else {}
    if not filters:
        return events, base, queries
    openings = np.flatnonzero(np.isin(events.ids, list(filters)) & (events.listing_ids > 0))
    asked = replace(
        events.take(openings),
        listing_ids=np.zeros(len(openings), np.int64),
        kinds=np.full(len(openings), SEARCH, object),
        dwell_seconds=np.full(len(openings), np.nan),
    )
    queries = {**queries, **filters}
    together, base = EventRows.concatenate([asked, events]), np.r_[np.full(len(openings), weight), base]
    in_order = np.argsort(together.occurred_at, kind="stable")
    together, base = together.take(in_order), base[in_order]
    counts = one_per_occasion(together.buyer_ids, subjects_of(together, queries), together.occurred_at, base)
    return together.take(counts), base[counts], queries


def longest_dwell(events: EventRows, subjects: NDArray[np.int64]) -> NDArray[np.float64]:
    """The longest dwell time of each view's occasion in seconds, shape (n_events,); nan where it is not known, and for
    other kinds of events, whose weight does not depend on it."""
    is_view = events.kinds == VIEW
    dwell_seconds = np.where(is_view, events.dwell_seconds, np.nan)
    longest = dwell_by_occasion(events.buyer_ids, subjects, events.occurred_at, dwell_seconds)
    return np.where(is_view, longest, np.nan)


def subjects_of(events: EventRows, queries: Queries) -> NDArray[np.int64]:
    """Return the subject of each event: its listing, or a negative number that equal searches share."""
    subjects = events.listing_ids.copy()
    numbers: dict[str, int] = {}
    for at in np.flatnonzero(subjects == 0).tolist():
        asked = json.dumps(queries.get(int(events.ids[at])), sort_keys=True)
        subjects[at] = -1 - numbers.setdefault(asked, len(numbers))
    return subjects


def choices_on_listings(
    events: EventRows,
    weights: NDArray[np.float64],
    reverse: NDArray[np.bool_],
    snapshot: ListingSnapshot,
    beside: ShownBeside,
    has_unseen: NDArray[np.bool_],
) -> Choices:
    """Each event on a listing as a choice among what was shown beside it; events on deleted listings are left out.

    ``has_unseen`` marks the events that get live listings as alternatives too.
    """
    vectors = Vectors(snapshot, np.unique(np.concatenate([events.listing_ids, beside.listing_ids])))
    chosen = vectors.rows_of(events.listing_ids)
    rows = vectors.rows_of(beside.listing_ids)
    is_listed = np.isin(events.ids, beside.event_ids)
    first = np.searchsorted(beside.event_ids, events.ids[is_listed])
    chosen_positions = np.ones(len(events), np.int64)
    chosen_positions[is_listed] = beside.chosen_positions[first]
    choices = Choices(
        vectors=vectors.features,
        chosen=chosen,
        shown=padded_lists(events.ids, beside.event_ids, rows),
        chosen_positions=chosen_positions,
        shown_positions=padded_lists(events.ids, beside.event_ids, rows, beside.positions, fill=1),
        has_unseen=has_unseen,
        weights=weights,
        reverse=reverse,
        moments=events.occurred_at,
        seeds=events.ids,
        listing_ids=events.listing_ids,
        buyer_ids=events.buyer_ids,
    )
    return choices.take(chosen != PADDING)


def padded_lists(
    event_ids: NDArray[np.int64],
    listed_events: NDArray[np.int64],
    rows: NDArray[np.intp],
    values: NDArray[np.int64] | None = None,
    fill: int = PADDING,
) -> NDArray[np.intp]:
    """Lay out the rows of each event, padded with ``fill``: shape (n_events, longest); rows below 0 are left out.

    ``listed_events`` has the event id of each row and is sorted. ``values`` are laid out in place of the rows.
    """
    is_known = rows >= 0
    listed_events, laid_out = listed_events[is_known], (rows if values is None else values)[is_known]
    starts = np.searchsorted(listed_events, event_ids)
    counts = np.searchsorted(listed_events, event_ids, side="right") - starts
    slots = np.arange(counts.max(initial=0))
    lists = np.full((len(event_ids), len(slots)), fill, np.intp)
    is_there = slots < counts[:, None]
    lists[is_there] = laid_out[(starts[:, None] + slots)[is_there]]
    return lists


def choices_in_searches(
    events: EventRows,
    weights: NDArray[np.float64],
    new_weights: NDArray[np.float64],
    queries: Queries,
    snapshot: ListingSnapshot,
    n_unmet: int,
) -> Choices:
    """Each condition of each search as a choice of its own; ``new_weights`` are those that had not decayed."""

    def conditions(searches: Sequence[tuple[int, tuple[int, float]]]) -> list[tuple[int, Condition]]:
        asked = [Search(queries.get(event_id), moment, event_id) for _, (event_id, moment) in searches]
        return [(searches[at][0], condition) for at, condition in conditions_of_searches(asked, snapshot, n_unmet)]

    asked_at = zip(events.ids.tolist(), events.occurred_at.tolist(), strict=True)
    found = each_that_works(list(enumerate(asked_at)), conditions, batch="searches")
    at = np.array([each for each, _ in found], np.intp)
    asked_of = [(condition.field, condition.asked) for _, condition in found]
    return choices_among(
        [condition for _, condition in found],
        snapshot.ranker.n_dims,
        weights=limited(events.buyer_ids[at], asked_of, weights[at], new_weights[at]),
        moments=events.occurred_at[at],
        seeds=events.ids[at],
        buyer_ids=events.buyer_ids[at],
    )


def choices_among(
    conditions: Sequence[Condition],
    n_dims: int,
    *,
    weights: NDArray[np.float64],
    moments: NDArray[np.float64],
    seeds: NDArray[np.int64],
    buyer_ids: NDArray[np.int64],
) -> Choices:
    """Conditions as choices: listings that meet each are chosen over listings that do not."""
    n = len(conditions)
    n_unmet = np.array([len(condition.unmet) for condition in conditions], np.intp)
    parts = [np.vstack([condition.met, condition.unmet]) for condition in conditions]
    firsts = np.cumsum(np.r_[0, n_unmet + 1])[:-1].astype(np.intp)
    slots = np.arange(n_unmet.max(initial=0))
    return Choices(
        vectors=np.concatenate([np.empty((0, n_dims), np.float32), *parts]),
        chosen=firsts,
        shown=np.where(slots < n_unmet[:, None], firsts[:, None] + 1 + slots, PADDING),
        chosen_positions=np.ones(n, np.int64),
        shown_positions=np.ones((n, len(slots)), np.int64),
        has_unseen=np.zeros(n, bool),
        weights=weights,
        reverse=np.zeros(n, bool),
        moments=moments,
        seeds=seeds,
        listing_ids=np.zeros(n, np.int64),
        buyer_ids=buyer_ids,
    )


def choices_of_answers(buyer_id: int, answers: object, now: datetime, snapshot: ListingSnapshot) -> Choices:
    """Choices of a questionnaire: each answer is a condition on its own field, so an estate and a diesel are two.

    Answers have no date, so their alternatives are listings that are live now, as of a search made now.
    """
    moment = now.timestamp()
    found = each_that_works(
        [answers],
        lambda _: conditions_of(wishes_in(answers), snapshot, moment, buyer_id, UNMET_BESIDE_AN_ANSWER),
        batch="answers",
    )
    n = len(found)
    return choices_among(
        found,
        snapshot.ranker.n_dims,
        weights=np.full(n, QUESTIONNAIRE_WEIGHT),
        moments=np.full(n, moment),
        seeds=buyer_id * 100 + np.arange(n, dtype=np.int64),
        buyer_ids=np.full(n, buyer_id),
    )


class Vectors:
    """Vectors of some listings by id; those that the snapshot lacks are read by its ``vectors_elsewhere``.

    Attributes:
        listing_ids: Of those that were found, sorted.
        features: Theirs, float32, shape (n_found, n_dims).
    """

    def __init__(self, snapshot: ListingSnapshot, listing_ids: Collection[int] | NDArray[np.int64]) -> None:
        wanted = np.unique(np.fromiter(listing_ids, np.int64, len(listing_ids)))
        features, known = snapshot.vectors_of(wanted)
        self.listing_ids, self.features = wanted[known], features[known]
        if not known.all():
            elsewhere_ids, elsewhere = snapshot.vectors_elsewhere(wanted[~known].tolist())
            all_ids = np.concatenate([self.listing_ids, elsewhere_ids])
            order = np.argsort(all_ids)
            self.listing_ids = all_ids[order]
            self.features = np.concatenate([self.features, elsewhere])[order]

    def __len__(self) -> int:
        return len(self.listing_ids)

    def rows_of(self, listing_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Row of each listing in ``features``, -1 for a deleted one."""
        if not len(self):
            return np.full(len(listing_ids), -1, np.intp)
        at = np.minimum(np.searchsorted(self.listing_ids, listing_ids), len(self) - 1)
        return np.where(self.listing_ids[at] == listing_ids, at, -1)

    def matrix(self, listing_ids: Sequence[int]) -> NDArray[np.float32]:
        """Shape (n, n_dims), one row for each listing; zero for a deleted one."""
        rows = self.rows_of(np.array(listing_ids, np.int64))
        matrix = np.zeros((len(rows), self.features.shape[1]), np.float32)
        matrix[rows >= 0] = self.features[rows[rows >= 0]]
        return matrix
