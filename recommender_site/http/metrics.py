"""``/metrics`` for Prometheus: what all web processes have counted, and the state of the market as the database has it.

The counters live in files, one per process (PROMETHEUS_MULTIPROC_DIR), and are added up here. What is true of the
whole installation (stock, age of the ranker, preferences behind the log, waiting tasks) is asked at every scrape; what
a server that is away would have reported is left out, and ``forecourt_scrape_failed`` names the server.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError
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
from recommendations.models import Interaction, Preference, RankerVersion
from recommendations.upkeep.consistency import last_findings
from recommendations.upkeep.probe import GOAL_SECONDS, last_probe
from recommender_site.celery import app
from web.servers import CHECKS, broker_connection

logger = logging.getLogger(__name__)

Question = Callable[[], list[GaugeMetricFamily]]


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    text = generate_latest(process_registry()) + generate_latest(installation_registry())
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


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
    registry.register(InstallationCollector())
    return registry


class InstallationCollector(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        failed = GaugeMetricFamily("forecourt_scrape_failed", "1: this server could not be asked.", labels=["server"])
        for server, questions in QUESTIONS.items():
            families, problem = answers_of(server, questions)
            yield from families
            failed.add_metric([server], bool(problem))
            if problem:
                logger.warning("metrics of the %s are missing: %s", server, problem)
        yield failed


def answers_of(server: str, questions: Sequence[Question]) -> tuple[list[GaugeMetricFamily], str]:
    """What a server answers, or nothing and why. Its probe comes first: a pool waits longer than a scrape does."""
    try:
        problem = CHECKS[server]()
        return ([], problem) if problem else ([family for ask in questions for family in ask()], "")
    except (DatabaseError, KombuError, OSError) as error:
        return [], str(error)


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


QUESTIONS: dict[str, Sequence[Question]] = {
    "database": (listings_by_status, live_ranker_age, preferences_behind_the_log),
    "broker": (waiting_tasks,),
    "cache": (probe_from_end_to_end, inconsistent_rows),
}
