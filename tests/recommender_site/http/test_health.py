"""Probes and metrics, with servers that are there and servers that are not."""

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import yaml
from django.conf import settings as live_settings
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from recommender_site.celery import app
from recommender_site.http.metrics import SAMPLE_SECONDS, TOO_OLD_SECONDS, Sampler, sampler, serve_on
from recommender_site.http.probes import PROBES
from recommender_site.wsgi import application
from tests.factories import ListingFactory
from tests.recommender_site.test_containers import DOCKERFILE

REFUSED_URL = "redis://127.0.0.1:1/0"


@pytest.fixture
def without_broker(monkeypatch):
    monkeypatch.setattr(app.conf, "broker_write_url", REFUSED_URL)
    monkeypatch.setattr(app.conf, "broker_read_url", REFUSED_URL)


def test_a_running_process_says_so_without_asking_other_services(client: Client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
def test_a_site_whose_servers_all_answer_is_ready(client: Client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "cache": "ok", "broker": "ok"}


@pytest.mark.django_db
def test_without_the_broker_the_site_is_degraded_and_ready(client: Client, without_broker):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "database": "ok", "cache": "ok", "broker": "does not answer"}


@pytest.mark.django_db
def test_without_the_cache_the_site_is_degraded_and_ready(client: Client, settings):
    settings.REDIS_URL = REFUSED_URL
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "database": "ok", "cache": "does not answer", "broker": "ok"}


@pytest.fixture
def silent_address():
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


@pytest.mark.parametrize(("server", "status"), [("database", 503), ("cache", 200), ("broker", 200)])
def test_a_server_that_is_silent_is_named_within_a_second(
    server, status, client, silent_address, settings, monkeypatch
):
    host, port = silent_address
    if server == "database":
        monkeypatch.setitem(connection.settings_dict, "HOST", host)
        monkeypatch.setitem(connection.settings_dict, "PORT", str(port))
    elif server == "cache":
        settings.REDIS_URL = f"redis://{host}:{port}/0"
    else:
        monkeypatch.setattr(app.conf, "broker_write_url", f"redis://{host}:{port}/0")
    seconds = []
    for _ in range(3):  # the quickest: another program may hold the machine for one of them
        asked_at = time.monotonic()
        response = client.get("/readyz")
        seconds.append(time.monotonic() - asked_at)
    assert min(seconds) < 1
    assert (response.status_code, response.json()[server]) == (status, "does not answer")


