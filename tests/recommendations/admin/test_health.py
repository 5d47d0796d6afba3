"""The verdict on the dashboard: each thing that may be wrong, its cause, and the step to take."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django_celery_results.models import TaskResult

from jobs.broker import Worker
from recommendations.admin.health import Health, busy_with, read_health, verdict_on
from tests.factories import RankerVersionFactory, UserFactory

NOW = datetime(2026, 5, 1, 15, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=58)  # 14:02
FRESH = {"worker@a": NOW - timedelta(seconds=20)}


def health(**fields) -> Health:
    return Health(**{"now": NOW, "is_trained": True, "depths": {"refresh": 0}, "last_by_worker": FRESH, **fields})


def test_all_is_well():
    verdict = verdict_on(health(waiting=(NOW - timedelta(seconds=5),)))
    assert (verdict.word, verdict.step) == ("Healthy", "")


@pytest.mark.parametrize(
    ("fields", "word", "said"),
    [
        ({"is_trained": False, "depths": None}, "Not trained", "no ranker is live"),
        ({"depths": None}, "At risk", "the broker does not answer"),
        (
            {"depths": {"refresh": 7}, "waiting": (LONG_AGO,),
             "last_by_worker": {"worker@a": LONG_AGO, "worker@b": LONG_AGO - timedelta(days=1)}},
            "Stale",
            "worker worker@a is down since",
        ),
        ({"depths": {"refresh": 7}, "last_by_worker": {}}, "At risk", "no worker has run yet"),
        (
            {"depths": {"refresh": 7}, "last_by_worker": {}, "busy": ("worker@a",)},
            "Catching up",
            "7 tasks wait, and worker@a is at work on earlier ones",
        ),
        ({"last_by_worker": {"worker@a": LONG_AGO}}, "At risk", "the scheduler (beat)"),
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
    down = health(depths={"refresh": 1}, last_by_worker={"worker@a": LONG_AGO})
    assert "14:02\u00a0UTC" in verdict_on(down).reason


@pytest.mark.django_db
def test_the_dashboard_begins_with_it(client, monkeypatch):
    RankerVersionFactory(live=True)
    TaskResult.objects.create(task_id="1", worker="worker@a", status="SUCCESS")
    monkeypatch.setattr("recommendations.admin.health.queue_depths", lambda: {"refresh": 0})  # the outer edge
    assert set(read_health(NOW).last_by_worker) == {"worker@a"}
    client.force_login(UserFactory(operator=True))
    first = client.get(reverse("admin:index")).context["cards"][0]
    assert first.title == "Health"
    assert not first.is_alert
