"""The simulated site is the site: the same log gives the same choice sets, preferences and lists."""

import ast
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone

from catalog.models import Listing
from recommendations.events.rows import DATABASE, read_events, read_histories
from recommendations.listings.columns import ListingColumns
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import read_listings
from recommendations.models import EventKind, Interaction, Placement, ServedList
from recommendations.models.artifacts import load_ranker
from recommendations.serving.lists import ListRequest, recommend
from recommendations.simulation import browsing as sim
from recommendations.simulation.buyers import Menu, draw_buyers
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.learners import log_of
from recommendations.simulation.market import DAY, build_market, read_towns
from recommendations.simulation.memory_log import KINDS, MemoryLog
from recommendations.simulation.site import MemoryIndex, SimulatedSite, listing_rows_of
from tests.factories import BuyerFactory
from tests.markets import trained_market

ROOT = Path(__file__).parents[3]
# What learns, and what makes choice sets and lists. Who imports it builds a pipeline of its own.
LEARNERS = {
    "recommendations.engine.archetypes", "recommendations.engine.choice_sets", "recommendations.engine.evidence",
    "recommendations.engine.collaborative",
    "recommendations.engine.logit", "recommendations.engine.policy", "recommendations.engine.taste",
    "recommendations.engine.mixture", "recommendations.engine.population", "scipy.optimize",
    "sklearn",
}  # fmt: skip
SIMULATORS = [
    *sorted((ROOT / "recommendations/simulation").glob("*.py")),
    ROOT / "recommendations/management/commands/simulate.py",
    *sorted((ROOT / "recommendations/insight").glob("offline_test*.py")),
    ROOT / "benchmarks/recovery.py",
]


def imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", SIMULATORS, ids=lambda path: path.stem)
def test_a_simulator_an_offline_test_or_a_benchmark_of_lists_has_no_learner_of_its_own(path):
    own = {name for name in imported_by(path) for learner in LEARNERS if f"{name}.".startswith(f"{learner}.")}
    assert not own


@pytest.mark.django_db
def test_kinds_are_those_of_a_new_installation():
    stored = EventKind.objects.in_bulk()
    for slug, kind in KINDS.items():
        names = ("weight", "half_life_days", "is_contact")
        assert [getattr(kind, name) for name in names] == [getattr(stored[slug], name) for name in names]
    assert set(sim.EVENT_KINDS) == set(KINDS)


@pytest.fixture
def recorded(db):
    """A trained market, a buyer with a search and opened cars from lists of both sorts, and the same in memory."""
    market = trained_market()
    buyer, home, now = BuyerFactory(external=True), Placement.objects.get(slug="home"), timezone.now()
    log = MemoryLog(first_id=(Interaction.objects.order_by("-pk").first().pk or 0) + 1)
    Interaction.objects.create(
        buyer=buyer, kind_id="search", event_id="s", query={"makes": ["skoda"]}, occurred_at=now, received_at=now
    )
    log.record_search(buyer.pk, now.timestamp(), {"makes": ["skoda"]})
    for number, (cars, opened) in enumerate([(market.skodas, 2), (market.bmws[:3] + market.skodas[:4], 5)]):
        ids = [car.pk for car in cars]
        served = ServedList.objects.create(
            id=uuid.uuid4(), buyer=buyer, served_at=now, listing_ids=ids, scores=[0.0] * len(ids),
            sources=["taste"] * len(ids), placement=home if number else None,
        )  # fmt: skip
        Interaction.objects.create(
            buyer=buyer, kind_id="view", event_id=str(number), listing_id=ids[opened], occurred_at=now, received_at=now,
            served_list=served, position=opened + 1, attribution="checked",
        )  # fmt: skip
        log.record_event(buyer.pk, "view", now.timestamp(), ids[opened], log.record_list(ids))
    return market, buyer, log


def test_the_log_in_memory_answers_as_the_database_does(recorded):
    _, buyer, log = recorded
    stored, kept = read_histories([buyer.pk], 50), log.events([buyer.pk], 50)
    for name in ("ids", "buyer_ids", "listing_ids", "kinds"):
        assert getattr(stored, name).tolist() == getattr(kept, name).tolist()
    np.testing.assert_allclose(stored.occurred_at, kept.occurred_at)
    assert DATABASE.queries(stored.ids) == log.queries(kept.ids)
    for at_most in (30, 3):
        ours, theirs = kept.shown_beside(at_most), stored.shown_beside(at_most)
        for name in ("event_ids", "listing_ids", "positions", "chosen_positions", "is_filtered"):
            assert getattr(ours, name).tolist() == getattr(theirs, name).tolist(), name
    assert len(log.events([-1])) == 0
    assert len(kept.take(kept.listing_ids == 0).shown_beside(30).event_ids) == 0


def test_the_simulated_site_serves_the_list_that_the_site_serves(recorded):
    market, buyer, log = recorded
    served = [item.listing.pk for item in recommend(ListRequest(buyer=buyer, k=8)).items]
    rows = read_listings(Listing.objects.cars())
    index = MemoryIndex(load_ranker(market.version.pk), rows, market.version.pk)
    everybody = read_events(timezone.now() - timedelta(days=30))
    site = SimulatedSite(index, log, Placement.objects.get(slug="home"))
    # demand is that of the last full ten minutes, in which nothing had happened
    assert len(everybody) > len(log)
    assert site.recommend([buyer.pk], 8, timezone.now().timestamp()) == [served]
    with borrow_index() as live:
        assert live.version_id == index.version_id


def test_a_market_is_read_as_the_site_reads_listings():
    market, anchor = build_market(300, seed=3, anchor_year=2026), 1.7e9
    rows = listing_rows_of(market, anchor)
    ListingColumns().put(np.arange(300), rows)  # each column that a search may ask for is there
    for days in (0.0, 3.0, 20.0):
        moment = anchor - days * DAY
        is_on_sale = (rows.published_at <= moment) & (rows.ended_at > moment)
        np.testing.assert_array_equal(is_on_sale, market.is_on_sale(np.arange(300), int(days * DAY)))


def test_what_happens_after_the_loop_begins_is_not_in_its_log():
    market = build_market(300, seed=3, anchor_year=2026)
    buyers = draw_buyers(10, 3, Menu.of(read_specs()), read_towns())
    history = sim.simulate(market, buyers, 200, seed=3)
    everything, earlier = log_of(history, 1.7e9), log_of(history, 1.7e9, until_s=10 * DAY)
    assert len(everything) == 200 > len(earlier) > 0
    assert earlier.events().occurred_at.max() < 1.7e9 - 10 * DAY
    searches = everything.events().take(everything.events().listing_ids == 0)
    assert set(everything.queries(searches.ids)) == set(searches.ids.tolist())
