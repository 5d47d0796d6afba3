"""Outcomes of the buyers of an experiment from the log: sums by variant, day of entry and segment.

A buyer enters with their first list of the placement while the experiment runs, in the variant that this list was made
by, and stays there. What counts is what they do within a fixed time of it. One statement reads all of that; what it
answers is small, names no buyer, and is all that reports are made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from recommendations.metrics.experiments import Moments
from recommendations.models import EventKind, Experiment, impressions
from recommendations.models.bots import is_person
from recommendations.models.experiments import HOLDOUT, INTERLEAVED
from recommendations.serving.interleaving import TEAMS

BEFORE_DAYS = 14  # what is known of a buyer from before
EARLY_DAYS = 1  # what guardrails look at, so that harm shows soon
BASELINE = "baseline"  # the one variant of a placement before an experiment
BASELINE_DAYS = 28
MANY_EVENTS = 10
SEGMENTS = {
    "new": "new to us: no event in the 14 days before",
    "some": f"known: 1 to {MANY_EVENTS - 1} events in the 14 days before",
    "many": f"well known: {MANY_EVENTS} events or more in the 14 days before",
    "guest": "guests",
    "account": "with an account, or known to a client system",
}
VALUE = "value"  # of contacts and sales, in the market's currency
OUTCOMES = ("clicks", "contacts", "early_clicks", "early_contacts", "early_dismissals", VALUE)
MATURE_AFTER = {name: EARLY_DAYS for name in OUTCOMES if name.startswith("early_")}  # others: the experiment's days


def sums(of: str) -> str:
    """SQL: an array of sums over the outcomes; ``{0}`` stands for the number of each."""
    return f"ARRAY[{', '.join(f'sum({of.format(number)})' for number in range(1, len(OUTCOMES) + 1))}]"


# No part is joined with another part of its size, and each buyer's events are found by their index: so the time grows
# with the number of buyers, whatever the planner believes of parts that it has no statistics of.
# ruff: noqa: S608 -- put together from constants
READ = f"""
WITH lists AS (
    SELECT id, buyer_id, served_at, {impressions.n_shown("recommendations_servedlist")} AS n,
        first_value(CASE WHEN %(arms)s::text[] IS NULL THEN %(baseline)s ELSE variant END) OVER entry AS variant,
        first_value(served_at) OVER entry AS at
    FROM recommendations_servedlist
    WHERE placement_id = %(placement)s AND served_at >= %(since)s AND served_at < %(until)s AND buyer_id IS NOT NULL
        AND variant <> 'feed' AND (%(arms)s::text[] IS NULL OR variant = ANY(%(arms)s))
        AND {is_person("recommendations_servedlist.buyer_id")}
    WINDOW entry AS (PARTITION BY buyer_id ORDER BY served_at, id)
),
entered AS MATERIALIZED (
    SELECT buyer_id, variant, at, array_agg(id) AS list_ids, count(*) AS n_lists, sum(n) AS n_shown
    FROM lists WHERE served_at < at + %(window)s::interval GROUP BY 1, 2, 3
),
buyers AS (
    SELECT entered.variant, (entered.at AT TIME ZONE 'UTC')::date AS day,
        CASE WHEN n_before = 0 THEN 'new' WHEN n_before < %(many)s THEN 'some' ELSE 'many' END AS activity,
        buyer.visitor_key IS NOT NULL AND buyer.user_id IS NULL AS is_guest, ln(1 + n_before) AS x, n_lists, n_shown,
        ARRAY[clicks, contacts, early_clicks, early_contacts, early_dismissals, value]::float[] AS y
    FROM entered JOIN accounts_buyer AS buyer ON buyer.id = entered.buyer_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE when_it_was = 'before') AS n_before,
            count(DISTINCT listing_id) FILTER (WHERE is_click AND when_it_was <> 'before') AS clicks,
            count(DISTINCT listing_id) FILTER (WHERE is_contact AND when_it_was <> 'before') AS contacts,
            count(DISTINCT listing_id) FILTER (WHERE is_click AND when_it_was = 'early') AS early_clicks,
            count(DISTINCT listing_id) FILTER (WHERE is_contact AND when_it_was = 'early') AS early_contacts,
            count(DISTINCT listing_id) FILTER (WHERE is_dismissal AND when_it_was = 'early') AS early_dismissals,
            coalesce(sum(value) FILTER (WHERE when_it_was <> 'before'), 0) AS value
        FROM (
            SELECT listing_id, value, kind_id = ANY(%(contacts)s) AS is_contact,
                kind_id = ANY(%(dismissals)s) AS is_dismissal,
                kind_id = ANY(%(favourable)s) AND served_list_id = ANY(entered.list_ids)
                    AND attribution IN ('', 'checked') AS is_click,
                CASE WHEN occurred_at < entered.at THEN 'before'
                    WHEN occurred_at < entered.at + %(early)s::interval THEN 'early' ELSE 'later' END AS when_it_was
            FROM recommendations_interaction
            WHERE buyer_id = entered.buyer_id AND occurred_at >= entered.at - %(before)s::interval
                AND occurred_at < entered.at + %(window)s::interval
        ) AS event
    ) AS acted
)
SELECT variant, day, activity, is_guest, count(*), sum(n_lists), sum(n_shown), sum(x), sum(x * x),
    {sums("y[{0}]")},
    {sums("y[{0}] * y[{0}]")},
    {sums("x * y[{0}]")}
