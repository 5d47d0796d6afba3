"""The parameters of a seeding, and how much of it is in the database already."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from django.db.models import Min
from django.utils import timezone

from catalog.models import Listing
from recommendations.exceptions import RecommendationsError
from recommendations.models import EventKind, Interaction
from recommendations.simulation.browsing import EVENT_KINDS

LARGEST_SEED = 2**31 - 1
LARGEST = {"listings": 1_000_000, "buyers": 1_000_000, "events": 10_000_000}  # the whole log is drawn in memory
ID_SPACE = uuid.UUID("5d0f1c8e-6a43-4a5e-9b6c-0c8a2f1e7d11")  # of the lists' ids


class SeedRefused(RecommendationsError):
    """The marketplace cannot be made with these parameters."""


@dataclass(frozen=True)
class SeedPlan:
    """Parameters, and the keys that follow from them."""

    n_listings: int
    n_buyers: int
    n_events: int
    seed: int

    def __post_init__(self) -> None:
        for name, most in LARGEST.items():
            if not 0 <= (number := getattr(self, f"n_{name}")) <= most:
                raise SeedRefused(f"{name} must lie between 0 and {most:,}, not {number:,}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise SeedRefused(f"seed must lie between 0 and {LARGEST_SEED:,}, not {self.seed:,}")
        if self.n_events and not self.n_listings:
            raise SeedRefused(f"{self.n_events:,} events need listings to happen to")
        if self.n_events and not self.n_buyers:
            raise SeedRefused(f"{self.n_events:,} events need buyers to cause them")

    @property
    def source(self) -> str:
        """The listings' ``Listing.source``."""
        return f"seed-{self.seed}"

    @property
    def events_key(self) -> str:
        """The prefix of every event id; it contains the sizes, because the events depend on them."""
        return f"{self.source}-{self.n_listings}x{self.n_buyers}x{self.n_events}-"

    def list_id(self, number: int) -> uuid.UUID:
        return uuid.uuid5(ID_SPACE, f"{self.events_key}{number}")


@dataclass
class SeedSummary:
    """Numbers of rows that a seeding added, and its duration; ``until`` is the day on which the market ends."""

    source: str
    until: date
    added: dict[str, int] = field(default_factory=dict)
    n_live: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        added = ", ".join(f"{number:,} {name}" for name, number in self.added.items() if number)
        return f"{self.source} until {self.until}: added {added or 'nothing'} in {self.seconds:.1f} s"


def market_anchor(plan: SeedPlan, until: date | None) -> datetime:
    """Return the midnight before which everything happened: the one of an existing market, else that of ``until``."""
    begun: datetime | None = Listing.objects.filter(source=plan.source).aggregate(anchor=Min("created_at"))["anchor"]
    if begun:
        return begun
    today = timezone.now().astimezone(UTC).date()
    if until and until > today:
        raise SeedRefused(f"until must not lie ahead: {until} is after today, {today}")
    return datetime.combine(until or today, datetime.min.time(), UTC)


def refuse_other_sizes(plan: SeedPlan) -> None:
    """Refuse other sizes for an existing seed: they would give the same cars and buyers other events."""
    if plan.n_events and (sizes := other_sizes(plan)):
        raise SeedRefused(
            f"seed {plan.seed} has already made a market of {sizes} listings, buyers and events; take another seed"
        )


def refuse_unknown_kinds(plan: SeedPlan) -> None:
    """Refuse to seed if an event kind is missing: operators edit kinds, and one that they deleted is not created
    again."""
    known = EventKind.objects.values_list("slug", flat=True)
    if plan.n_events and (missing := sorted(set(EVENT_KINDS).difference(known))):
        raise SeedRefused(f"these kinds of events are missing, add them first: {', '.join(missing)}")


def other_sizes(plan: SeedPlan) -> str:
    """Return the sizes of a market that this seed has made with other parameters; "" when there is none."""
    of_seed = Interaction.objects.filter(event_id__startswith=f"{plan.source}-").order_by()
    other = of_seed.exclude(event_id__startswith=plan.events_key).values_list("event_id", flat=True).first()
    return other.removeprefix(f"{plan.source}-").rpartition("-")[0].replace("x", " x ") if other else ""


def is_unfinished(plan: SeedPlan) -> bool:
    """Whether a seeding with exactly these parameters was begun and cut short; the log is written oldest first."""
    n_stored = Listing.objects.filter(source=plan.source).count()
    if not n_stored or other_sizes(plan):
        return False
    last_event = Interaction.objects.filter(event_id=f"{plan.events_key}{plan.n_events - 1}")
    return n_stored < plan.n_listings or (plan.n_events > 0 and not last_event.exists())
