"""The effect of a merchandising rule: buyers who had it, compared with the buyers held out of it at random.

A buyer enters with the first list that the rule applied to, and is counted after ``OUTCOME_DAYS``. As in experiments,
the intervals hold on every day, so the page may be opened any number of times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from console.pages import planned_rows
from recommendations.evaluation.experiment_log import kinds
from recommendations.metrics.experiments import LEAST_BUYERS, Moments, compare, ratio_p
from recommendations.models import MerchandisingRule, ServedList
from recommendations.models.bots import is_person
from web.replicas import reading_connection

LOOKBACK_DAYS = 60
OUTCOME_DAYS = 7
PLANNED_BUYERS = 2_000.0  # number at which intervals are narrowest; it must not depend on the outcomes
LISTS_AT_MOST = 100_000  # where there are more, only the lists of a share of the buyers are read
OUTCOMES = ("clicks", "contacts")

# As in ``evaluation.experiment_log``, no two parts of this size are joined with each other.
# ruff: noqa: S608 -- put together from constants
READ = f"""
WITH lists AS (
    SELECT id, buyer_id, served_at, first_value(has_it) OVER entry AS has_it, first_value(served_at) OVER entry AS at,
        positions
    FROM (
        SELECT id, buyer_id, served_at, merchandising->'applied' ? %(rule)s AS has_it, ARRAY(
            SELECT jsonb_array_elements_text(
                coalesce(merchandising->'applied'->%(rule)s, merchandising->'held_out'->%(rule)s))::int
        ) AS positions
        FROM recommendations_servedlist
        WHERE served_at >= %(since)s AND served_at < %(now)s AND buyer_id IS NOT NULL
            AND {is_person("recommendations_servedlist.buyer_id")}
            AND (hashint8(buyer_id)::bigint + 2147483648) %% %(one_in)s = 0
            AND (merchandising->'applied' ? %(rule)s OR merchandising->'held_out' ? %(rule)s)
    ) AS about_it
    WINDOW entry AS (PARTITION BY buyer_id ORDER BY served_at, id)
),
counted AS MATERIALIZED (
    SELECT *, at < %(now)s - %(window)s::interval AS is_judged FROM lists WHERE served_at < at + %(window)s::interval
),
buyers AS (
    SELECT counted.buyer_id, counted.has_it, is_judged, count(*) AS n_lists, sum(cardinality(positions)) AS shown,
        sum(own_clicks) AS own_clicks, sum(own_contacts) AS own_contacts, sum(clicks)::float AS clicks,
        sum(contacts)::float AS contacts
    FROM counted CROSS JOIN LATERAL (
        SELECT count(*) AS clicks, count(*) FILTER (WHERE contacted) AS contacts,
            count(*) FILTER (WHERE position = ANY(counted.positions)) AS own_clicks,
            count(*) FILTER (WHERE position = ANY(counted.positions) AND contacted) AS own_contacts
        FROM (
            SELECT position, bool_or(kind_id = ANY(%(contacts)s)) AS contacted FROM recommendations_interaction
            WHERE counted.is_judged AND served_list_id = counted.id AND position IS NOT NULL
                AND attribution IN ('', 'checked') AND kind_id = ANY(%(favourable)s) GROUP BY 1
        ) AS event
    ) AS acted GROUP BY 1, 2, 3
)
SELECT has_it, count(*) FILTER (WHERE is_judged), coalesce(sum(n_lists) FILTER (WHERE is_judged), 0),
    coalesce(sum(shown) FILTER (WHERE is_judged), 0), sum(own_clicks), sum(own_contacts), sum(clicks),
    sum(clicks * clicks), sum(contacts), sum(contacts * contacts), count(*)