FROM buyers GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4
"""


# The same where two variants made the lists together: what buyers did with the cars of each, and the difference. A car
# is that of the variant that chose it in the list it was found in; what came without a list, where both did not.
COUNTED = {
    "clicks": "count(DISTINCT listing_id) FILTER (WHERE is_click AND is_of_list AND team = {0} AND NOT is_before)",
    "contacts": "count(DISTINCT listing_id) FILTER (WHERE is_contact AND team = {0} AND NOT is_before)",
    "early_clicks": "count(DISTINCT listing_id) FILTER (WHERE is_click AND is_of_list AND team = {0} AND is_early)",
    "early_contacts": "count(DISTINCT listing_id) FILTER (WHERE is_contact AND team = {0} AND is_early)",
    "early_dismissals": "count(DISTINCT listing_id) FILTER (WHERE is_dismissal AND team = {0} AND is_early)",
    VALUE: "coalesce(sum(value) FILTER (WHERE team = {0} AND NOT is_before), 0)",
}
OF_TEAMS = [[COUNTED[name].format(f"'{team}'") for name in OUTCOMES] for team in TEAMS]
READ_TOGETHER = f"""
WITH lists AS (
    SELECT id, buyer_id, served_at, length(teams) - length(replace(teams, 'a', '')) AS n_a,
        length(teams) - length(replace(teams, 'b', '')) AS n_b, first_value(served_at) OVER entry AS at
    FROM recommendations_servedlist
    WHERE placement_id = %(placement)s AND served_at >= %(since)s AND served_at < %(until)s AND buyer_id IS NOT NULL
        AND variant = %(together)s AND {is_person("recommendations_servedlist.buyer_id")}
    WINDOW entry AS (PARTITION BY buyer_id ORDER BY served_at, id)
),
entered AS MATERIALIZED (
    SELECT buyer_id, at, array_agg(id) AS list_ids, count(*) AS n_lists, sum(n_a) AS n_a, sum(n_b) AS n_b
    FROM lists WHERE served_at < at + %(window)s::interval GROUP BY 1, 2
),
buyers AS (
    SELECT (entered.at AT TIME ZONE 'UTC')::date AS day,
        CASE WHEN n_before = 0 THEN 'new' WHEN n_before < %(many)s THEN 'some' ELSE 'many' END AS activity,
        buyer.visitor_key IS NOT NULL AND buyer.user_id IS NULL AS is_guest, n_lists, n_a, n_b, a, b,
        ARRAY[{", ".join(f"b[{at}] - a[{at}]" for at in range(1, len(OUTCOMES) + 1))}] AS more
    FROM entered JOIN accounts_buyer AS buyer ON buyer.id = entered.buyer_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE is_before) AS n_before,
            ARRAY[{", ".join(OF_TEAMS[0])}]::float[] AS a, ARRAY[{", ".join(OF_TEAMS[1])}]::float[] AS b
        FROM (
            SELECT event.listing_id, event.value, kind_id = ANY(%(contacts)s) AS is_contact,
                kind_id = ANY(%(dismissals)s) AS is_dismissal, kind_id = ANY(%(favourable)s) AS is_click,
                occurred_at < entered.at AS is_before,
                occurred_at >= entered.at AND occurred_at < entered.at + %(early)s::interval AS is_early,
                found.id IS NOT NULL AS is_of_list,
                CASE WHEN found.id IS NOT NULL
                    THEN substr(found.teams, array_position(found.listing_ids, event.listing_id), 1)
                    ELSE (SELECT CASE WHEN min(team) = max(team) THEN min(team) END
                        FROM recommendations_servedlist AS shown
                        CROSS JOIN LATERAL unnest(shown.listing_ids, string_to_array(shown.teams, NULL))
                            AS car (listing_id, team)
                        WHERE shown.id = ANY(entered.list_ids) AND car.listing_id = event.listing_id) END AS team
            FROM recommendations_interaction AS event
            LEFT JOIN recommendations_servedlist AS found ON found.id = event.served_list_id
                AND found.id = ANY(entered.list_ids) AND event.attribution IN ('', 'checked')
            WHERE event.buyer_id = entered.buyer_id AND occurred_at >= entered.at - %(before)s::interval
                AND occurred_at < entered.at + %(window)s::interval
        ) AS event
    ) AS acted
)
SELECT variant, day, activity, is_guest, count(*), sum(n_lists), sum(n), 0, 0,
    {sums("y[{0}]")},
    {sums("y[{0}] * y[{0}]")},
    {sums("0 * y[{0}]")}