def test_a_database_that_is_away_is_named(client: Client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": "does not answer", "cache": "ok", "broker": "ok"}


def test_probes_cannot_be_posted_to(client: Client):
    assert client.post("/readyz").status_code == 405


# --- Before anything else looks at the request ------------------------------------------------------------------------
HOSTS = [
    "localhost",
    "cars.example.com",
    "10.1.2.3:8000",
    "web:9100",
    "evil.example",
    "no host at all",
    "",
    "[::1]",
    "a" * 300,
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", PROBES)
@pytest.mark.django_db
def test_a_probe_answers_under_any_host_name_and_without_https(path, slash, host, settings):
    settings.ALLOWED_HOSTS = ["cars.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    settings.DEMO_MODE = True
    response = Client().get(path + slash, HTTP_HOST=host)
    assert response.status_code == 200, response.content


def test_other_pages_still_check_the_host(settings):
    settings.ALLOWED_HOSTS = ["cars.example.com"]
    assert Client().get("/", HTTP_HOST="evil.example").status_code == 400
    assert Client().get("/healthz/more", HTTP_HOST="evil.example").status_code == 400


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(settings):
    """The port of the whole application, as a site of another name."""
    settings.ALLOWED_HOSTS = ["cars.example.com"]
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_health_check_of_the_image_works_whatever_the_site_is_called(served):
    command = yaml.safe_load(DOCKERFILE.split("HEALTHCHECK")[1].split("CMD", 1)[1].split("\n")[0])
    assert command[0] == "python"
    words = [word.replace(":8000", f":{served}") for word in command[1:]]
    assert subprocess.run([sys.executable, *words], check=False).returncode == 0


# --- Metrics ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("is_demo", "token", "header", "status"),
    [
        (True, "", "", 200),
        (True, "", "Bearer anything", 200),
        (False, "", "", 401),
        (False, "", "Bearer ", 401),
        (False, "the-token", "", 401),
        (False, "the-token", "the-token", 401),
        (False, "the-token", "Bearer another", 401),
        (False, "the-token", "Basic the-token", 401),
        (False, "the-token", "Bearer the-token", 200),
        (False, "the-token", "bearer the-token", 200),
        (False, "the-token", "BEARER  the-token ", 200),
        (False, "thé-token", "Bearer thé", 401),
        (True, "the-token", "", 401),
        (True, "the-token", "Bearer the-token", 200),
    ],
)
def test_metrics_need_their_token_outside_demo_mode(is_demo, token, header, status, settings):
    settings.DEMO_MODE, settings.METRICS_TOKEN = is_demo, token
    response = Client().get("/metrics", headers={"Authorization": header} if header else {})
    assert response.status_code == status
    assert (b"forecourt_" in response.content) == (status == 200)


def test_the_internal_port_serves_the_same_without_a_token_and_nothing_else(settings):
    settings.DEMO_MODE = False
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server, second = serve_on("127.0.0.1", port), serve_on("127.0.0.1", port)  # as two web processes do
    assert server
    assert second
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Host": "web:9100"})
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 (our own address)
            assert list(text_string_to_metric_families(answer.read().decode()))
        with pytest.raises(urllib.request.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/", timeout=5)
    finally:
        for each in (server, second):
            each.shutdown()
            each.server_close()


def test_a_port_that_another_program_uses_costs_the_metrics_and_not_the_site(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve_on("127.0.0.1", taken.getsockname()[1]) is None
    assert "no metrics on" in caplog.text


@pytest.mark.django_db
def test_a_scrape_asks_no_server(client, settings, monkeypatch, django_assert_num_queries, silent_address):
    settings.DEMO_MODE = True
    ListingFactory()
    sampler.sample()
    host, port = silent_address
    settings.REDIS_URL = f"redis://{host}:{port}/0"
    monkeypatch.setattr(app.conf, "broker_write_url", f"redis://{host}:{port}/0")
    client.get("/metrics")
    asked: list[tuple] = []
    monkeypatch.setattr(socket.socket, "connect", lambda own, address: asked.append(address))
    with django_assert_num_queries(0):
        for _ in range(3):
            assert client.get("/metrics").status_code == 200
    assert asked == []


def test_requests_make_no_series_of_their_own(client, settings):
    """Series are bounded by routes, methods and statuses, whatever a client invents."""
    settings.DEMO_MODE = True

    def series() -> set[str]:
        lines = client.get("/metrics").content.decode().splitlines()
        return {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}

    def ask(n: int) -> None:
        for number in range(n):
            client.get(f"/no/such/page/{number}")
            client.get(f"/api/v1/{number}", headers={"Accept": f"text/x-{number}", "Host": f"h{number}.example"})
            client.generic(f"METHOD{number}", "/", b"x", content_type=f"text/plain; charset=x{number}")

    ask(2)
    before = series()
    ask(30)
    assert series() == before


@pytest.mark.django_db
def test_a_sample_is_shared_between_processes_and_not_served_when_it_is_old(monkeypatch):
    first, second = Sampler(), Sampler()
    first.share_or_sample()
    monkeypatch.setattr(Sampler, "sample", lambda self: pytest.fail("the sample of the first will do"))
    second.share_or_sample()
    assert {family.name for family in second.collect()} == {family.name for family in first.collect()}
    assert "forecourt_listings" in {family.name for family in second.collect()}
    second._taken_at -= TOO_OLD_SECONDS + 1
    assert [family.name for family in second.collect()] == ["forecourt_sample_age_seconds"]
    assert list(Sampler().collect()) == []
    assert SAMPLE_SECONDS < TOO_OLD_SECONDS


def samples(client: Client) -> dict[str, float]:
    """What a scrape finds after the installation has been sampled."""
    sampler.sample()
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
