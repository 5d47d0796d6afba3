"""Compare two setups of weights and rules on past events: which one lists the cars that buyers acted on later?

Both setups make each buyer's list as of a cutoff, by the code that serves. A good list has the cars that the buyer
acted on after the cutoff, and not before, near its top. Differences are paired by buyer. A buyer takes some hundredths
of a second, so a worker runs it, on as many buyers as fit into a time budget.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import numpy as np
from django.conf import settings
from django.db.models import Q
from numpy.typing import NDArray

from accounts.models import Buyer
from recommendations.buyers.context import OPENED_READ, Opened, buyer_context_in, one_per_car
from recommendations.buyers.histories import Assumptions
from recommendations.buyers.posteriors import LogPosition, StalePreference, evidence_of, posteriors_of
from recommendations.events.rows import read_histories
from recommendations.insight.previews import ListSetup
from recommendations.insight.versions import borrow_version
from recommendations.insight.what_if import MarketView, WhatIf, index_as_of, listed, selection_context_of
from recommendations.listings.index import ListingIndex
from recommendations.listings.market_statistics import STEP_SECONDS, MarketStatistics, read_market_statistics
from recommendations.metrics import ranking as metrics
from recommendations.models import EventKind, Interaction, Preference

Report = Callable[[float, str], None]  # share done from 0 to 1, and the name of the step

K = 10
TEST_DAYS = 3.0  # before the newest event
EVENTS_READ = 20_000
BUYERS_AT_MOST = 200
BUYERS_AT_ONCE = 10  # for each borrowing of the index, for which other threads wait
BUDGET_SECONDS = 300.0


@dataclass(frozen=True)
class Figure:
    """A metric under both setups, means over the buyers, and the paired difference with its 95 % interval."""

    name: str
    before: float
    after: float
    difference: metrics.Comparison

    @property
    def verdict(self) -> str:
        if self.difference.is_better:
            return "better"
        return "worse" if self.difference.is_worse else "no difference that chance could not make"


@dataclass(frozen=True)
class OfflineTest:
    """Result of an offline test.

    Attributes:
        cutoff: Time as of which the lists were made.
        n_buyers: Buyers who were tested.
        n_known: Buyers who could have been tested.
        figures: The metrics; empty where no buyer was tested.
    """

    cutoff: datetime
    n_buyers: int
    n_known: int
    figures: tuple[Figure, ...]


def ignore_progress(share: float, step: str) -> None:
    """Report nothing."""


def compare_setups(
    before: ListSetup,
    after: ListSetup,
    *,
    seed: int = 0,
    budget_seconds: float = BUDGET_SECONDS,
    report: Report = ignore_progress,
) -> OfflineTest | None:
    """Compare two setups; None where the log has no event. Raises RankerRefused without a live version."""
    report(0.0, "looking for buyers who did something since")
    newest = Interaction.objects.of_people().order_by("-occurred_at").values_list("occurred_at", flat=True).first()
    if newest is None:
        return None
    cutoff = newest - timedelta(days=TEST_DAYS)
    relevant = acted_on_after(cutoff)
    chosen = np.random.default_rng(seed).permutation(sorted(relevant))[:BUYERS_AT_MOST].tolist()
    deadline = time.monotonic() + budget_seconds
    lists: dict[int, tuple[list[int], list[int]]] = {}
    statistics_by_setup: dict[int, MarketStatistics] = {}
    rest = iter(chosen)
    while (some := list(islice(rest, BUYERS_AT_ONCE))) and (not lists or time.monotonic() < deadline):
        lists |= lists_of(some, before, after, cutoff, statistics_by_setup)
        report(len(lists) / len(chosen), f"lists of {len(lists)} of {len(chosen)} buyers")
    return OfflineTest(cutoff, len(lists), len(relevant), measured(lists, relevant, seed))


def acted_on_after(cutoff: datetime) -> dict[int, list[int]]:
    """Return by buyer id the cars they acted on favourably after the cutoff, not before, and that were for sale at
    it."""
    was_live = Q(listing__published_at__lte=cutoff) & (
        Q(listing__ended_at__isnull=True) | Q(listing__ended_at__gt=cutoff)
    )
    later = Interaction.objects.filter(was_live, occurred_at__gte=cutoff, kind__weight__gt=0, listing__isnull=False)
    pairs = later.about_cars().of_people().order_by("-occurred_at").values_list("buyer_id", "listing_id")[:EVENTS_READ]
    done: dict[int, set[int]] = defaultdict(set)
    for buyer_id, listing_id in pairs:
        done[buyer_id].add(listing_id)
    earlier = Interaction.objects.filter(buyer__in=done, occurred_at__lt=cutoff, listing__isnull=False)
    for buyer_id, listing_id in earlier.values_list("buyer_id", "listing_id").distinct():
        done[buyer_id].discard(listing_id)
    return {buyer_id: sorted(cars) for buyer_id, cars in done.items() if cars}


def lists_of(
    buyer_ids: Sequence[int],
    before: ListSetup,
    after: ListSetup,
    cutoff: datetime,
    statistics_by_setup: dict[int, MarketStatistics],
) -> dict[int, tuple[list[int], list[int]]]:
    """Make both lists of some buyers, as listing ids; ``statistics_by_setup`` caches the market statistics of each
    setup."""
    buyers = list(Buyer.objects.filter(pk__in=buyer_ids).select_related("user"))
    with borrow_version() as live:
        listing_index = index_as_of(live, cutoff)
        made = [
            lists_by(setup, buyers, listing_index, cutoff, market_statistics_of(setup, cutoff, statistics_by_setup))
            for setup in (before, after)
        ]
    return {buyer.pk: (made[0][buyer.pk], made[1][buyer.pk]) for buyer in buyers}


def market_statistics_of(
    setup: ListSetup, cutoff: datetime, statistics_by_setup: dict[int, MarketStatistics]
) -> MarketStatistics:
    if id(setup) not in statistics_by_setup:
        statistics_by_setup[id(setup)] = read_market_statistics(
            int(cutoff.timestamp()) // STEP_SECONDS * STEP_SECONDS, setup.kinds
        )
    return statistics_by_setup[id(setup)]


def lists_by(
    setup: ListSetup,
    buyers: Sequence[Buyer],
    listing_index: ListingIndex,
    cutoff: datetime,
    market_statistics: MarketStatistics,
) -> dict[int, list[int]]:
    """Return the first positions of each buyer's list under a setup."""
    kinds = setup.kinds or EventKind.objects.in_bulk()
    events = read_histories([buyer.pk for buyer in buyers], settings.EVENTS_PER_BUYER, cutoff)
    n_events = {buyer.pk: int((events.buyer_ids == buyer.pk).sum()) for buyer in buyers}
    behind = [StalePreference(buyer, LogPosition(0, n_events[buyer.pk]), "", None) for buyer in buyers]
    evidence = evidence_of(behind, events, listing_index, cutoff, Assumptions(setup.kinds))
    believed: dict[int, Preference] = {
        preference.buyer_id: preference for preference in posteriors_of(behind, evidence, cutoff, is_hurried=True)
    }
    made = {}
    for buyer in buyers:
        is_known = buyer.is_personalised and bool(n_events[buyer.pk] or buyer.questionnaire)
        own = events.take(events.buyer_ids == buyer.pk)
        opened = lately_opened(own.listing_ids, own.kinds, kinds) if is_known else []
        buyer_context = buyer_context_in(
            listing_index, buyer, believed[buyer.pk] if is_known else None, opened, moment=cutoff
        )
        question = WhatIf(buyer=buyer, k=K, placement=setup.rules.placement.slug, as_of=cutoff, kinds=setup.kinds)
        market_view = MarketView(listing_index, market_statistics, {})
        chosen, _ = listed(
            question, selection_context_of(question, setup.rules, market_view), setup.rules, buyer_context
        )
        made[buyer.pk] = [candidate.listing_id for candidate, _ in chosen]
    return made


