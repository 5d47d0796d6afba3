"""The beat timetable as it is installed: one sentence per entry.

``install_schedule`` copies what is missing into the database after every migration. From then on the database is what
counts: operators change times there, and switch an entry off rather than delete it.
"""

from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask


@dataclass(frozen=True)
class Every:
    seconds: int


@dataclass(frozen=True)
class Daily:
    hour: int
    minute: int


@dataclass(frozen=True)
class Entry:
    name: str
    sentence: str
    task: str
    when: Every | Daily


TIMETABLE = [
    Entry(
        "Refresh stale preferences",
        "Every 30 seconds: repair preferences that are behind the log because a broker or worker was away.",
        "recommendations.refresh_stale_preferences",
        Every(30),
    ),
    Entry(
        "Settle attributions",
        "Every minute: check the events that arrived before the list they name was written.",
        "recommendations.settle_attributions",
        Every(60),
    ),
    Entry(
        "Release events",
        "Every minute: record the events whose listing has come, and remove those that have waited too long for one.",
        "recommendations.release_events",
        Every(60),
    ),
    Entry(
        "Refresh the feed",
        "Every few seconds (FEED_REFRESH_SECONDS at installation): learn from the likes and dislikes of the feed.",
        "recommendations.refresh_feed",
        Every(settings.FEED_REFRESH_SECONDS),
    ),
    Entry(
        "Judge the feed",
        "Every hour: serve the feed's kept fit where what it learned since is shown to be worse.",
        "recommendations.judge_feed",
        Every(3600),
    ),
    Entry(
        "Embed missing listings",
        "Every minute: make the listing vectors that a lost task left out.",
        "recommendations.embed_missing_listings",
        Every(60),
    ),
    Entry(
        "Look for bots",
        "Every two minutes: mark visitors who are programs, and leave their events out of learning and demand.",
        "recommendations.look_for_bots",
        Every(120),
    ),
    Entry(
        "Watch experiments",
        "Every five minutes: start, read and end experiments, and stop variants that harm.",
        "recommendations.watch_experiments",
        Every(300),
    ),
    Entry(
        "Count exposure",
        "Every five minutes: count by day what lists showed of each seller, and what became of it.",
        "recommendations.count_exposure",
        Every(300),
    ),
    Entry(
        "Retrain",
        "Every night at 03:15 UTC: learn from what happened, and put the new version live when it is not worse.",
        "recommendations.scheduled_retrain",
        Daily(3, 15),
    ),
    Entry(
        "Expire old listings",
        "Every ten minutes: take listings off sale that have been there for longer than the site allows.",
        "catalog.expire_listings",
        Every(600),
    ),
    Entry(
        "Resume jobs",
        "Every minute: resume trainings, imports and other jobs whose process was killed.",
        "maintenance.resume_jobs",
        Every(60),
    ),
    Entry(
        "Run feeds",
        "Every minute: fetch the files of suppliers whose time has come, and write about feeds in trouble.",
        "catalog.run_feeds",
        Every(60),
    ),
    Entry(
        "Pass on news of listings",
        "Every two seconds: write the webhooks and alerts of what happened to listings, and enqueue them.",
        "catalog.pass_on_news",
        Every(2),
    ),
    Entry(
        "Deliver webhooks",
        "Every five seconds: deliver the webhooks whose next attempt is due.",
        "webhooks.deliver_due",
        Every(5),
    ),
    Entry(
        "Send waiting alerts",
        "Every minute: send the alerts that caps or quiet hours delayed, and e-mail that failed.",
        "recommendations.send_due_alerts",
        Every(60),
    ),
    Entry(
        "Sweep alerts",
        "Every night at 04:55 UTC: remove alerts that were sent long ago.",
        "recommendations.sweep_alerts",
        Daily(4, 55),
    ),
    Entry(
        "Sweep webhooks",
        "Every night at 04:50 UTC: remove webhooks after their days (WEBHOOK_DAYS_KEPT).",
        "webhooks.sweep",
        Daily(4, 50),
    ),
    Entry(
        "Sweep imports",
        "Every night at 04:45 UTC: remove uploaded files, and what is needed to undo imports, after their days.",
        "catalog.sweep_imports",
        Daily(4, 45),
    ),
    Entry(
        "Probe the loop",
        "Every minute: follow an event of our own through the whole product, and note in the metrics how long it took.",
        "maintenance.probe_loop",
        Every(60),
    ),
    Entry(
        "Measure data quality",
        "Every night at 05:00 UTC: count what is missing, odd, double or stale in the stock.",
        "catalog.scheduled_quality",
        Daily(5, 0),
    ),
    Entry(
        "Sweep listing changes",
        "Every ten minutes: remove lines of the change log that every process has read.",
        "maintenance.sweep_listing_changes",
        Every(600),
    ),
    Entry(
        "Check the data",
        "Every night at 05:00 UTC: look for rows that should not be there, and note in the metrics how many there are.",
        "maintenance.check_data",
        Daily(5, 0),
    ),
    Entry(
        "Make months",
        "Every night at 01:10 UTC: make the months to come of events, impressions and lists, which are kept by month.",
        "maintenance.make_months",
        Daily(1, 10),
    ),
    Entry(
        "Remove old rows",
        "Every night at 01:30 UTC: remove events, lists, jobs and other rows that are older than KEEP_…_DAYS allow.",
        "maintenance.remove_old_rows",
        Daily(1, 30),
    ),
    Entry(
        "Sweep expired tokens",
        "Every night at 04:30 UTC: remove refresh tokens that have expired, with their revocations.",
        "maintenance.sweep_tokens",
        Daily(4, 30),
    ),
]


# What earlier releases installed and this one has no task for.
RETIRED_TASKS = [
    "recommendations.resume_trainings",
    "recommendations.resume_demo_markets",
    "catalog.resume_imports",
]


def install_schedule() -> None:
    """Create the entries that are not in the database yet; those that are stay as the operator left them."""
    PeriodicTask.objects.filter(task__in=RETIRED_TASKS).delete()
    for entry in TIMETABLE:
        if not PeriodicTask.objects.filter(name=entry.name).exists():
            PeriodicTask.objects.create(
                name=entry.name, task=entry.task, description=entry.sentence, **timing(entry.when)
            )


def install_after_migration(app_config: AppConfig, **kwargs: Any) -> None:
    """The timetable goes into the database once its tables are there."""
    if app_config.name == "django_celery_beat":
        install_schedule()


def timing(when: Every | Daily) -> dict[str, Any]:
    """The schedule fields of a periodic task. A run that no worker took before the next one is due is dropped."""
    if isinstance(when, Every):
        interval, _ = IntervalSchedule.objects.get_or_create(every=when.seconds, period=IntervalSchedule.SECONDS)
        return {"interval": interval, "expire_seconds": when.seconds}
    crontab, _ = CrontabSchedule.objects.get_or_create(
        hour=str(when.hour), minute=str(when.minute), timezone=settings.TIME_ZONE
    )
    return {"crontab": crontab}