FROM buyers CROSS JOIN LATERAL (
    VALUES (%(control)s, n_a, a), (%(other)s, n_b, b), (%(together)s, n_a + n_b, more)
) AS side (variant, n, y) GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 3, 4
"""


@dataclass(frozen=True)
class Cell:
    """Buyers of one variant who entered on one day (UTC) and are alike; sums over them.

    Attributes:
        x, xx: Of the logarithm of one more than their events of the ``BEFORE_DAYS`` before.
        y, yy, xy: Of what they did, in the order of ``OUTCOMES``.
    """

    variant: str
    day: date
    activity: str
    is_guest: bool
    n: int
    n_lists: int
    n_shown: int
    x: float
    xx: float
    y: tuple[float, ...]
    yy: tuple[float, ...]
    xy: tuple[float, ...]

    def as_json(self) -> list[Any]:
        of_outcomes = [list(self.y), list(self.yy), list(self.xy)]
        return [
            self.variant, self.day.isoformat(), self.activity, self.is_guest, self.n, self.n_lists, self.n_shown,
            self.x, self.xx, *of_outcomes,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> Cell:
        variant, day, *others = content
        # what an earlier release measured has no sums of the newest outcomes
        missing = [0.0] * (len(OUTCOMES) - len(others[-1]))
        return cls(variant, date.fromisoformat(day), *others[:-3], *((*each, *missing) for each in others[-3:]))


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as arrays of length n: what reports sum over.

    Attributes:
        days: Ordinals of the days of entry.
        sums: n, x and xx, shape (3, n).
        outcomes: y, yy and xy by outcome, shape (3, n, n_outcomes).
    """

    variants: NDArray[np.str_]
    days: NDArray[np.int64]
    activities: NDArray[np.str_]
    is_guest: NDArray[np.bool_]
    sums: NDArray[np.float64]
    outcomes: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Table:
        return cls(
            variants=np.array([cell.variant for cell in cells], np.str_),
            days=np.array([cell.day.toordinal() for cell in cells], np.int64),
            activities=np.array([cell.activity for cell in cells], np.str_),
            is_guest=np.array([cell.is_guest for cell in cells], bool),
            sums=np.array([[cell.n, cell.x, cell.xx] for cell in cells], np.float64).reshape(len(cells), 3).T,
            outcomes=np.array([[cell.y, cell.yy, cell.xy] for cell in cells], np.float64)
            .reshape(len(cells), 3, len(OUTCOMES))
            .transpose(1, 0, 2),
        )

    def in_segment(self, segment: str) -> NDArray[np.bool_]:
        """Which cells a segment holds; all of them where none is named."""
        if segment in ("guest", "account"):
            is_in_segment: NDArray[np.bool_] = self.is_guest == (segment == "guest")
            return is_in_segment
        return (self.activities == segment) if segment else np.ones(len(self.days), bool)


