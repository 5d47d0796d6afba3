import time

import pytest
from celery import shared_task
from django.conf import settings
from django.db import transaction
from kombu import Connection

from jobs import broker, queue
from jobs.queue import enqueue, enqueue_on_commit, enqueue_once_on_commit
from recommender_site.celery import app


@shared_task(name="tests.noted")
def noted(number: int) -> None:
    """Exists to be enqueued."""


@pytest.fixture(autouse=True)
def _no_pause():
    queue.breaker.close()


def waiting() -> int:
    """Tasks in the broker's default queue."""
    with app.connection_for_read() as connection:
        return connection.default_channel._size(app.conf.task_default_queue)


@pytest.fixture
def empty_queue():
    with app.connection_for_write() as connection:
        connection.default_channel.queue_purge(app.conf.task_default_queue)


@pytest.fixture
def broker_away(monkeypatch):
    """The same application, pointed at a socket where no process listens."""
    gone = Connection("redis+socket:///nonexistent/redis.sock")
    monkeypatch.setattr(app, "producer_or_acquire", lambda producer=None: gone.Producer(auto_declare=False))
    yield
    gone.release()


@pytest.mark.django_db(transaction=True)
def test_a_task_is_handed_over_after_the_commit_and_not_before(empty_queue):
    with transaction.atomic():
        enqueue_on_commit("tests.noted", 1)
        assert waiting() == 0
    assert waiting() == 1


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_undone_enqueues_nothing(empty_queue):
    with transaction.atomic():
        enqueue_on_commit("tests.noted", 1)
        transaction.set_rollback(True)
    assert waiting() == 0


@pytest.mark.django_db(transaction=True)
def test_of_tasks_that_look_at_all_there_is_one_waits_at_a_time(empty_queue):
    queue.taken_up("tests.noted", 7)
    for _ in range(3):
        enqueue_once_on_commit("tests.noted", 7)
    enqueue_once_on_commit("tests.noted", 8)
    assert waiting() == 2
    queue.taken_up("tests.noted", 7)
    enqueue_once_on_commit("tests.noted", 7)
    assert waiting() == 3
    for number in (7, 8):
        queue.taken_up("tests.noted", number)


@pytest.mark.django_db(transaction=True)
def test_one_that_the_broker_did_not_take_is_sent_the_next_time(queued, monkeypatch):
    with monkeypatch.context() as away:
        away.setattr(queue, "enqueue_named", lambda task, args: False)
        enqueue_once_on_commit("tests.noted", 9)
    enqueue_once_on_commit("tests.noted", 9)
    assert queued == [("tests.noted", 9)]
    queue.taken_up("tests.noted", 9)


@pytest.mark.django_db(transaction=True)
def test_one_whose_sender_was_interrupted_is_sent_the_next_time(queued, monkeypatch):
    def interrupted(task, args):
        raise SystemExit

    with monkeypatch.context() as away:
        away.setattr(queue, "enqueue_named", interrupted)
        with pytest.raises(SystemExit):
            enqueue_once_on_commit("tests.noted", 10)
    enqueue_once_on_commit("tests.noted", 10)
    assert queued == [("tests.noted", 10)]
    queue.taken_up("tests.noted", 10)


@pytest.mark.django_db(transaction=True)
def test_what_was_lost_delays_the_next_one_by_seconds(queued, monkeypatch):
    monkeypatch.setattr(queue, "WAITING_SECONDS", 1)
    for _ in range(2):
        enqueue_once_on_commit("tests.noted", 11)
    assert queued == [("tests.noted", 11)]
    time.sleep(1.1)
    enqueue_once_on_commit("tests.noted", 11)
    assert queued == [("tests.noted", 11)] * 2
    queue.taken_up("tests.noted", 11)


def test_an_unreachable_broker_causes_no_error(broker_away, caplog):
    assert enqueue("tests.noted", 1) is False
    assert "did not take tests.noted" in caplog.text


def test_after_a_failure_the_broker_is_left_alone_for_a_moment(broker_away, caplog):
    enqueue("tests.noted", 1)
    caplog.clear()
    assert enqueue("tests.noted", 2) is False
    assert not caplog.records


# --- Looking at the queues -------------------------------------------------------------------------------------------
def test_the_queues_tell_how_many_tasks_wait_and_which(empty_queue):
    enqueue("tests.noted", 1)
    enqueue("tests.noted", 2)
    depths = broker.queue_depths()
    assert depths is not None
    assert set(depths) == set(settings.QUEUES)
    assert depths[settings.DEFAULT_QUEUE] == 2
    waiting_now = broker.waiting_tasks(settings.DEFAULT_QUEUE)
    assert [(each.name, each.args) for each in waiting_now] == [("tests.noted", "(1,)"), ("tests.noted", "(2,)")]


def test_a_task_that_waits_can_be_taken_out_of_its_queue(empty_queue):
    enqueue("tests.noted", 1)
    enqueue("tests.noted", 2)
    first, second = broker.waiting_tasks(settings.DEFAULT_QUEUE)
    assert broker.drop_waiting(first.task_id)
    assert not broker.drop_waiting(first.task_id)
    assert broker.waiting_tasks(settings.DEFAULT_QUEUE) == [second]


def test_a_broker_that_is_away_has_no_depths_and_no_workers(monkeypatch):
    gone = "redis+socket:///nonexistent/redis.sock"
    monkeypatch.setattr(app, "connection_for_write", lambda **kwargs: Connection(gone))
    assert broker.queue_depths() is None
    assert broker.waiting_tasks(settings.DEFAULT_QUEUE) is None
    assert broker.workers_alive() == []
    assert not broker.drop_waiting("1")
