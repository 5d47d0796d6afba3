"""Seed the database with a simulated marketplace: stock, sellers, buyers with a known true utility, and their log.

``market``, ``buyers`` and ``browsing`` draw it, ``seed_store`` writes it. All keys contain the seed, so a second run
adds only the rows that are missing: a crash loses one chunk, and seeding again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.conf import settings
from django.db import connection

from catalog.models import Listing
from jobs.work import Attempt, outcome, perform
from recommendations.models import SeedRun
from recommendations.simulation.browsing import Menu, draw_buyers, simulate
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.demo_people import ensure_demo_people
from recommendations.simulation.market import build_market, read_towns
from recommendations.simulation.seed_plan import (
    SeedPlan,
    SeedRefused,
    SeedSummary,
    market_anchor,
    refuse_other_sizes,
    refuse_unknown_kinds,
)
from recommendations.simulation.seed_store import Report, SeedStore

LOCK_CLASS = 0x5EED  # the first half of the key of PostgreSQL's advisory lock; the seed is the second


def seed_marketplace(
    n_listings: int = 10_000,
    n_buyers: int = 1_000,
    n_events: int = 100_000,
    seed: int = 1,
    *,
    until: date | None = None,
    report: Report = lambda fraction, step: None,
) -> SeedSummary:
    """Make a marketplace, or complete an unfinished one; the same seed and day always make the same rows.

    Args:
        n_listings: Cars, five sixths of them for sale.
        n_buyers: Buyers; the first 50 of the first seed are the demo users.
        n_events: Exact number of events.
        seed: Another seed makes another market beside this one.
        until: Everything happened before the midnight of this day; today when None. An existing market keeps its own.
        report: Called with the share done and the name of the step.

    Raises:
        SeedRefused: If a number is out of range, the day lies ahead, or the seed has made a market of other sizes.
    """
    plan, started = SeedPlan(n_listings, n_buyers, n_events, seed), time.perf_counter()
    with seed_lock(plan):
        anchor = market_anchor(plan, until)
        refuse_other_sizes(plan)
        refuse_unknown_kinds(plan)
        summary = SeedSummary(plan.source, anchor.date())
        make_market(plan, SeedStore(plan, anchor, summary, report), report)
    summary.n_live = Listing.objects.available().filter(source=plan.source).count()
    summary.seconds = time.perf_counter() - started
    return summary


def run_seeding(*, seed_run_id: int) -> str:
    """Make or complete the market of a queued ``SeedRun``; returns a summary.

    Two workers with the same seed wait for each other. A refusal becomes the run's error; other errors are noted and
    raised.
    """

    def work(attempt: Attempt[SeedRun]) -> None:
        run = attempt.job
        ensure_demo_people()
        summary = seed_marketplace(run.n_listings, run.n_buyers, run.n_events, run.seed, report=attempt.report)
        attempt.finish(step=str(summary)[:120])

    perform(SeedRun, seed_run_id, work, refusals=(SeedRefused,))
    run = SeedRun.objects.get(pk=seed_run_id)
    return outcome(run, run.step)


def make_market(plan: SeedPlan, store: SeedStore, report: Report) -> None:
    """Draw the market, its buyers and their events, and store the rows that are missing."""
    report(0.0, "drawing listings")
    market = build_market(plan.n_listings, plan.seed, store.anchor.year, lifetime_days=settings.LISTING_LIFETIME_DAYS)
    listing_ids = store.store_stock(market)
    report(0.3, "drawing buyers")
    buyers = draw_buyers(plan.n_buyers, plan.seed, Menu.of(read_specs()), read_towns())
    buyer_ids = store.store_buyers(buyers)
    history = simulate(
        market, buyers, plan.n_events, plan.seed,
        report=lambda share: report(0.4 + 0.15 * share, "drawing events"),
    )  # fmt: skip
    store.store_history(history, listing_ids, buyer_ids)
    with connection.cursor() as cursor:  # the planner has no statistics of tables that were empty before
        cursor.execute("ANALYZE catalog_listing, recommendations_interaction, recommendations_servedlist")
    report(1.0, "done")


@contextmanager
def seed_lock(plan: SeedPlan) -> Iterator[None]:
    """Take the lock of a seed, so that two seedings of it wait for each other; PostgreSQL releases it if a process
    dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_CLASS, plan.seed])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, plan.seed])