def lately_opened(
    listing_ids: NDArray[np.int64], kinds_of_events: NDArray[np.object_], kinds: Mapping[str, EventKind]
) -> list[Opened]:
    """Return from events that are read already, oldest first, what ``context.recently_opened`` would read."""
    pairs = zip(listing_ids.tolist()[::-1], kinds_of_events.tolist()[::-1], strict=True)
    liked = (Opened(key, kinds[slug].weight) for key, slug in pairs if key and kinds[slug].weight > 0)
    return one_per_car(islice(liked, OPENED_READ))


def measured(
    lists: Mapping[int, tuple[list[int], list[int]]], relevant: Mapping[int, list[int]], seed: int
) -> tuple[Figure, ...]:
    """Return NDCG and hit rate of both setups, paired by buyer."""
    if not lists:
        return ()
    wanted = [np.array(relevant[buyer_id]) for buyer_id in lists]
    hits = [metrics.find_hits(padded([both[setup] for both in lists.values()]), wanted) for setup in (0, 1)]
    figures = []
    for name, of in (("NDCG@10", metrics.ndcg_at_k), ("Hit rate@10", metrics.hit_rate_at_k)):
        before, after = (of(some, K) for some in hits)
        difference = metrics.compare(after, before, np.random.default_rng(seed))
        figures.append(Figure(name, metrics.mean_over_users(before), metrics.mean_over_users(after), difference))
    return tuple(figures)


def padded(lists: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    rows = np.full((len(lists), K), metrics.PADDING, np.int64)
    for row, ids in zip(rows, lists, strict=True):
        row[: len(ids)] = ids
    return rows
