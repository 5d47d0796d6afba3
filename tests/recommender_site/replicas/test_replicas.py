"""Reads beside the primary, with a real streaming replica: what it may answer, and that it makes nothing wrong."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from prometheus_client import REGISTRY

from accounts.models import Buyer, User
from accounts.services import create_api_key
from catalog.models import Listing
from catalog.services import mark_sold
from recommendations.buyers.preferences import current_preference
from recommendations.events.recording import Event, record_interactions
from recommendations.listings.index import borrow_index, drop_index
from recommendations.models import Interaction, Preference
from recommendations.serving import reading
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.similar import similar_listings
from recommender_site.operations import doctor
from recommender_site.operations.findings import Level
from tests.factories import BuyerFactory, UserFactory
from tests.markets import view
from tests.recommendations.api.conftest import client_with
from tests.standby import ALIAS, is_well, wait_until
from web import replicas
from web.replicas import read_beside, reading_connection

pytestmark = pytest.mark.django_db
SEARCH = "/api/v1/cars/search"
FAR_BEHIND = 600.0  # seconds; so that a paused replica is used all the same


@contextmanager
def queries_of_replica() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connections[ALIAS]) as captured:
        yield captured


def answered(kind: str, by: str) -> float:
    return REGISTRY.get_sample_value("forecourt_reads_beside_total", {"kind": kind, "answered_by": by}) or 0.0


def forget_buyers() -> None:
    """As a process that has not seen them yet."""
    reading._kept.clear()


def ids_for(buyer: Buyer, k: int = 10) -> list[int]:
    return [item.listing.pk for item in recommend(ListRequest(buyer=buyer, k=k)).items]


@pytest.fixture(autouse=True)
def _may_be_far_behind(replica, settings):
    settings.REPLICA_STALENESS_SECONDS = FAR_BEHIND
    forget_buyers()


@pytest.fixture
def beyond_memory(market, settings):
    """The stock is larger than what a process keeps, so that PostgreSQL searches."""
    settings.WINDOW_MAX_LISTINGS = 5
    drop_index()
    with borrow_index() as listing_index:
        assert listing_index is not None
        assert not listing_index.is_complete
    return market


# --- What a buyer did ------------------------------------------------------------------------------------------------
def test_what_is_long_about_a_buyer_comes_from_the_replica_and_the_list_is_that_of_the_primary(market, replica):
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:5])
    on_primary = ids_for(buyer)
    replica.catch_up()
    forget_buyers()
    before = answered("buyers", "replica")
    with queries_of_replica() as beside:
        assert ids_for(buyer) == on_primary
    assert len(beside) == 1
    assert answered("buyers", "replica") == before + 1
    with queries_of_replica() as beside:  # what is kept is not read again
        ids_for(buyer)
    assert len(beside) == 0


@pytest.mark.parametrize("is_known", [True, False], ids=["kept in memory", "not seen yet"])
def test_the_effect_of_an_event_is_on_the_next_list_though_the_replica_does_not_know_it(market, replica, is_known):
    buyer = BuyerFactory()
    view(buyer, *market.skodas[:3])
    with replica.paused():
        [first, second, *_] = ids_for(buyer)
        for n, (kind, gone) in enumerate([("hide", first), ("hide", second), ("view", None)], start=4):
            if not is_known:
                forget_buyers()
            record_interactions(buyer=buyer, events=[Event(kind=kind, listing_id=gone or market.bmws[0].pk)])
            before = answered("buyers", "primary_log_is_ahead")
            assert gone not in ids_for(buyer)
            assert answered("buyers", "primary_log_is_ahead") == before + 1
            preference = Preference.objects.get(buyer=buyer)
            assert preference.n_interactions == n
        beside = ids_for(buyer)
    replicas.forget_replicas()
    forget_buyers()
    assert ids_for(buyer) == beside


def test_a_preference_is_never_made_of_the_log_of_a_replica(market, replica):
    buyer = BuyerFactory()
    with replica.paused():
        view(buyer, *market.bmws[:4])
        preference = read_beside("console", lambda: current_preference(buyer))
        assert preference is not None
        assert preference.n_interactions == Interaction.objects.filter(buyer=buyer).count() == 4


# --- Sold means gone -------------------------------------------------------------------------------------------------
def test_a_car_that_was_sold_is_on_no_list_and_in_no_search_of_a_replica_that_has_it_for_sale(beyond_memory, replica):
    buyer, reader = BuyerFactory(), client_with(
        x_api_key=create_api_key(name="r", scopes=["read"], created_by=None)[1]
    )  # fmt: skip
    view(buyer, *beyond_memory.bmws[:2])
    seed = beyond_memory.bmws[5]

    def everywhere() -> dict[str, list[int]]:
        found = reader.get(SEARCH, {"brand": "bmw", "facets": "true", "page_size": 100}).json()
        return {
            "list": ids_for(buyer, 20),
            "similar": [item.listing.pk for item in similar_listings(seed, 20)],
            "search": [car["id"] for car in found["listings"]],
        }

    with replica.paused(), queries_of_replica() as beside:
        before = everywhere()
        assert len(beside) > 5
        gone = next(listing_id for listing_id in before["list"] if listing_id in before["search"])  # a BMW
        for name, ids in before.items():
            assert gone in ids or name == "similar"
        mark_sold(listing=Listing.objects.get(pk=gone))
        assert connections[ALIAS].cursor().execute("SELECT status FROM catalog_listing WHERE id = %s", [gone])
        for name, ids in everywhere().items():
            assert gone not in ids, name
            assert len(ids) >= len(before[name]) - 1, name


def test_search_and_facets_are_answered_by_the_replica_as_by_the_primary(beyond_memory, replica):
    reader = client_with(x_api_key=create_api_key(name="r", scopes=["read"], created_by=None)[1])
    replica.catch_up()
    questions = [
        {"facets": "true"}, {"brand": "skoda", "facets": "true"}, {"q": "bmw diesel"}, {"ordering": "price"},
        {"ordering": "-year", "page": 2, "page_size": 7}, {"ordering": "recommended"}, {"page": 99},
    ]  # fmt: skip
    beside = []
    for question in questions:
        with queries_of_replica() as captured:
            beside.append(reader.get(SEARCH, question).json())
        assert len(captured), question
    replicas.forget_replicas()
    assert [reader.get(SEARCH, question).json() for question in questions] == beside


def test_a_client_finds_the_listing_that_it_has_just_written(beyond_memory, replica):
    shop, other = (
        client_with(x_api_key=create_api_key(name=n, scopes=["ingest", "read"], created_by=None, source=n)[1])
        for n in ("shop", "other")
    )
    car = beyond_memory.skodas[0]
    Listing.objects.filter(pk=car.pk).update(source="shop", external_id="7")
    with replica.paused():
        assert shop.patch("/api/v1/listings/by-external-id/7", {"price": "777"}).status_code == 200
        with queries_of_replica() as beside:
            found = shop.get(SEARCH, {"max_price": 800}).json()
        assert [each["id"] for each in found["listings"]] == [car.pk]
        assert len(beside) == 0
        with queries_of_replica() as beside:
            other.get(SEARCH, {"max_price": 800})
        assert len(beside)


# --- The console -----------------------------------------------------------------------------------------------------
@pytest.fixture
def operator(replica):
    client = Client()
    client.force_login(UserFactory(operator=True))
    return client


def test_lists_and_reports_of_the_console_are_read_from_the_replica(market, replica, operator):
    view(BuyerFactory(), *market.bmws[:2])
    replica.catch_up()
    before = answered("console", "primary_replica_failed"), answered("console", "primary_none_well")
    pages = {
        "catalog_listing_changelist": "catalog_listing",
        "recommendations_interaction_changelist": "recommendations_interaction",
        "accounts_buyer_changelist": "accounts_buyer", "accounts_auditentry_changelist": "accounts_auditentry",
        "webhooks_delivery_changelist": "webhooks_delivery", "index": "recommendations_servedlist",
        "recommendations_dealers": "recommendations_", "catalog_quality": "catalog_qualityreport",
    }  # fmt: skip
    for name, table in pages.items():
        with queries_of_replica() as beside:
            assert operator.get(reverse(f"admin:{name}")).status_code == 200
        read = " ".join(query["sql"] for query in beside)
        assert table in read, name
        assert not {"django_session", "auth_permission", "INSERT", "UPDATE"} & set(re.findall(r"\w+", read)), name
    for name in ("accounts_user_changelist", "catalog_make_add"):
        with queries_of_replica() as beside:
            assert operator.get(reverse(f"admin:{name}")).status_code == 200
        assert len(beside) == 0, name
    assert before == (answered("console", "primary_replica_failed"), answered("console", "primary_none_well"))


def test_an_operator_sees_what_they_changed_and_another_does_not_wait_for_it(market, replica, operator):
    page = reverse("admin:catalog_make_changelist")
    with replica.paused():
        added = operator.post(reverse("admin:catalog_make_add"), {"name": "Tatra", "slug": "tatra"}, follow=True)
        assert "Tatra" in added.content.decode()
        with queries_of_replica() as beside:
            assert "Tatra" in operator.get(page).content.decode()
        assert len(beside) == 0
        another = Client()
        another.force_login(User.objects.filter(is_superuser=True).last())
        with queries_of_replica() as beside:
            assert "Tatra" not in another.get(page).content.decode()
        assert len(beside)


def test_a_user_who_was_locked_out_is_out_at_once(market, replica, operator):
    page = reverse("admin:catalog_listing_changelist")
    with replica.paused():
        assert operator.get(page).status_code == 200
        User.objects.update(is_active=False)
        assert operator.get(page).status_code == 302


# --- Writes and transactions -----------------------------------------------------------------------------------------
def test_writes_and_whatever_a_transaction_reads_are_the_primarys(market, replica):
    def changed() -> str:
        car = Listing.objects.get(pk=market.bmws[0].pk)
        assert car._state.db == ALIAS
        car.title = "changed"
        car.save(update_fields=["title"])
        with transaction.atomic():
            again = Listing.objects.select_for_update().get(pk=car.pk)
            assert Listing.objects.get(pk=car.pk)._state.db == again._state.db == "default"
            assert reading_connection().alias == "default"
        assert car.make in type(car.make).objects.filter(listings=car)  # rows of both may be compared and joined
        return again.title

    assert read_beside("console", changed) == "changed"
    assert reading_connection().alias == "default"
    with transaction.atomic():
        assert read_beside("console", lambda: Listing.objects.first()._state.db) == "default"


def test_what_would_write_on_a_replica_is_answered_by_the_primary(market, replica):
    def write() -> int:
        with reading_connection().cursor() as cursor:
            cursor.execute("UPDATE catalog_listing SET title = 'x' WHERE id = %s", [market.bmws[0].pk])
            return cursor.rowcount

    before = answered("console", "primary_replica_failed")
    assert read_beside("console", write) == 1
    assert answered("console", "primary_replica_failed") == before + 1
    wait_until(is_well)  # by the next look


# --- Staleness -------------------------------------------------------------------------------------------------------
def test_a_replica_is_left_out_while_it_is_too_far_behind(market, replica, settings):
    settings.REPLICA_STALENESS_SECONDS = 1
    with replica.paused():
        Listing.objects.filter(pk=market.bmws[0].pk).update(title="news")
        wait_until(lambda: replicas.watched()[0].why_left_out() == "it is too far behind")
        before = answered("console", "primary_none_well")
        assert read_beside("console", lambda: Listing.objects.get(pk=market.bmws[0].pk).title) == "news"
        assert answered("console", "primary_none_well") == before + 1
        wait_until(lambda: REGISTRY.get_sample_value("forecourt_replica_used", {"replica": ALIAS}) == 0)
    wait_until(is_well)


def test_a_primary_without_work_makes_no_replica_old(market, replica, settings):
    settings.REPLICA_STALENESS_SECONDS = 1
    replica.catch_up()
    wait_until(is_well)
    until = time.monotonic() + 1.5
    n_looks = 0
    while time.monotonic() < until:
        n_looks += is_well()
        time.sleep(0.05)
    assert n_looks


def test_what_was_measured_ages_by_itself(market, replica, settings):
    [known] = replicas.watched()
    known.watch.end()
    settings.REPLICA_STALENESS_SECONDS = 0.3
    wait_until(lambda: known.why_left_out() == "it is too far behind")


def test_doctor_measures_each_replica(market, replica, settings):
    def found() -> tuple[Level, str]:
        [finding] = doctor.look_at_replicas()
        return finding.level, finding.is_so

    settings.REPLICA_STALENESS_SECONDS = 1
    replica.catch_up()
    level, says = found()
    assert (level, "has what the primary has" in says) == (Level.OK, True)
    with replica.paused():
        Listing.objects.filter(pk=market.bmws[0].pk).update(title="more news")
        level, says = found()
        assert (level, "too far behind" in says) == (Level.WARNING, True)
    of_replica = dict(settings.DATABASES[ALIAS])
    try:
        settings.DATABASES[ALIAS]["PORT"] = settings.DATABASES["default"]["PORT"]
        assert "it is no replica" in found()[1]
        settings.DATABASES[ALIAS]["PORT"] = "1"
        assert "it does not answer" in found()[1]
    finally:
        settings.DATABASES[ALIAS].update(of_replica)


# --- Replicas that go away; the last tests, as the server does not come back as it was --------------------------------
def test_a_replica_that_falls_silent_holds_up_nothing_for_long(beyond_memory, replica, operator):
    page = reverse("admin:catalog_listing_changelist")
    assert operator.get(page).status_code == 200
    replica.signal_all(signal.SIGSTOP)
    try:
        before = answered("console", "primary_replica_failed")
        assert operator.get(page).status_code == 200
        assert answered("console", "primary_replica_failed") == before + 1
        wait_until(lambda: replicas.watched()[0].why_left_out() == "it does not answer")
        assert operator.get(page).status_code == 200
        assert answered("console", "primary_replica_failed") == before + 1
    finally:
        replica.signal_all(signal.SIGCONT)
    wait_until(is_well)


def test_a_replica_that_is_killed_does_no_harm(beyond_memory, replica, operator):
    buyer = BuyerFactory()
    reader = client_with(x_api_key=create_api_key(name="r", scopes=["read"], created_by=None)[1])
    view(buyer, *beyond_memory.bmws[:2])

    def ask_all() -> list[object]:
        forget_buyers()
        page = operator.get(reverse("admin:catalog_make_changelist"))
        found = reader.get(SEARCH, {"facets": "true"})
        assert (page.status_code, found.status_code) == (200, 200)
        return [ids_for(buyer), found.json()]

    as_before = ask_all()
    replica.kill()
    for _ in range(2):
        assert ask_all() == as_before
    wait_until(lambda: replicas.watched()[0].why_left_out() == "it does not answer")
    kinds = ("buyers", "candidates", "search", "console")
    before = {(kind, by): answered(kind, by) for kind in kinds for by in ("replica", "primary_replica_failed")}
    assert ask_all() == as_before
    assert {key: answered(*key) for key in before} == before
    connections[ALIAS].close()
    with pytest.raises(OperationalError, match="does not answer"):
        connections[ALIAS].ensure_connection()
    replica.start()
    wait_until(is_well)
    assert ask_all() == as_before
    assert answered("buyers", "replica") > before["buyers", "replica"]


def test_nothing_is_read_beside_by_a_process_that_watches_no_replica():
    replicas.forget_replicas()
    before = {by: answered("console", by) for by in ("replica", "primary_none_well")}
    assert read_beside("console", lambda: reading_connection().alias) == "default"
    assert {by: answered("console", by) for by in before} == before
