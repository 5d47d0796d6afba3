"""What Prometheus reads: what all web processes have counted, and the state of the market as the database has it.

The counters live in files, one per process (PROMETHEUS_MULTIPROC_DIR), and are added up at each scrape. What is true of
the whole installation (stock, age of the ranker, preferences behind the log, waiting tasks) is sampled by a thread of
each web process; a scrape serves the latest sample and asks no server at all. Processes share a sample through the
cache, so that one of them asks the database every ``SAMPLE_SECONDS``. What a server that is away would have reported is
left out of the sample, and ``forecourt_scrape_failed`` names the server.

Two ways in: a port of its own (WEB_METRICS_PORT), which only the internal network should reach, and ``/metrics`` on the
port of the site, which needs METRICS_TOKEN outside demo mode.
"""

import hmac
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connections
from django.db.models import Count, F, Min, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import KombuError
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from catalog.models import Listing
from jobs.timetable import lateness
from recommendations.models import Interaction, Preference, RankerVersion, WaitingEvent
from recommendations.upkeep import months
from recommendations.upkeep.consistency import last_findings
from recommendations.upkeep.probe import GOAL_SECONDS, last_probe
from recommender_site.celery import app
from web.servers import CHECKS, broker_connection
from webhooks.delivery import outbox_state

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

SAMPLE_SECONDS = 10  # between two samples of the installation
TOO_OLD_SECONDS = 120  # a sample that is older is not served: a gauge that stands still looks like good news
CACHE_KEY = "metrics-sample"

Question = Callable[[], list[GaugeMetricFamily]]


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Outside demo mode for the bearer of METRICS_TOKEN alone; without such a token for no one."""
    if not may_read(request.headers.get("Authorization", "")):
        return HttpResponse("Metrics need the bearer token METRICS_TOKEN.\n", status=401, headers=CHALLENGE)
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


CHALLENGE = {"WWW-Authenticate": 'Bearer realm="metrics"', "Content-Type": "text/plain; charset=utf-8"}


def may_read(authorization: str) -> bool:
    """Whether a header ``Authorization`` carries the token; a site with a token asks for it in demo mode too."""
    if not settings.METRICS_TOKEN:
        return bool(settings.DEMO_MODE)
    scheme, _, token = authorization.strip().partition(" ")
    is_right = hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
    return is_right and scheme.lower() == "bearer"


def exposition() -> bytes:
    """All series in the text format of Prometheus."""
    return generate_latest(process_registry()) + generate_latest(installation_registry())


def process_registry() -> CollectorRegistry:
    """What this process has counted, or all processes together where they share a directory."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry


def installation_registry() -> CollectorRegistry:
    # A multi-process registry ignores collectors of one's own, hence a second one.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(sampler)
    return registry


class Sampler(Collector):
    """The latest sample of the installation, as a collector; ``start`` has a thread renew it."""

    def __init__(self) -> None:
        self._families: list[GaugeMetricFamily] = []
        self._taken_at = float("-inf")  # wall clock, seconds: a sample may come from another process

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Nothing before the first sample, and nothing but its age when it is too old."""
        age_seconds = time.time() - self._taken_at
        if age_seconds == float("inf"):
            return
        age = GaugeMetricFamily("forecourt_sample_age_seconds", "Since the state of the installation was sampled.")
        age.add_metric([], max(age_seconds, 0.0))
        yield age
        if age_seconds <= TOO_OLD_SECONDS:
            yield from self._families

    def start(self) -> None:
        threading.Thread(target=self._keep_sampling, name="metrics-sampler", daemon=True).start()

    def _keep_sampling(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self.share_or_sample()
            except Exception:
                logger.exception("the state of the installation was not sampled")
            finally:
                connections.close_all()
            pause.wait(SAMPLE_SECONDS / 2)

    def share_or_sample(self) -> None:
        """Take over a sample that another process has made, or make the one that is due."""
        if cache.add(f"{CACHE_KEY}-due", 1, SAMPLE_SECONDS - 1):
            self.sample()
            cache.set(CACHE_KEY, (self._taken_at, self._families), TOO_OLD_SECONDS)
        elif (shared := cache.get(CACHE_KEY)) and shared[0] > self._taken_at:
            self._taken_at, self._families = shared

    def sample(self) -> None:
        """Ask every server now."""
        self._families, self._taken_at = list(measure()), time.time()


sampler = Sampler()


def measure() -> Iterator[GaugeMetricFamily]:
    failed = GaugeMetricFamily("forecourt_scrape_failed", "1: this server could not be asked.", labels=["server"])
    for server, questions in QUESTIONS.items():
        families, problem = answers_of(server, questions)
        yield from families
        failed.add_metric([server], bool(problem))
        if problem:
            logger.warning("metrics of the %s are missing: %s", server, problem)
    yield failed


def answers_of(server: str, questions: Sequence[Question]) -> tuple[list[GaugeMetricFamily], str]:
    """What a server answers, or nothing and why. Its probe comes first: a pool waits longer than a probe does."""
    try:
        problem = CHECKS[server]()
        return ([], problem) if problem else ([family for ask in questions for family in ask()], "")
    except (DatabaseError, KombuError, OSError) as error:
        return [], str(error)


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Every web process listens on the one port (SO_REUSEPORT), and each can answer for all of them."""

    daemon_threads = True
    allow_reuse_port = True


