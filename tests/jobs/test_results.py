"""Results of tasks outlive a restart of the database, and no task or worker is lost with one that cannot be stored."""

import pytest
from celery import states
from celery.exceptions import TimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection
from django_celery_results.models import TaskResult

from jobs.results import ResultBackend
from recommender_site.celery import app

MARKS = {
    states.REVOKED: lambda backend, task_id: backend.mark_as_revoked(task_id, "expired"),
    states.FAILURE: lambda backend, task_id: backend.mark_as_failure(task_id, TimeLimitExceeded(1)),
    states.SUCCESS: lambda backend, task_id: backend.mark_as_done(task_id, 7),
    states.STARTED: lambda backend, task_id: backend.mark_as_started(task_id, pid=1),
}


@pytest.fixture
def backend():
    return ResultBackend(app, url="")


def test_the_site_stores_its_results_with_it():
    assert isinstance(app.backend, ResultBackend)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", MARKS)
def test_a_result_is_stored_over_a_new_connection_where_the_old_one_is_broken(status, backend):
    connection.ensure_connection()
    connection.connection.close()  # as after a restart of the server
    MARKS[status](backend, "t-1")
    assert TaskResult.objects.get(task_id="t-1").status == status


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("outage", [OperationalError, InterfaceError])
@pytest.mark.parametrize("status", MARKS)
def test_a_database_that_stays_away_costs_the_record_alone(status, outage, backend, caplog):
    def refuse(*args):
        raise outage("no answer")

    with connection.execute_wrapper(refuse):
        MARKS[status](backend, "t-2")
    assert "the result of task t-2" in caplog.text
    assert not TaskResult.objects.exists()


@pytest.mark.django_db
def test_within_a_transaction_the_caller_learns_that_it_is_lost(backend):
    def refuse(*args):
        raise OperationalError("no answer")

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        backend.mark_as_done("t-3", 7)
