"""The states of a job, for every kind of job there is."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.utils import timezone

from jobs.models import MAX_CRASHES, Job
from jobs.work import (
    CRASHED,
    CRASHED_TOO_OFTEN,
    TOOK_TOO_LONG,
    Attempt,
    JobCancelled,
    cancel,
    claim,
    job_models,
    perform,
    requeue,
    resume_jobs,
)
from recommendations.models import TasteMap
from tests.admin_rows import ROW_OF

pytestmark = pytest.mark.django_db


@pytest.fixture(params=job_models(), ids=lambda model: model._meta.label)
def job(request) -> Job:
    """A queued job of each kind."""
    row = ROW_OF[request.param]()
    type(row).objects.filter(pk=row.pk).update(status="queued", heartbeat_at=None, created_at=timezone.now())
    row.refresh_from_db()
    return row


def let_heartbeat_time_out(job: Job) -> None:
    """As if its process had crashed, or its message were lost, a long time ago."""
    long_ago = timezone.now() - 2 * job.HEARTBEAT_TIMEOUT
    type(job).objects.filter(pk=job.pk).update(heartbeat_at=long_ago, created_at=long_ago)


def can_be_begun_again(job: Job) -> bool:
    return type(job).objects.filter(job.RESUMABLE, pk=job.pk).exists()


def failing(error: BaseException):
    def fail(attempt: Attempt) -> None:
        raise error

    return fail


def test_a_job_is_taken_once_and_what_it_reports_is_on_its_row(job):
    attempt = claim(type(job), job.pk)
    assert attempt is not None
    assert claim(type(job), job.pk) is None
    attempt.report(0.25, "a quarter")
    job.refresh_from_db()
    assert (job.status, job.attempt, job.progress, job.step) == ("running", 1, 0.25, "a quarter")
    attempt.finish()
    job.refresh_from_db()
    assert (job.status, job.progress, job.finished_at is None) == ("done", 1, False)
    assert claim(type(job), job.pk) is None


def test_a_process_that_was_taken_for_dead_writes_nothing_once_another_has_the_job(job):
    first = claim(type(job), job.pk)
    let_heartbeat_time_out(job)
    second = claim(type(job), job.pk)
    assert (first.number, second.number) == (1, 2)
    for write in (lambda: first.report(0.9, "late"), first.finish, lambda: first.write(error="late")):
        with pytest.raises(JobCancelled):
            write()
    second.report(0.1, "begun again")
    job.refresh_from_db()
    assert (job.status, job.progress, job.error, job.n_died) == ("running", 0.1, "", 1)


def test_a_process_that_was_cancelled_writes_nothing_to_a_job_that_was_queued_again(job):
    """Nor once another has it: a number that began anew would let it."""
    first = claim(type(job), job.pk)
    assert cancel(job)
    assert requeue(type(job).objects.filter(pk=job.pk))
    with pytest.raises(JobCancelled):
        first.report(0.9, "late")
    second = claim(type(job), job.pk)
    assert second.number == first.number + 1
    with pytest.raises(JobCancelled):
        first.finish()


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs_and_not_after_its_end(job):
    assert cancel(job)
    assert claim(type(job), job.pk) is None
    assert not cancel(job)
    assert requeue(type(job).objects.filter(pk=job.pk))

    def work(attempt: Attempt) -> None:
        assert cancel(job)
        attempt.report(0.5, "half")

    assert not perform(type(job), job.pk, work)
    job.refresh_from_db()
    assert (job.status, job.progress) == ("cancelled", 0)


def test_a_process_that_receives_a_stop_signal_leaves_the_job_in_the_queue(job):
    with pytest.raises(SystemExit):
        perform(type(job), job.pk, failing(SystemExit()))
    job.refresh_from_db()
    assert (job.status, job.n_died) == ("queued", 0)
    assert perform(type(job), job.pk, lambda attempt: attempt.finish())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no such thing"), "no such thing"),
        (KeyError(), "KeyError"),
        (SoftTimeLimitExceeded(), TOOK_TOO_LONG),
    ],
)
def test_what_went_wrong_is_on_the_row_and_raised(job, error, message):
    with pytest.raises(type(error)):
        perform(type(job), job.pk, failing(error))
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", message)


def test_a_refusal_is_on_the_row_and_not_raised(job):
    assert not perform(type(job), job.pk, failing(ValueError("too small")), refusals=(ValueError,))
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "too small")


def test_a_job_whose_process_died_is_handed_to_another_or_fails_with_the_reason(job, queued):
    claim(type(job), job.pk)
    resume_jobs(timezone.now())
    assert queued == []
    let_heartbeat_time_out(job)
    resume_jobs(timezone.now())
    job.refresh_from_db()
    if can_be_begun_again(job):
        assert queued == [(job.TASK, job.pk)]
        assert job.status == "running"
    else:
        assert queued == []
        assert (job.status, job.error) == ("interrupted", CRASHED)


def test_a_job_that_kills_every_process_is_not_begun_for_ever(job, queued):
    if not can_be_begun_again(job):
        return
    for _ in range(MAX_CRASHES):
        assert claim(type(job), job.pk)
        let_heartbeat_time_out(job)
    resume_jobs(timezone.now())
    job.refresh_from_db()
    assert (job.status, job.error, queued) == ("failed", CRASHED_TOO_OFTEN, [])


def test_a_job_that_the_broker_lost_is_handed_over_again_and_not_every_minute(job, queued):
    resume_jobs(timezone.now())
    assert queued == []
    let_heartbeat_time_out(job)
    for minute in range(2):
        resume_jobs(timezone.now() + timedelta(seconds=minute))
    assert queued == ([(job.TASK, job.pk)] if can_be_begun_again(job) else [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_process_that_waits_for_another_to_take_a_silent_job_does_not_get_it_too(status):
    """Also one that waited for long, which the broker and the resume task may both have handed over."""
    long_ago = timezone.now() - timedelta(hours=1)
    waiting = TasteMap.objects.create(status=status, heartbeat_at=long_ago, created_at=long_ago)

    def take() -> Attempt | None:
        try:
            return claim(TasteMap, waiting.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert claim(TasteMap, waiting.pk) is not None
            second = pool.submit(take)
            while not waits_for_a_lock():
                time.sleep(0.01)
        assert second.result() is None
    waiting.refresh_from_db()
    assert waiting.attempt == 1


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]