class QuietHandler(WSGIRequestHandler):
    timeout = 10  # seconds; a client that sends nothing holds no thread for longer

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""

    def address_string(self) -> str:
        return str(self.client_address[0])  # without asking for its name


def serve_on(host: str, port: int) -> WSGIServer | None:
    """Serve the metrics on a port of their own, by a thread; None, and a line in the log, where it cannot be had."""
    try:
        server = MetricsServer((host, port), QuietHandler, bind_and_activate=False)
        server.server_bind()
        server.server_activate()
    except OSError as problem:
        logger.error("no metrics on %s port %s: %s", host, port, problem.strerror)
        return None
    server.set_app(answer_scrape)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def answer_scrape(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    if environ["PATH_INFO"].rstrip("/") not in ("", "/metrics"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b""]
    body = exposition()
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST), ("Content-Length", str(len(body)))])
    return [body]


def listings_by_status() -> list[GaugeMetricFamily]:
    family = GaugeMetricFamily("forecourt_listings", "Listings by status.", labels=["status"])
    counted = dict(Listing.objects.order_by().values_list("status").annotate(n=Count("pk")))
    for status in Listing.Status.values:
        family.add_metric([status], counted.get(status, 0))
    return [family]


def live_ranker_age() -> list[GaugeMetricFamily]:
    """No sample before the first training."""
    family = GaugeMetricFamily("forecourt_live_ranker_age_seconds", "Since the live ranker was trained.")
    if live := RankerVersion.objects.live():
        family.add_metric([], (timezone.now() - live.created_at).total_seconds())
    return [family]


def preferences_behind_the_log() -> list[GaugeMetricFamily]:
    """How many, and how far: what was received in the last day is looked at, so that a scrape stays cheap."""
    behind = GaugeMetricFamily("forecourt_preferences_behind", "Buyers whose preference has not seen all their events.")
    lag = GaugeMetricFamily("forecourt_preference_lag_seconds", "Age of the oldest event no preference has seen.")
    now = timezone.now()
    seen = Preference.objects.filter(buyer=OuterRef("buyer"), version=RankerVersion.objects.live())
    unseen = (
        Interaction.objects.about_cars()
        .filter(received_at__gte=now - timedelta(days=1), buyer__is_personalised=True)
        .alias(seen=Subquery(seen.values("last_interaction_id")))
        .filter(Q(seen__isnull=True) | Q(id__gt=F("seen")))
        .order_by()
        .aggregate(n_buyers=Count("buyer", distinct=True), oldest=Min("received_at"))
    )
    behind.add_metric([], unseen["n_buyers"])
    lag.add_metric([], (now - unseen["oldest"]).total_seconds() if unseen["oldest"] else 0)
    return [behind, lag]


def waiting_events() -> list[GaugeMetricFamily]:
    family = GaugeMetricFamily("forecourt_events_early", "Events that wait for a listing that is yet to come.")
    family.add_metric([], WaitingEvent.objects.count())
    return [family]