@dataclass(frozen=True)
class Reading:
    """What was read of an experiment.

    Attributes:
        read_at: When.
        cells: All of it.
        outcome_days: Days of a buyer that count.
    """

    read_at: datetime
    cells: tuple[Cell, ...]
    outcome_days: int

    def as_json(self) -> dict[str, Any]:
        return {"outcome_days": self.outcome_days, "cells": [cell.as_json() for cell in self.cells]}

    @classmethod
    def of(cls, experiment: Experiment) -> Reading | None:
        """The last measurement; None before the first."""
        if experiment.measured_at is None or not experiment.measured:
            return None
        cells = tuple(Cell.from_json(content) for content in experiment.measured["cells"])
        return cls(experiment.measured_at, cells, experiment.measured["outcome_days"])

    def last_day(self, outcome: str) -> date:
        """The last day of entry of buyers whose time is over."""
        days = MATURE_AFTER.get(outcome, self.outcome_days)
        return self.read_at.astimezone(UTC).date() - timedelta(days=days + 1)

    def days(self, outcome: str) -> list[date]:
        """Days of entry, without a gap, of buyers who can be judged."""
        entries = [cell.day for cell in self.cells if cell.variant != HOLDOUT]
        if not entries:
            return []
        last = min(self.last_day(outcome), max(entries))
        return [min(entries) + timedelta(days=n) for n in range((last - min(entries)).days + 1)]

    @cached_property
    def table(self) -> Table:
        return Table.of(self.cells)

    def moments(self, outcome: str, variant: str, segment: str = "") -> Moments:
        """Sums over the buyers of a variant whose time is over, of one segment or all."""
        rows = self._rows(outcome, variant, segment)
        n, x, xx = self.table.sums[:, rows].sum(axis=1)
        y, yy, xy = self.table.outcomes[:, rows, OUTCOMES.index(outcome)].sum(axis=1)
        return Moments(*map(np.asarray, (n, y, yy, x, xx, xy)))

    def daily(self, outcome: str, variant: str) -> Moments:
        """Sums from the first day on, by the last day counted, shape (n_days,)."""
        days = self.days(outcome)
        rows = self._rows(outcome, variant)
        slots = self.table.days[rows] - days[0].toordinal()

        def by_day(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(slots, weights[rows], len(days)).astype(np.float64)

        n, x, xx = map(by_day, self.table.sums)
        y, yy, xy = map(by_day, self.table.outcomes[:, :, OUTCOMES.index(outcome)])
        return Moments(n, y, yy, x, xx, xy).along_days()

    def _rows(self, outcome: str, variant: str, segment: str = "") -> NDArray[np.bool_]:
        table = self.table
        is_over = table.days <= self.last_day(outcome).toordinal()
        is_counted: NDArray[np.bool_] = (table.variants == variant) & is_over & table.in_segment(segment)
        return is_counted


def read_experiment(experiment: Experiment, now: datetime) -> Reading:
    """Outcomes of an experiment's buyers so far; before its start, of the buyers of its placement."""
    is_before = experiment.started_at is None
    days = experiment.outcome_days
    since = experiment.started_at or now - timedelta(days=BASELINE_DAYS + days)
    parameters: dict[str, Any] = {
        "arms": None if is_before else [*experiment.variants, HOLDOUT],
        "baseline": BASELINE,
        "placement": experiment.placement_id,
        "since": since,
        "until": now if is_before else experiment.stopped_at or now,
        "window": timedelta(days=days),
        "early": timedelta(days=EARLY_DAYS),
        "before": timedelta(days=BEFORE_DAYS),
        "many": MANY_EVENTS,
        **kinds(),
    }
    is_together = experiment.is_interleaved and not is_before
    if is_together:
        parameters |= {"together": INTERLEAVED, "control": experiment.control_arm, "other": experiment.other_arms[0]}
    with connection.cursor() as cursor:
        cursor.execute(READ_TOGETHER if is_together else READ, parameters)
        return Reading(now, tuple(cells_of(cursor.fetchall())), days)


def kinds() -> dict[str, list[str]]:
    """Kinds of events by what they say: of contacts, of dismissals, and of what counts in favour of a car."""
    rows = EventKind.objects.all()
    return {
        "contacts": [kind.slug for kind in rows if kind.is_contact],
        "dismissals": [kind.slug for kind in rows if kind.is_dismissal],
        "favourable": [kind.slug for kind in rows if kind.weight > 0],
    }


def cells_of(rows: Iterable[Sequence[Any]]) -> Iterable[Cell]:
    for variant, day, activity, is_guest, n, n_lists, n_shown, x, xx, *sums in rows:
        numbers = (int(n), int(n_lists), int(n_shown), float(x), float(xx))
        yield Cell(variant, day, activity, is_guest, *numbers, *(tuple(map(float, each)) for each in sums))