FROM buyers GROUP BY 1
"""


@dataclass(frozen=True)
class Arm:
    """Buyers with a rule, or without it, whose ``OUTCOME_DAYS`` are over.

    Attributes:
        n_entered: All buyers so far, also those whose days are not over.
        shown, own_clicks, own_contacts: Cars of the rule in their lists, with clicks and contacts.
        clicks, contacts: Sums over buyers, over all cars of these lists.
    """

    n_entered: int
    n_buyers: int
    n_lists: int
    shown: int
    own_clicks: int
    own_contacts: int
    clicks: Moments
    contacts: Moments


@dataclass(frozen=True)
class Difference:
    """Mean per buyer with the rule minus mean per buyer without it, and an interval valid on every day; None while
    unknown."""

    outcome: str
    with_it: float
    without: float
    low: float | None
    high: float | None

    @property
    def value(self) -> float:
        return self.with_it - self.without

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None:
            return "unknown"
        return "more" if self.low > 0 else "less" if self.high < 0 else "open"


@dataclass(frozen=True)
class Effect:
    """The two arms and their differences.

    Attributes:
        one_in: One in this many buyers was read.
        ratio_p: P-value of the number held out; small where the holdout share was changed meanwhile.
    """

    with_it: Arm
    without: Arm
    differences: tuple[Difference, ...]
    one_in: int
    ratio_p: float

    @property
    def sentence(self) -> str:
        """Say in words what the figures allow to conclude."""
        if not self.with_it.n_entered and not self.without.n_entered:
            return f"No list of a buyer was about the rule in the last {LOOKBACK_DAYS} days."
        if not self.without.n_entered:
            return "No buyer was held out, so what it did cannot be known. Set a holdout, and look again in a week."
        sure = [one for one in self.differences if one.verdict in ("more", "less")]
        if sure:
            said = " and ".join(
                f"{one.verdict} {one.outcome} per buyer ({one.with_it:.3g} with it, {one.without:.3g} without)"
                for one in sure
            )
            return f"With the rule there are surely {said}."
        if min(self.with_it.n_buyers, self.without.n_buyers) < LEAST_BUYERS:
            return (
                f"Too early to say: fewer than {LEAST_BUYERS} buyers with it, or without, have had {OUTCOME_DAYS} days."
            )
        return "No difference is sure yet: it may do good, harm or nothing."


def effect_of(rule: MerchandisingRule, now: datetime | None = None) -> Effect:
    """Compare the buyers of the last ``LOOKBACK_DAYS`` days whose lists the rule applied to."""
    now = now or timezone.now()
    since = now - timedelta(days=LOOKBACK_DAYS)
    n_lists = planned_rows(ServedList.objects.filter(served_at__gte=since))
    one_in = -(-n_lists // LISTS_AT_MOST) or 1
    parameters: dict[str, Any] = {
        "rule": str(rule.pk), "since": since, "now": now, "one_in": one_in, "window": timedelta(days=OUTCOME_DAYS),
        **kinds(),
    }  # fmt: skip
    with reading_connection().cursor() as cursor:
        cursor.execute(READ, parameters)
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    with_it, without = arm_of(rows.get(True)), arm_of(rows.get(False))
    differences = tuple(difference(name, with_it, without) for name in OUTCOMES)
    held_out = rule.holdout / 100
    counts = [with_it.n_entered, without.n_entered]
    p = float(ratio_p(counts, [1 - held_out, held_out])) if 0 < held_out < 1 else 1.0
    return Effect(with_it, without, differences, one_in, p)


def arm_of(row: Sequence[Any] | None) -> Arm:
    """Return one row of ``READ`` without its first column; zeros where there was none."""
    n, n_lists, shown, own_clicks, own_contacts, clicks, clicks2, contacts, contacts2, n_entered = map(
        float, row or [0] * 10
    )
    nothing = np.zeros(())
    moments = [
        Moments(np.asarray(n), np.asarray(total), np.asarray(squares), nothing, nothing, nothing)
        for total, squares in ((clicks, clicks2), (contacts, contacts2))
    ]
    return Arm(int(n_entered), int(n), int(n_lists), int(shown), int(own_clicks), int(own_contacts), *moments)


def difference(outcome: str, with_it: Arm, without: Arm) -> Difference:
    these, those = getattr(with_it, outcome), getattr(without, outcome)
    found = compare(those, these, planned=PLANNED_BUYERS)
    is_known = bool(np.isfinite(found.low))
    low, high = (float(end) if is_known else None for end in (found.low, found.high))
    return Difference(outcome, float(these.mean), float(those.mean), low, high)
