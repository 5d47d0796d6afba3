"""Celery tasks of recommendations."""

from celery import shared_task
from django.utils import timezone

from jobs.limits import LONG, RETRY, SHORT
from jobs.queue import taken_up
from recommendations.alerts import mail, sending
from recommendations.buyers import refresh
from recommendations.evaluation import experiment_watch
from recommendations.evaluation.runs import run_evaluation
from recommendations.events import attribution, bots, impressions, waiting
from recommendations.feed.fitting import REQUESTED_IDLE_FACTOR, REQUESTED_TASK, refresh_fit
from recommendations.feed.judging import judge_feed
from recommendations.insight import seller_days
from recommendations.insight.maps import run_map
from recommendations.insight.offline_test_runs import run_offline_test
from recommendations.listings import embedding
from recommendations.simulation.seeding import run_seeding
from recommendations.training.runs import run_training, start_training


@shared_task(name="recommendations.refresh_preferences", ignore_result=True, **SHORT, **RETRY)
def refresh_preferences_task(buyer_id: int) -> None:
    """Bring one buyer's preference up to date; free when another task, or a read, already did."""
    taken_up("recommendations.refresh_preferences", buyer_id)
    refresh.refresh_preferences(buyer_id=buyer_id)


@shared_task(name="recommendations.refresh_stale_preferences", ignore_result=True, soft_time_limit=300, time_limit=330)
def refresh_stale_preferences_task() -> None:
    """Repair what signals, brokers or workers lost: preferences behind the log."""
    refresh.refresh_stale_preferences()


@shared_task(name="recommendations.settle_attributions", ignore_result=True, soft_time_limit=300, time_limit=330)
def settle_attributions_task() -> None:
    """Judge the events that arrived before the list they name; look whether impressions still come in."""
    attribution.settle(timezone.now())
    impressions.end_counting(timezone.now())


@shared_task(name="recommendations.release_events", ignore_result=True, soft_time_limit=300, time_limit=330)
def release_events_task() -> None:
    """Record the events whose listing has come, where the process that stored it did not; remove those too old."""
    waiting.release_all()
    waiting.sweep(timezone.now())


@shared_task(name="recommendations.look_for_bots", ignore_result=True, soft_time_limit=110, time_limit=115)
def look_for_bots_task() -> None:
    """Mark buyers who are programs, and remove where guests of yesterday came from."""
    bots.look_for_bots()


@shared_task(name="recommendations.renew_preferences", ignore_result=True, soft_time_limit=1200, time_limit=1230)
def renew_preferences_task(version_id: int) -> None:
    """After a promotion: the preferences of all who were active lately, the latest first."""
    refresh.renew_preferences(version_id=version_id)


@shared_task(name="recommendations.embed_listings", ignore_result=True, soft_time_limit=300, time_limit=330, **RETRY)
def embed_listings_task(listing_ids: list[int]) -> None:
    """Make the vectors of new or changed listings."""
    embedding.embed_listings(listing_ids)


@shared_task(name="recommendations.embed_missing_listings", ignore_result=True, soft_time_limit=600, time_limit=630)
def embed_missing_listings_task() -> None:
    """Repair what signals missed: live listings without a vector."""
    embedding.embed_missing_listings()


@shared_task(name="recommendations.retrain", **LONG)
def retrain_task(run_id: int) -> str:
    """Train a ranker version; a run that was started already is left to the process that has it."""
    return str(run_training(run_id=run_id))


@shared_task(name="recommendations.scheduled_retrain", ignore_result=True, **LONG)
def scheduled_retrain_task() -> None:
    """The nightly training; bots of the last day are looked for first, should the periodic task have missed them."""
    bots.look_for_bots(within=bots.A_DAY)
    run_training(run_id=start_training().pk)


@shared_task(name="recommendations.evaluate", **LONG)
def evaluate_task(evaluation_id: int) -> str:
    """Measure a ranker beside the baselines; one that was started already is left to the process that has it."""
    return str(run_evaluation(evaluation_id=evaluation_id))


@shared_task(name="recommendations.draw_map", **LONG)
def draw_map_task(map_id: int) -> str:
    """Draw a map of the stock by t-SNE; one that was started already is left to the process that has it."""
    return str(run_map(map_id=map_id))


@shared_task(name="recommendations.try_weights", **LONG)
def try_weights_task(offline_test_id: int) -> str:
    """Test weights or rules on what buyers did; a test that was started already is left to the process that has it."""
    return str(run_offline_test(offline_test_id=offline_test_id))


@shared_task(name="catalog.seed_marketplace", **LONG)
def seed_marketplace_task(seed_run_id: int) -> str:
    """Fill the site with made-up stock, buyers and events."""
    return str(run_seeding(seed_run_id=seed_run_id))


@shared_task(name="recommendations.send_alerts", ignore_result=True, soft_time_limit=120, time_limit=150, **RETRY)
def send_alerts_task(buyer_ids: list[int]) -> None:
    """Send to these buyers the cars that wait for them."""
    sending.send_alerts(buyer_ids, timezone.now())


@shared_task(name="recommendations.send_due_alerts", ignore_result=True, soft_time_limit=120, time_limit=150)
def send_due_alerts_task() -> None:
    """Send alerts delayed by caps, quiet hours or a lost task; enqueue e-mail that is due again."""
    sending.send_alerts(sending.buyers_waiting(), timezone.now())
    mail.mail_due(timezone.now())


@shared_task(name="recommendations.mail_alert", ignore_result=True, **SHORT, **RETRY)
def mail_alert_task(message_id: str) -> None:
    """Send one alert by e-mail; free when it was sent."""
    mail.mail_alert(message_id, timezone.now())


@shared_task(name="recommendations.sweep_alerts", ignore_result=True, soft_time_limit=600, time_limit=630, **RETRY)
def sweep_alerts_task() -> None:
    """Remove what was sent long ago."""
    sending.sweep(timezone.now())


@shared_task(name="recommendations.refresh_feed", ignore_result=True, **SHORT)
def refresh_feed_task() -> None:
    """Learn from the likes and dislikes of the feed; free when nothing happened, and at most a tenth of the time."""
    refresh_fit()


@shared_task(name=REQUESTED_TASK, ignore_result=True, runs_by_schedule=False, **SHORT)
def refresh_feed_when_asked_task() -> None:
    """Learn from likes and dislikes that just came; at most a fortieth of the time."""
    taken_up(REQUESTED_TASK)
    refresh_fit(idle_factor=REQUESTED_IDLE_FACTOR)


@shared_task(name="recommendations.judge_feed", ignore_result=True, soft_time_limit=600, time_limit=630, **RETRY)
def judge_feed_task() -> None:
    """Hold what the feed learned lately against the fit that was kept; free where nothing was liked."""
    judge_feed()


@shared_task(name="recommendations.watch_experiments", ignore_result=True, soft_time_limit=270, time_limit=290)
def watch_experiments_task() -> None:
    """Start, read and end experiments, and stop what harms."""
    experiment_watch.watch()


@shared_task(name="recommendations.measure_experiment", ignore_result=True, soft_time_limit=270, time_limit=290)
def measure_experiment_task(experiment_id: int) -> None:
    """Read what became of the buyers of one experiment; free where it is gone."""
    experiment_watch.measure_by_id(experiment_id)


@shared_task(name="recommendations.count_exposure", ignore_result=True, soft_time_limit=270, time_limit=290)
def count_exposure_task() -> None:
    """Count by day what lists showed of each seller; days that are counted already cost nothing."""
    seller_days.count_exposure()
