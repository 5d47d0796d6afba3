"""Two processes of beat: one sends, the other stands by and takes over; no entry is sent twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from celery.beat import Scheduler
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from catalog.models import ListingNews
from jobs.leader import STANDBY_SECONDS, LeaderScheduler, Leadership, has_work
from recommender_site.celery import app
from tests.factories import ListingFactory
from webhooks.kinds import Kind
from webhooks.models import Endpoint
from webhooks.publishing import Event, publish

pytestmark = pytest.mark.django_db(transaction=True)  # the scheduler closes connections between two looks


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """The names of tasks that any scheduler sends, instead of their messages."""
    names: list[str] = []
    monkeypatch.setattr(Scheduler, "apply_entry", lambda self, entry, producer=None: names.append(entry.name))
    monkeypatch.setattr(LeaderScheduler, "producer", None)
    return names


def long_ago() -> datetime:
    return timezone.now() - timedelta(days=2)


def make_due(**fields) -> None:
    PeriodicTask.objects.filter(**fields).update(last_run_at=long_ago())


def two_beats() -> list[LeaderScheduler]:
    """Two processes of beat, and schedules that have been due for a long time, or never ran."""
    PeriodicTask.objects.all().delete()
    each_hour, _ = IntervalSchedule.objects.get_or_create(every=3600, period=IntervalSchedule.SECONDS)
    nightly, _ = CrontabSchedule.objects.get_or_create(hour="4", minute="0")
    for name, when in [("Each hour", {"interval": each_hour}), ("Never ran", {"interval": each_hour})]:
        PeriodicTask.objects.create(name=name, task="maintenance.resume_jobs", **when)
    PeriodicTask.objects.create(name="Each night", task="maintenance.sweep_tokens", crontab=nightly)
    make_due(name="Each hour")
    make_due(name="Each night")
    PeriodicTask.objects.filter(name="Never ran").update(date_changed=long_ago())
    return [LeaderScheduler(app=app), LeaderScheduler(app=app)]


@pytest.fixture
def beats():
    both = two_beats()
    yield both
    for each in both:
        each.leadership.release()


def tick(scheduler: LeaderScheduler, n_times: int = 8) -> float:
    """As beat's loop does: look at each entry, and write down what was sent."""
    seconds = 0.0
    for _ in range(n_times):
        seconds = scheduler.tick()
    scheduler.sync()
    return seconds


