"""Merchandising rules as a process reads them: compiled once, and read again within a second of a change."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import time as TimeOfDay  # noqa: N812
from functools import lru_cache
from math import log
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.filters import ListingFilters
from recommendations.models import MerchandisingRule, Placement

EVERY_CAR = ListingFilters()
NOW = datetime(1, 1, 1, tzinfo=UTC)  # stands for the time among the parameters of the query that is kept
Action, Audience = MerchandisingRule.Action, MerchandisingRule.Audience


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One compiled rule.

    Attributes:
        id: Of its row; 0 for one that is not saved yet.
        name: As explanations show it.
        action: A value of ``MerchandisingRule.Action``.
        target: Filters of its cars; without conditions: every car.
        position, n_pinned: Of a pin: the rank (1 is the top), and how many cars from there on.
        logits: Of a boost (> 0) or a bury (< 0): what it adds to the score of each of its cars.
        share: Of a cap: its cars' largest share of a list, 0 to 1.
        placements: Slugs; empty means every list.
        starts_at, ends_at: None for no limit.
        hours: Time of day from and until, in the site's zone; over midnight where the first is later.
        audience, interest: The buyers it applies to; the interest is a filter on the cars they acted on.
        is_promoted: Its cars are labelled in answers.
        priority: The lower number goes first, then the lower id; a rule that is not saved yet counts as the newest.
        holdout: Share of the buyers who are held out of it, 0 to 1.
    """

    id: int = 0
    name: str
    action: str
    target: ListingFilters
    position: int = 1
    n_pinned: int = 1
    logits: float = 0.0
    share: float = 1.0
    placements: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    hours: tuple[TimeOfDay, TimeOfDay] | None = None
    audience: str = Audience.ALL
    interest: ListingFilters = EVERY_CAR
    is_promoted: bool = False
    priority: int = 100
    holdout: float = 0.0

    @property
    def order(self) -> tuple[int, int]:
        return self.priority, self.id or sys.maxsize

    @property
    def term(self) -> str:
        """The name of its term in a score."""
        verb = "boosted" if self.action == Action.BOOST else "buried"
        return f"{verb} by rule “{self.name}”"

    def is_on(self, now: datetime) -> bool:
        """Whether it applies at a time, by its dates and its hours."""
        if (self.starts_at and now < self.starts_at) or (self.ends_at and now >= self.ends_at):
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        clock = timezone.localtime(now).time()
        return start <= clock < end if start < end else clock >= start or clock < end


def compiled(
    row: MerchandisingRule,
    seller_ids: Iterable[int],
    listing_ids: Iterable[int],
    placements: Iterable[str],
) -> Rule:
    """Compile a rule from its row and the rows that it names."""
    strength = (row.strength or 0) / 100
    is_bury = row.action == Action.BURY
    return Rule(
        id=row.pk or 0,
        name=row.name,
        action=row.action,
        target=replace(
            ListingFilters.from_query(row.target),
            seller_ids=tuple(sorted(seller_ids)),
            listing_ids=tuple(sorted(listing_ids)),
        ),
        position=row.position or 1,
        n_pinned=row.n_pinned,
        logits=log(1.0 - min(strength, 0.99)) if is_bury else log(1.0 + strength),
        share=1.0 if row.share is None else row.share / 100,
        placements=tuple(sorted(placements)),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        hours=row.hours,
        audience=row.audience,
        interest=ListingFilters.from_query(row.interest),
        is_promoted=row.is_promoted,
        priority=row.priority,
        holdout=row.holdout / 100,
    )


def read_rules() -> tuple[Rule, ...]:
    """Read every active rule that has not ended, in order; in one query.

    A rule that names no cars at all is left out: every car of the site would be hidden, or be for a pin to choose from.
    """
    statement, parameters = _query()
    now = timezone.now()
    rows: Any = MerchandisingRule.objects.raw(statement, [now if each == NOW else each for each in parameters])
    rules = (compiled(row, row.seller_keys, row.listing_keys, row.placement_slugs) for row in rows)
    return tuple(rule for rule in rules if rule.target)


@lru_cache(maxsize=1)
def _query() -> tuple[str, tuple[Any, ...]]:
    """Return the statement and its parameters: compiling it takes several times as long as running it."""
    rows = MerchandisingRule.objects.filter(Q(ends_at=None) | Q(ends_at__gt=NOW), is_active=True)
    named = rows.annotate(
        seller_keys=ArraySubquery(_related(MerchandisingRule.sellers.through, "seller_id")),
        listing_keys=ArraySubquery(_related(MerchandisingRule.listings.through, "listing_id")),
        placement_slugs=ArraySubquery(
            Placement.objects.filter(merchandising_rules=OuterRef("pk")).order_by("slug").values("slug")
        ),
    )
    return named.query.sql_with_params()


def _related(through: Any, column: str) -> QuerySet[Any]:
    """Return keys of the rows that a rule names, by the table between them."""
    related: QuerySet[Any] = (
        through._default_manager.filter(merchandisingrule_id=OuterRef("pk")).order_by(column).values(column)
    )
    return related


# --- One copy per process --------------------------------------------------------------------------------------------

_lock = threading.Lock()
_rules: tuple[Rule, ...] = ()
_read_at = float("-inf")


def current_rules() -> tuple[Rule, ...]:
    """Return the rules as of at most ``WINDOW_STALENESS_SECONDS`` ago, and never more than a second."""
    global _rules, _read_at
    now = time.monotonic()
    if now - _read_at > min(max(settings.WINDOW_STALENESS_SECONDS, 0.25), 1.0):
        rules = read_rules()
        with _lock:
            _rules, _read_at = rules, now
    return _rules


def forget_rules() -> None:
    """Make the next list read the rules again: a rule was changed in this process."""
    global _read_at
    _read_at = float("-inf")
