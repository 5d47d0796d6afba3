"""The verdict on the dashboard: each thing that may be wrong, its cause, and the step to take."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.broker import Worker
from jobs.pulse import Pulse, note_pulse
from recommendations.admin.health import Health, busy_with, read_health, verdict_on
from tests.factories import RankerVersionFactory, UserFactory

NOW = datetime(2026, 5, 1, 15, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=58)  # 14:02
FRESH = NOW - timedelta(seconds=20)
DEFAULT, REFRESH, IMPORTS, LONG = settings.QUEUES
ALIVE = {queue: Pulse("worker@a", FRESH) for queue in settings.QUEUES}
NO_WORKER = {queue: Pulse("worker@a", LONG_AGO) for queue in (DEFAULT, REFRESH)}


def health(**fields) -> Health:
    known = {"depths": {REFRESH: 0}, "pulses": ALIVE, "ended": FRESH, "scheduled": FRESH}
    return Health(**{"now": NOW, "is_trained": True, **known, **fields})


def test_all_is_well():
    verdict = verdict_on(health(waiting=(NOW - timedelta(seconds=5),)))
    assert (verdict.word, verdict.step) == ("Healthy", "")


@pytest.mark.parametrize(
    ("fields", "word", "said"),
    [
        ({"is_trained": False, "depths": None}, "Not trained", "no ranker is live"),
        ({"depths": None}, "At risk", "the broker does not answer"),
        (
            {"depths": {REFRESH: 7}, "waiting": (LONG_AGO,), "ended": LONG_AGO, "pulses": ALIVE | NO_WORKER},
            "Stale",
            "worker worker@a is down since",
        ),
        ({"pulses": ALIVE | {IMPORTS: Pulse("importer@a", LONG_AGO)}, "depths": {IMPORTS: 3}}, "At risk",
         "and no other takes from “imports”, where 3 tasks wait"),
        ({"pulses": {}}, "At risk", "no worker has run yet"),
        (
            {"depths": {REFRESH: 7}, "ended": None, "busy": ("worker@a",)},
            "Catching up",
            "7 tasks wait, and worker@a is at work on earlier ones",
        ),
        ({"depths": {REFRESH: 7}, "ended": LONG_AGO}, "At risk", "though they live, have ended none since"),
        ({"scheduled": LONG_AGO}, "At risk", "the scheduler (beat)"),
        ({"waiting": (NOW - timedelta(minutes=9), NOW)}, "Stale", "2 buyers are behind the log, the first for 9"),
        ({"n_wrong": 2}, "Look at it", "2 kinds of rows"),
        ({"is_feed_held": True}, "Look at it", "the kept fit serves"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_a_step_to_take(fields, word, said):
    verdict = verdict_on(health(**fields))
    assert verdict.word == word
    assert said in verdict.reason
    assert verdict.step
    assert reverse(verdict.to)


def test_a_worker_is_busy_with_what_waits_if_it_takes_from_that_queue_and_does_something():
    workers = [
        Worker("worker@a", (("refresh", "1"),), ("refresh", "default")),
        Worker("idle@a", (), ("refresh",)),
        Worker("trainer@a", (("train", "2"),), ("long",)),
    ]
    assert busy_with({"refresh": 3, "long": 0}, workers) == ("worker@a",)
    assert busy_with({"default": 0}, workers) == ()


def test_the_time_since_which_a_worker_is_down_is_named_with_its_zone():
    down = verdict_on(health(pulses=ALIVE | NO_WORKER))
    assert "14:02\u00a0UTC" in down.reason
    assert "“default” and “refresh”" in down.reason


def test_which_service_to_start_is_that_of_the_worker():
    assert "up -d importer”" in verdict_on(health(pulses=ALIVE | {IMPORTS: Pulse("importer@a", LONG_AGO)})).step


def test_workers_that_live_are_no_reason_to_worry_while_no_result_is_stored():
    """Scheduled tasks keep no results: the one of yesterday says nothing of a site that is well."""
    assert verdict_on(health(ended=LONG_AGO)).word == "Healthy"


@pytest.mark.django_db
def test_the_dashboard_begins_with_it(client, monkeypatch):
    RankerVersionFactory(live=True)
    monkeypatch.setattr("recommendations.admin.health.queue_depths", lambda: {REFRESH: 0})  # the outer edge
    PeriodicTask.objects.update(last_run_at=timezone.now())
    queues = current_app.amqp.queues
    monkeypatch.setattr(queues, "_consume_from", {name: queues[name] for name in settings.QUEUES})
    note_pulse(sender=SimpleNamespace(eventer=SimpleNamespace(hostname=f"worker@{uuid4()}")))
    read = read_health(timezone.now())
    assert set(read.pulses) == set(settings.QUEUES)
    assert read.scheduled
    client.force_login(UserFactory(operator=True))
    first = client.get(reverse("admin:index")).context["cards"][0]
    assert first.title == "Health"
    assert not first.is_alert