def wait_until(condition: Callable[[], bool]) -> None:
    """The server notices a moment later that a connection was closed."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it never came true")


def once_each(sent: list[str]) -> bool:
    counts = Counter(name for name in sent if name != "celery.backend_cleanup")
    return counts == {"Each hour": 1, "Never ran": 1, "Each night": 1}


def as_if_the_clock_was_set_back(scheduler: LeaderScheduler) -> None:
    """An hour: what ran or was changed just now did so an hour ahead, in the rows and in the memory of beat."""
    ahead = timezone.now() + timedelta(hours=1)
    PeriodicTask.objects.update(last_run_at=ahead, date_changed=ahead)
    PeriodicTask.objects.filter(name="Never ran").update(last_run_at=None)
    for entry in scheduler.schedule.values():
        entry.model.last_run_at = entry.last_run_at = ahead


def test_after_the_clock_was_set_back_all_run_again_after_their_interval(beats, sent):
    leader, _ = beats
    tick(leader)
    sent.clear()
    each_second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.exclude(interval=None).update(interval=each_second)
    leader.read_anew()
    as_if_the_clock_was_set_back(leader)
    for _ in range(30):
        tick(leader)
        time.sleep(0.1)
        if {"Each hour", "Never ran"} <= set(sent):
            break
    assert {"Each hour", "Never ran"} <= set(sent)
    assert "Each night" not in sent


def test_what_ran_ahead_of_the_clock_is_brought_back_once_and_not_at_each_look(beats, sent):
    """Entries are made anew from their rows every few minutes: an interval of an hour has to pass all the same."""
    leader, other = beats
    tick(leader)
    as_if_the_clock_was_set_back(leader)
    tick(other)
    assert PeriodicTask.objects.filter(last_run_at__gt=timezone.now()).exists()  # one that stands by changes nothing
    tick(leader)
    brought_back = PeriodicTask.objects.get(name="Each hour").last_run_at
    leader.read_anew()
    tick(leader)
    assert leader.schedule["Each hour"].last_run_at == brought_back <= timezone.now()
    never_ran = PeriodicTask.objects.get(name="Never ran")
    assert (never_ran.last_run_at, never_ran.date_changed <= timezone.now()) == (None, True)
    assert once_each(sent)


def test_an_operator_who_changes_a_schedule_after_the_clock_was_set_back_is_heard_at_once(beats, sent):
    leader, _ = beats
    PeriodicTasks.objects.update_or_create(ident=1, defaults={"last_update": timezone.now() + timedelta(hours=1)})
    tick(leader)
    PeriodicTask.objects.get(name="Each hour").delete()
    tick(leader, 1)
    assert "Each hour" not in leader.schedule


def test_one_that_stands_by_says_nothing_of_the_clock(beats, sent, caplog):
    leader, other = beats
    tick(leader)
    as_if_the_clock_was_set_back(other)
    tick(other)
    assert "set back" not in caplog.text


def test_of_two_one_sends_and_the_other_stands_by(beats, sent):
    leader, other = beats
    tick(leader)
    assert tick(other) == STANDBY_SECONDS
    assert once_each(sent)


def test_the_other_takes_over_and_does_not_send_again_what_was_sent(beats, sent):
    leader, other = beats
    tick(leader)
    tick(other)
    leader.close()
    wait_until(other.leadership.is_held)
    tick(other)
    assert once_each(sent)
    make_due(name="Each hour")
    other.read_anew()
    tick(other)
    assert sent.count("Each hour") == 2
    assert tick(leader) == STANDBY_SECONDS


def test_a_schedule_that_changes_between_two_looks_sends_nothing_again(sent):
    for n_ticks in (1, 2, 4):
        sent.clear()
        leader, _ = two_beats()
        tick(leader, n_ticks)
        PeriodicTasks.update_changed()
        tick(leader)
        PeriodicTasks.update_changed()
        leader._heap_invalidated = True  # what the base class leaves behind when a change is seen at its first look
        tick(leader)
        assert once_each(sent)
        leader.close()


def test_two_that_both_believe_to_lead_send_no_entry_twice(sent, monkeypatch):
    """As after a leader was suspended for longer than its lock lived."""
    monkeypatch.setattr(Leadership, "_ask", lambda leadership: bool(leadership._connect()))
    rng = random.Random(16)
    for _ in range(3):
        sent.clear()
        beats = two_beats()
        for each in beats:
            tick(each, rng.randrange(2))
        for _ in range(30):
            rng.choice(beats).tick()
            if rng.random() < 0.1:
                PeriodicTasks.update_changed()
        assert once_each(sent)
        row = PeriodicTask.objects.get(name="Each hour")
        assert row.total_run_count == 1
        assert row.last_run_at > timezone.now() - timedelta(minutes=1)
        for each in beats:
            each.close()


def test_a_leader_suspended_before_it_sends_does_not_send_what_the_next_one_sent(beats, sent, monkeypatch):
    leader, other = beats
    claim = Leadership.claim

    def overtaken(leadership: Leadership, entry) -> bool:
        monkeypatch.setattr(Leadership, "claim", claim)
        leadership._connection.close()  # the lock is lost here, and this process does not know
        wait_until(other.leadership.is_held)
        tick(other)
        return claim(leadership, entry)

    monkeypatch.setattr(Leadership, "claim", overtaken)
    tick(leader)
    assert once_each(sent)


def is_news() -> None:
    ListingNews.objects.all().delete()
    ListingFactory()


def is_delivery() -> None:
    publish([Event(kind=Kind.LISTING_SOLD, data={}, at=timezone.now())])


@pytest.mark.parametrize(
    ("task", "make_work"), [("catalog.pass_on_news", is_news), ("webhooks.deliver_due", is_delivery)]
)
def test_a_run_that_would_find_nothing_to_do_is_noted_and_not_sent(beats, sent, task, make_work):
    Endpoint.objects.create(name="ours", url="https://shop.example/hook", events=[Kind.LISTING_SOLD])
    ListingNews.objects.all().delete()
    PeriodicTask.objects.exclude(name="Each hour").delete()
    PeriodicTask.objects.update(task=task)
    for n_sent in (0, 1):
        PeriodicTask.objects.update(last_run_at=long_ago())
        PeriodicTasks.update_changed()
        tick(beats[0])
        assert sent == ["Each hour"] * n_sent
        assert PeriodicTask.objects.get().last_run_at > timezone.now() - timedelta(minutes=1)
        make_work()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])  # the second is of a connection that is closed
def test_a_look_for_work_that_the_database_does_not_answer_leaves_it_to_the_worker(monkeypatch, error):
    def away() -> bool:
        raise error("away")

    news = app.tasks["catalog.pass_on_news"]
    monkeypatch.setattr(type(news), "has_work", staticmethod(away))
    assert has_work(news)
    assert has_work(app.tasks["maintenance.sweep_tokens"]), "it does not say how to look"
    assert has_work(None)


def test_an_entry_switched_off_a_moment_ago_is_not_sent(beats, sent):
    leader, _ = beats
    leader.tick()
    PeriodicTask.objects.exclude(name__in=sent).update(enabled=False)  # noticed by no one yet
    n_sent = len(sent)
    for _ in range(5):
        leader.tick()
    assert len(sent) == n_sent


def test_a_leader_that_lost_its_connection_stops_sending_and_the_other_leads():
    first, second = Leadership(), Leadership()
    assert first.is_held()
    assert first.is_held()
    assert not second.is_held()
    first._connection.close()  # as when the network or the server goes
    assert not first.is_held()
    wait_until(second.is_held)
    assert not first.is_held()
    second.release()
    wait_until(first.is_held)
    first.release()


def test_a_database_that_is_away_has_no_leader(monkeypatch):
    nowhere = {"host": "127.0.0.1", "port": 1, "connect_timeout": 2}
    monkeypatch.setattr("jobs.leader.connection_parameters", lambda: nowhere)
    assert not Leadership().is_held()