def waiting_tasks() -> list[GaugeMetricFamily]:
    """Messages no worker has taken yet; asked of the broker, whichever it is."""
    family = GaugeMetricFamily("forecourt_queue_messages", "Tasks that wait in a queue.", labels=["queue"])
    with broker_connection() as connection:
        for queue in settings.QUEUES:
            # Declared as a worker would, since kombu's question whether a Redis queue exists ignores our key prefix.
            declared = app.amqp.queues[queue](connection.default_channel).queue_declare()
            family.add_metric([queue], declared.message_count)
    return [family]


def probe_from_end_to_end() -> list[GaugeMetricFamily]:
    """How the last one ended. No sample before the first, nor where it is switched off."""
    probe = last_probe() if settings.PROBE_THE_LOOP else None
    if probe is None:
        return []
    succeeded = GaugeMetricFamily("forecourt_probe_succeeded", "1: the last probe's effect came in time.")
    succeeded.add_metric([], probe.seconds is not None and probe.seconds <= GOAL_SECONDS)
    age = GaugeMetricFamily("forecourt_probe_age_seconds", "Since the last probe ended; one is sent each minute.")
    age.add_metric([], time.time() - probe.ended_at)
    seconds = GaugeMetricFamily("forecourt_probe_seconds", "From the last probe's event to the preference knowing it.")
    if probe.seconds is not None:
        seconds.add_metric([], probe.seconds)
    return [succeeded, age, seconds]


def inconsistent_rows() -> list[GaugeMetricFamily]:
    """As found by the last check of the data. No sample before the first."""
    family = GaugeMetricFamily(
        "forecourt_inconsistent_rows", "Rows that should not be there, by check.", labels=["check"]
    )
    for check, n_rows in last_findings().items():
        family.add_metric([check], n_rows)
    return [family]


def webhooks_outbox() -> list[GaugeMetricFamily]:
    """What waits for endpoints that are switched on, for how long, and what was given up and not replayed."""
    state = outbox_state(timezone.now())
    waiting = GaugeMetricFamily("forecourt_webhooks_waiting", "Webhooks that wait to be delivered.")
    waiting.add_metric([], state.n_waiting)
    dead = GaugeMetricFamily("forecourt_webhooks_dead", "Dead letters: webhooks that were given up.")
    dead.add_metric([], state.n_dead)
    oldest = GaugeMetricFamily("forecourt_webhook_oldest_waiting_seconds", "Age of the oldest webhook that waits.")
    oldest.add_metric([], state.oldest_seconds)
    return [waiting, dead, oldest]


def schedules_that_do_not_run() -> list[GaugeMetricFamily]:
    """Both gauges for every schedule, so that an alert ends when the schedule runs again."""
    overdue = GaugeMetricFamily(
        "forecourt_schedule_overdue_seconds", "Since a schedule should have run and did not.", labels=["schedule"]
    )
    off = GaugeMetricFamily(
        "forecourt_schedule_off_seconds", "Since a schedule was switched off; 0 while it is on.", labels=["schedule"]
    )
    for each in lateness(timezone.now()):
        overdue.add_metric([each.name], each.overdue_seconds)
        off.add_metric([each.name], each.off_seconds)
    return [overdue, off]


def months_ahead() -> list[GaugeMetricFamily]:
    """Rows of a month that has no part are refused. No sample for a table that is not kept by month yet."""
    family = GaugeMetricFamily(
        "forecourt_months_ahead_seconds", "For how long rows to come have a part of their table.", labels=["table"]
    )
    for monthly in months.TABLES:
        if until := months.made_until(monthly):
            family.add_metric([monthly.table], (until - timezone.now()).total_seconds())
    return [family]


QUESTIONS: dict[str, Sequence[Question]] = {
    "database": (
        listings_by_status,
        live_ranker_age,
        preferences_behind_the_log,
        schedules_that_do_not_run,
        months_ahead,
        webhooks_outbox,
        waiting_events,
    ),
    "broker": (waiting_tasks,),
    "cache": (probe_from_end_to_end, inconsistent_rows),
}
