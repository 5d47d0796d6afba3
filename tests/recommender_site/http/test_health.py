"""Probes and metrics, with servers that are there and servers that are not."""

import pytest
from django.conf import settings as live_settings
from django.db import connection
from django.test import Client

from recommender_site.celery import app
from tests.factories import ListingFactory

NOTHING_LISTENS = "redis://127.0.0.1:1/0"


@pytest.fixture
def without_broker(monkeypatch):
    monkeypatch.setattr(app.conf, "broker_write_url", NOTHING_LISTENS)
    monkeypatch.setattr(app.conf, "broker_read_url", NOTHING_LISTENS)


def test_a_running_process_says_so_without_asking_other_services(client: Client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_a_site_whose_servers_all_answer_is_ready(client: Client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "cache": "ok", "broker": "ok"}


@pytest.mark.django_db
def test_a_broker_that_is_away_is_named(client: Client, without_broker):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "database": "ok",
        "cache": "ok",
        "broker": "does not answer",
    }


@pytest.mark.django_db
def test_a_cache_that_is_away_is_named(client: Client, settings):
    settings.REDIS_URL = NOTHING_LISTENS
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["cache"] == "does not answer"


def test_a_database_that_is_away_is_named(client: Client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "does not answer", "cache": "ok", "broker": "ok"}


def test_probes_cannot_be_posted_to(client: Client):
    assert client.post("/readyz").status_code == 405


def samples(client: Client) -> dict[str, float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.mark.django_db
def test_metrics_tell_the_state_of_the_stock(client: Client):
    ListingFactory.create_batch(2)
    ListingFactory(sold=True)
    found = samples(client)
    assert found['forecourt_listings{status="live"}'] == 2
    assert found['forecourt_listings{status="sold"}'] == 1
    assert found["forecourt_preferences_behind"] == 0
    assert not any(name.startswith("forecourt_live_ranker_age_seconds") for name in found)


@pytest.mark.django_db
def test_metrics_tell_how_many_tasks_wait(client: Client):
    queue = live_settings.LONG_QUEUE
    app.send_task("a.task.no.worker.takes", queue=queue)
    try:
        assert samples(client)[f'forecourt_queue_messages{{queue="{queue}"}}'] == 1
    finally:
        with app.connection_for_write() as connection:
            connection.default_channel.queue_purge(queue)


@pytest.mark.django_db
def test_a_server_that_cannot_be_asked_is_named_and_the_others_answer(client: Client, without_broker):
    found = samples(client)
    assert found['forecourt_scrape_failed{server="broker"}'] == 1
    assert found['forecourt_scrape_failed{server="database"}'] == 0
    assert found['forecourt_listings{status="live"}'] == 0


def test_counters_are_served_without_a_database(client: Client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    found = samples(client)
    assert found['forecourt_scrape_failed{server="database"}'] == 1
    assert "forecourt_events_repeated_total" in found
