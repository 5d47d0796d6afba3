"""One verdict on the dashboard: healthy, or what is wrong, since when, and the step to take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.core.cache import cache
from django.urls import reverse
from django_celery_results.models import TaskResult

from console.dashboard.cards import Card
from console.dashboard.registry import show
from console.formats import clock, span
from jobs.broker import Worker, queue_depths, workers_alive
from recommendations.admin.ranking_cards import waiting_since
from recommendations.models import FeedJudgement, RankerVersion
from recommendations.upkeep.consistency import RESULT

QUIET = timedelta(minutes=3)  # the timetable has work for a worker twice a minute
PATIENCE = timedelta(minutes=2)  # for a preference that waits for its worker
RESULTS_READ = 2_000  # the newest


@dataclass(frozen=True)
class Health:
    """What the dashboard knows.

    Attributes:
        now: When it was asked.
        is_trained: Whether a ranker is live.
        waiting: When the first unseen event of each buyer arrived whose preference is behind the log.
        depths: Tasks that wait, by queue; None where the broker does not answer.
        last_by_worker: When each worker ended a task last.
        busy: Workers that are at work before what waits; asked, which takes a second, only where work waits and none
            was ended lately.
        n_wrong: Kinds of rows that the nightly consistency check found wrong.
        is_feed_held: Whether the feed serves what it had learned earlier.
    """

    now: datetime
    is_trained: bool
    waiting: tuple[datetime, ...] = ()
    depths: Mapping[str, int] | None = None
    last_by_worker: Mapping[str, datetime] | None = None
    busy: tuple[str, ...] = ()
    n_wrong: int = 0
    is_feed_held: bool = False

    @property
    def n_waiting(self) -> int:
        return sum((self.depths or {}).values())


@dataclass(frozen=True)
class Verdict:
    """In one word, the reason, and what to do; nothing to do where all is well."""

    word: str
    reason: str
    step: str = ""
    to: str = "admin:task_queues"


def verdict_on(health: Health) -> Verdict:
    """The first thing that is wrong, the gravest first."""
    if not health.is_trained:
        to = "admin:recommendations_trainingrun_add"
        return Verdict("Not trained", "no ranker is live, so every buyer gets the newest cars", "Train the first.", to)
    for check in (broker_away, worker_down, scheduler_down, behind, feed_held, rows_wrong):
        if verdict := check(health):
            return verdict
    return Verdict("Healthy", "preferences follow the log, workers answer, the live ranker serves")


def word_for(health: Health) -> str:
    """Lists stay right meanwhile, since reads repair what they need; other buyers' preferences get old."""
    return "Stale" if health.waiting else "At risk"


def broker_away(health: Health) -> Verdict | None:
    if health.depths is not None:
        return None
    step = "Start Redis (or RabbitMQ) again; look at CELERY_BROKER_URL."
    return Verdict(word_for(health), f"the broker does not answer{since_last(health)}", step)


def worker_down(health: Health) -> Verdict | None:
    """Work waits, and no worker has ended any of it for some time."""
    if not is_quiet(health) or not health.n_waiting:
        return None
    if health.busy:
        reason = f"{health.n_waiting:,} tasks wait, and {', '.join(health.busy)} is at work on earlier ones"
        step = "After a start or a promotion that ends by itself; where it is so often, raise WORKER_PROCESSES."
        return Verdict("Catching up", reason, step)
    worker, last = newest(health)
    who = f"worker {worker} is down since {clock(last)}" if last else "no worker has run yet"
    step = "Start it again: “docker compose up -d worker”, or “make run”. What waits is worked off by itself."
    return Verdict(word_for(health), who, step)


def scheduler_down(health: Health) -> Verdict | None:
    """Nothing waits, and nothing was ended: the timetable hands nothing out."""
    if not is_quiet(health):
        return None
    _, last = newest(health)
    since = f"since {clock(last)}" if last else "yet"
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


def is_quiet(health: Health) -> bool:
    _, last = newest(health)
    return last is None or health.now - last > QUIET


def newest(health: Health) -> tuple[str, datetime | None]:
    """The worker that ended something last, and when."""
    if not health.last_by_worker:
        return "", None
    return max(health.last_by_worker.items(), key=lambda one: one[1])


def since_last(health: Health) -> str:
    _, last = newest(health)
    return f"; the last task ended {clock(last)}" if last else ""


def read_health(now: datetime) -> Health:
    """A handful of queries, none of which grows with the log."""
    live = RankerVersion.objects.live()
    results = TaskResult.objects.exclude(worker=None).order_by("-date_done").values_list("worker", "date_done")
    last_by_worker: dict[str, datetime] = {}
    for worker, done in results[:RESULTS_READ]:
        if done is not None:
            last_by_worker.setdefault(worker, done)
    found = cache.get(RESULT) or {}
    health = Health(
        now=now,
        is_trained=live is not None,
        waiting=tuple(waiting_since(live, now)) if live else (),
        depths=queue_depths(),
        last_by_worker=last_by_worker,
        n_wrong=sum(1 for n in found.values() if n) if isinstance(found, Mapping) else 0,
        is_feed_held=FeedJudgement.objects.filter(is_holding=True).exists(),
    )
    if is_quiet(health) and health.n_waiting:
        return replace(health, busy=busy_with(health.depths or {}, workers_alive()))
    return health


def busy_with(depths: Mapping[str, int], workers: Iterable[Worker]) -> tuple[str, ...]:
    """The workers that take from a queue in which work waits, and are doing other work of theirs."""
    waiting = {queue for queue, n in depths.items() if n}
    return tuple(worker.name for worker in workers if worker.running and waiting & set(worker.queues))


@show(order=0)
def health_card(now: datetime) -> Iterator[Card]:
    verdict = verdict_on(read_health(now))
    note = f"{verdict.reason}. {verdict.step}".strip()
    yield Card("Health", verdict.word, note, reverse(verdict.to), RankerVersion, is_alert=verdict.word != "Healthy")
