"""One verdict on the dashboard: healthy, or what is wrong, since when, and the step to take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db.models import Max
from django.urls import reverse
from django_celery_beat.models import PeriodicTask
from django_celery_results.models import TaskResult

from console.dashboard.cards import Card
from console.dashboard.registry import show
from console.formats import clock, span
from jobs.broker import Worker, queue_depths, workers_alive
from jobs.outcomes import outcomes_of
from jobs.pulse import Pulse, pulses_of
from recommendations.admin.ranking_cards import waiting_since
from recommendations.models import FeedJudgement, RankerVersion
from recommendations.upkeep.consistency import RESULT

QUIET = timedelta(minutes=3)  # the timetable has work for a worker twice a minute
GONE = timedelta(seconds=75)  # workers say four times a minute that they live
PATIENCE = timedelta(minutes=2)  # for a preference that waits for its worker


@dataclass(frozen=True)
class Health:
    """The facts from which the verdict is made.

    Attributes:
        now: When it was asked.
        is_trained: Whether a ranker is live.
        waiting: When the first unseen event of each buyer arrived whose preference is behind the log.
        depths: Tasks that wait, by queue; None where the broker does not answer.
        pulses: The last sign of life from the workers of each queue.
        ended: When a worker ended a task last.
        scheduled: When the scheduler (beat) handed a task out last.
        busy: Workers that are at work before what waits; asked, which takes a second, only where work waits and none
            was ended lately.
        n_wrong: Kinds of rows that the nightly consistency check found wrong.
        is_feed_held: Whether the feed serves what it had learned earlier.
    """

    now: datetime
    is_trained: bool
    waiting: tuple[datetime, ...] = ()
    depths: Mapping[str, int] | None = None
    pulses: Mapping[str, Pulse] | None = None
    ended: datetime | None = None
    scheduled: datetime | None = None
    busy: tuple[str, ...] = ()
    n_wrong: int = 0
    is_feed_held: bool = False

    @property
    def n_waiting(self) -> int:
        return sum((self.depths or {}).values())


@dataclass(frozen=True)
class Verdict:
    """The state in one word, its reason, and the step to take (empty when healthy)."""

    word: str
    reason: str
    step: str = ""
    to: str = "admin:task_queues"


FIRST_STEP = "Train the first, as soon as there are cars."


def verdict_on(health: Health) -> Verdict:
    """The most severe problem, or healthy."""
    if not health.is_trained:
        to = "admin:recommendations_rankerversion_changelist"  # which viewers may open, and has the button
        return Verdict("Not trained", "no ranker is live, so every buyer gets the newest cars", FIRST_STEP, to)
    for check in (broker_away, worker_down, worker_stuck, scheduler_down, behind, feed_held, rows_wrong):
        if verdict := check(health):
            return verdict
    return Verdict("Healthy", "preferences follow the log, workers answer, the live ranker serves")


def word_for(health: Health) -> str:
    """“Stale” where a stored preference is behind the log, else “At risk”; lists stay right, since reads recompute."""
    return "Stale" if health.waiting else "At risk"


def broker_away(health: Health) -> Verdict | None:
    if health.depths is not None:
        return None
    step = "Start Redis (or RabbitMQ) again; look at CELERY_BROKER_URL."
    since = f"; the last task ended {clock(health.ended)}" if health.ended else ""
    return Verdict(word_for(health), f"the broker does not answer{since}", step)


def worker_down(health: Health) -> Verdict | None:
    """A queue without a live worker; of several, the one whose worker was seen last."""
    pulses = health.pulses or {}
    dead = [name for name in settings.QUEUES if name not in pulses or health.now - pulses[name].seen_at > GONE]
    if not dead:
        return None
    known = [name for name in dead if name in pulses]
    last = max((pulses[name] for name in known), key=lambda pulse: pulse.seen_at, default=None)
    queues = [name for name in dead if last is None or (name in pulses and pulses[name].worker == last.worker)]
    names = " and ".join(f"“{name.rpartition('.')[2]}”" for name in queues)
    waiting = sum((health.depths or {}).get(name, 0) for name in queues)
    who = f"worker {last.worker} is down since {clock(last.seen_at)}" if last else "no worker has run yet"
    reason = f"{who}, and no other takes from {names}, where {tasks_wait(waiting)}"
    service = last.worker.partition("@")[0] if last else "worker"
    step = f"Start it again: “docker compose up -d {service}”, or “make run”. What waits is worked off by itself."
    return Verdict(word_for(health), reason, step)


def worker_stuck(health: Health) -> Verdict | None:
    """Tasks wait and no task has ended for some time, though workers are alive."""
    if not is_old(health.ended, health.now) or not health.n_waiting:
        return None
    if health.busy:
        reason = f"{tasks_wait(health.n_waiting)}, and {', '.join(health.busy)} is at work on earlier ones"
        step = "After a start or a promotion that ends by itself; where it is so often, raise WORKER_PROCESSES."
        return Verdict("Catching up", reason, step)
    since = f"since {clock(health.ended)}" if health.ended else "yet"
    reason = f"{tasks_wait(health.n_waiting)}, and the workers, though they live, have ended none {since}"
    return Verdict(word_for(health), reason, "Restart the workers: “docker compose restart worker”, or “make run”.")


def scheduler_down(health: Health) -> Verdict | None:
    """Celery beat has enqueued nothing for some time."""
    if not is_old(health.scheduled, health.now):
        return None
    since = f"since {clock(health.scheduled)}" if health.scheduled else "yet"
    step = "Start it again: “docker compose up -d beat”, or “make run”."
    return Verdict(word_for(health), f"the scheduler (beat) has handed nothing out {since}", step)


def behind(health: Health) -> Verdict | None:
    if not health.waiting or health.now - min(health.waiting) <= PATIENCE:
        return None
    n, waited = len(health.waiting), span(health.now - min(health.waiting))
    reason = f"the preferences of {n:,} buyers are behind the log, the first for {waited}, though workers answer"
    return Verdict("Stale", reason, "Give the queue “refresh” more workers, or look at the job results for failures.")


def feed_held(health: Health) -> Verdict | None:
    if not health.is_feed_held:
        return None
    step = "Look for odd traffic among its likes; what is learned is served again once it is as good, or at your word."
    to = "admin:recommendations_feedjudgement_changelist"
    return Verdict("Look at it", "what the feed learned lately is worse than before, so the kept fit serves", step, to)


def rows_wrong(health: Health) -> Verdict | None:
    if not health.n_wrong:
        return None
    reason = f"the nightly check found {health.n_wrong} kinds of rows that disagree"
    return Verdict("Look at it", reason, "“manage.py check_data” names them, and what repairs each.")


def tasks_wait(n: int) -> str:
    return "1 task waits" if n == 1 else f"{n:,} tasks wait"


def is_old(moment: datetime | None, now: datetime) -> bool:
    return moment is None or now - moment > QUIET


def read_health(now: datetime) -> Health:
    """A handful of queries, none of which grows with the log."""
    live = RankerVersion.objects.live()
    beats = PeriodicTask.objects.filter(enabled=True)
    outcomes = outcomes_of(beats.values_list("name", flat=True))  # most tasks leave no other trace
    stored = TaskResult.objects.aggregate(last=Max("date_done"))["last"]
    ended = [outcome.ended_at for outcome in outcomes.values()] + ([stored] if stored else [])
    found = cache.get(RESULT) or {}
    health = Health(
        now=now,
        is_trained=live is not None,
        waiting=tuple(waiting_since(live, now)) if live else (),
        depths=queue_depths(),
        pulses=pulses_of(settings.QUEUES),
        ended=max(ended, default=None),
        scheduled=beats.aggregate(last=Max("last_run_at"))["last"],
        n_wrong=sum(1 for n in found.values() if n) if isinstance(found, Mapping) else 0,
        is_feed_held=FeedJudgement.objects.filter(is_holding=True).exists(),
    )
    if health.n_waiting and is_old(health.ended, now):
        return replace(health, busy=busy_with(health.depths or {}, workers_alive()))
    return health


def busy_with(depths: Mapping[str, int], workers: Iterable[Worker]) -> tuple[str, ...]:
    """Names of the workers that are running a task and take from a queue with waiting tasks."""
    waiting = {queue for queue, n in depths.items() if n}
    return tuple(worker.name for worker in workers if worker.running and waiting & set(worker.queues))


@show(order=0)
def health_card(now: datetime) -> Iterator[Card]:
    verdict = verdict_on(read_health(now))
    note = f"{verdict.reason[0].upper()}{verdict.reason[1:]}. {verdict.step}".strip()
    yield Card("Health", verdict.word, note, reverse(verdict.to), RankerVersion, is_alert=verdict.word != "Healthy")
