"""Schedules, results and queues, in plain words and with buttons that do what they say."""

import json
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_results.models import TaskResult
from kombu import Connection

from accounts.models import AuditEntry
from jobs import queue
from jobs.broker import waiting_tasks
from jobs.outcomes import KEPT_SECONDS, key_of
from jobs.queue import enqueue
from recommender_site.celery import app
from tasks.schedule import install_schedule
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

SCHEDULES = "admin:django_celery_beat_periodictask_changelist"
QUEUES = "/admin/django_celery_results/taskresult/queues/"


@pytest.fixture(autouse=True)
def _empty_queues():
    queue.breaker.close()
    with app.connection_for_write() as connection:
        for name in settings.QUEUES:
            app.amqp.queues[name](connection.default_channel).queue_declare()
            connection.default_channel.queue_purge(name)


@pytest.fixture
def broker_away(monkeypatch):
    gone = Connection("redis+socket:///nonexistent/redis.sock")
    monkeypatch.setattr(app, "producer_or_acquire", lambda producer=None: gone.Producer(auto_declare=False))
    monkeypatch.setattr(
        app, "connection_for_write", lambda **kwargs: Connection("redis+socket:///nonexistent/redis.sock")
    )
    yield
    gone.release()


def schedule(**fields) -> PeriodicTask:
    every, _ = IntervalSchedule.objects.get_or_create(every=600, period="seconds")
    return PeriodicTask.objects.create(
        **{"name": "Expire", "task": "catalog.expire_listings", "interval": every} | fields
    )


def result(**fields) -> TaskResult:
    return TaskResult.objects.create(
        **{"task_id": "1", "task_name": "catalog.import_file", "task_args": json.dumps("(7,)"), "status": "FAILURE"}
        | fields
    )


def press(client: Client, row, button: str):
    opts = row._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_{button}", args=[row.pk])
    answer = client.post(url, {"_form_submitted": "on"})
    return client.get(answer.headers["HX-Redirect"]) if "HX-Redirect" in answer.headers else answer


def said(client: Client, url: str = QUEUES) -> list[str]:
    return [str(message) for message in client.get(url).context["messages"]]


def waiting(queue: str = settings.DEFAULT_QUEUE) -> list[tuple[str, str]]:
    return [(task.name, task.args) for task in waiting_tasks(queue) or []]


# --- Schedules -------------------------------------------------------------------------------------------------------
def test_a_schedule_says_what_it_does_when_it_ran_how_it_ended_and_when_it_runs_next(operator: Client):
    install_schedule()
    ran_at = timezone.now() - timedelta(seconds=250)
    PeriodicTask.objects.filter(name="Expire old listings").update(last_run_at=ran_at)
    outcome = {"ended_at": ran_at, "is_success": True, "seconds": 0.3, "error": ""}
    cache.set(key_of("Expire old listings"), outcome, KEPT_SECONDS)
    failed = {"ended_at": ran_at, "is_success": False, "seconds": 4.0, "error": "ValueError: no cars"}
    cache.set(key_of("Retrain"), failed, KEPT_SECONDS)
    text = operator.get(reverse(SCHEDULES)).text.replace("\xa0", " ")
    assert "take listings off sale that have been there for longer than the site allows" in text
    assert "4 min ago" in text
    assert "in 0.3 s" in text
    assert "in 5 min" in text
    assert "ValueError: no cars" in text


def test_a_schedule_without_a_task_of_this_release_is_marked_and_cannot_be_switched_on(operator: Client):
    broken = schedule(task="gone.task", enabled=False)
    assert "This release has no task “gone.task”" in operator.get(reverse(SCHEDULES)).text
    operator.post(reverse(SCHEDULES), {"action": "switch_on", "_selected_action": [broken.pk]})
    assert "does not know their tasks: Expire" in said(operator)[0]
    broken.refresh_from_db()
    assert not broken.enabled


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": "gone.task"}, "There is no task “gone.task” in this release"),
        ({"task": "catalog.import_file"}, "missing a required argument: &#x27;run_id&#x27;"),
    ],
)
def test_a_schedule_that_could_never_run_is_refused_in_words(operator: Client, changes: dict, says: str):
    task = schedule()
    form = {
        "name": task.name, "task": task.task, "enabled": "on", "interval": task.interval_id, "description": "",
    }  # fmt: skip
    url = reverse("admin:django_celery_beat_periodictask_change", args=[task.pk])
    page = operator.post(url, form | changes)
    assert page.status_code == 200
    assert says in page.text
    assert operator.post(url, form).status_code == 302


@pytest.mark.parametrize(("given", "problem"), [("[1, 2]", "too many positional arguments"), ("[1", "like this")])
def test_arguments_that_do_not_fit_are_refused_until_a_task_is_chosen_anew(operator: Client, given, problem):
    task = schedule(args=given)
    url = reverse("admin:django_celery_beat_periodictask_change", args=[task.pk])
    form = {"name": task.name, "task": task.task, "enabled": "on", "interval": task.interval_id}
    assert problem in operator.post(url, form).text
    assert operator.post(url, {**form, "task": "catalog.run_feeds"}).status_code == 302
    task.refresh_from_db()
    assert (task.task, task.args, task.kwargs) == ("catalog.run_feeds", "[]", "{}")


def test_the_form_of_a_schedule_names_tasks_in_words_and_has_no_json(operator: Client):
    page = operator.get(reverse("admin:django_celery_beat_periodictask_change", args=[schedule().pk])).text
    assert '<option value="catalog.run_feeds">' in page
    assert '<option value="catalog.import_file">' not in page  # it needs the number of a run
    assert not {"id_args", "id_kwargs", "id_headers"} & set(re.findall(r'id="(\w+)"', page))


def test_run_now_hands_the_task_to_the_queue_and_is_audited(operator: Client):
    press(operator, schedule(), "run_now")
    assert waiting() == [("catalog.expire_listings", "()")]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_name) == ("run now", "Expire: every 600 seconds")


def test_run_now_says_when_the_broker_is_away(operator: Client, broker_away):
    page = press(operator, schedule(), "run_now")
    assert "The broker did not take it" in page.text
    assert not AuditEntry.objects.exists()


def test_schedules_are_switched_off_and_on_and_beat_is_notified(operator: Client):
    task = schedule()
    operator.post(reverse(SCHEDULES), {"action": "switch_off", "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert not task.enabled
    assert said(operator) == ["Switched off: Expire."]
    press(operator, task, "switch_over")
    task.refresh_from_db()
    assert task.enabled
    assert list(AuditEntry.objects.order_by("pk").values_list("before", "after")) == [
        ({"enabled": True}, {"enabled": False}), ({"enabled": False}, {"enabled": True}),
    ]  # fmt: skip


# --- Results ---------------------------------------------------------------------------------------------------------
def test_a_result_is_a_sentence_with_its_error_first_and_the_traceback_folded(operator: Client):
    failed = result(traceback="Traceback (most recent call last):\n  File x\nFileRefused: cars.csv is empty.\n")
    page = operator.get(reverse("admin:django_celery_results_taskresult_change", args=[failed.pk])).text
    assert "Read an uploaded file into the catalogue, or only try to." in page
    assert "run 7" in page
    assert page.index("FileRefused: cars.csv is empty.") < page.index("<summary>Traceback</summary>")
    listed = operator.get(reverse("admin:django_celery_results_taskresult_changelist")).text
    assert "FileRefused: cars.csv is empty." in listed


def test_a_task_is_run_once_more_with_the_same_arguments(operator: Client):
    press(operator, result(), "once_more")
    assert waiting(settings.IMPORT_QUEUE) == [("catalog.import_file", "(7,)")]
    assert AuditEntry.objects.get().action == "retry"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"task_name": "gone.task"}, "not one of our tasks"),
        ({"task_name": "celery.backend_cleanup"}, "not one of our tasks"),
        ({"task_args": json.dumps("([1, 2, '...'],)")}, "too long to be kept"),
    ],
)
def test_what_cannot_be_repeated_is_refused_with_the_reason(operator: Client, fields: dict, says: str):
    assert says in press(operator, result(**fields), "once_more").text
    assert not AuditEntry.objects.exists()


def test_a_task_whose_worker_died_does_not_run_for_ever(operator: Client):
    result(status="STARTED", worker="trainer@site", result=json.dumps({"pid": 1}))
    listed = reverse("admin:django_celery_results_taskresult_changelist")
    assert "on trainer@site" in operator.get(listed).text
    TaskResult.objects.update(date_started=timezone.now() - timedelta(hours=3))
    assert "Its worker died." in operator.get(listed).text


def test_a_task_that_ended_cannot_be_stopped(operator: Client):
    assert "it has ended already" in press(operator, result(), "stop").text


def test_stopping_asks_the_worker_and_is_audited(operator: Client):
    page = press(operator, result(status="STARTED"), "stop")
    assert "Its worker was asked to stop" in page.text
    assert AuditEntry.objects.get().action == "cancel"


# --- Queues ----------------------------------------------------------------------------------------------------------
def test_the_queues_show_what_waits_and_one_task_can_be_taken_out(operator: Client):
    enqueue("catalog.expire_listings")
    page = operator.get(QUEUES)
    (default,) = (queue for queue in page.context["queues"] if queue["name"] == "default")
    assert default["n_waiting"] == 1
    assert default["waiting"][0]["sentence"] == "End listings that have been for sale for longer than the site allows"
    task = default["waiting"][0]
    page = operator.post(reverse("admin:task_drop"), {"task_id": task["id"], "name": task["name"]}, follow=True)
    assert "was taken out of its queue" in page.text
    assert waiting() == []
    assert AuditEntry.objects.get().action == "cancel"


def test_an_unreachable_broker_is_reported_clearly(operator: Client, broker_away):
    page = operator.get(QUEUES)
    assert page.context["is_broker_away"]
    assert "The broker does not answer" in page.text
    assert "Nothing is lost" in page.text


def test_without_a_worker_the_page_says_what_to_do(operator: Client):
    assert "No worker answered" in operator.get(reverse("admin:task_workers")).text


# --- Who may ---------------------------------------------------------------------------------------------------------
def test_a_viewer_looks_at_everything_and_moves_nothing(viewer: Client):
    task, failed = schedule(), result()
    enqueue("catalog.expire_listings")
    assert viewer.get(reverse(SCHEDULES)).status_code == 200
    page = viewer.get(QUEUES)
    assert page.status_code == 200
    assert "Take out" not in page.text
    for row, button in ((task, "run_now"), (task, "switch_over"), (failed, "once_more"), (failed, "stop")):
        assert press(viewer, row, button).status_code == 403
    assert viewer.post(reverse("admin:task_drop"), {"task_id": "1"}).status_code == 403
    assert len(waiting()) == 1
    assert not AuditEntry.objects.exists()


def test_staff_without_permission_sees_no_queue(client: Client):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(QUEUES).status_code == 403
    assert client.get(reverse("admin:task_workers")).status_code == 403


# --- Budgets ---------------------------------------------------------------------------------------------------------
def test_the_pages_take_few_queries(operator: Client, django_assert_max_num_queries):
    install_schedule()
    for number in range(20):
        result(task_id=str(number))
    for url in (reverse(SCHEDULES), reverse("admin:django_celery_results_taskresult_changelist"), QUEUES):
        operator.get(url)
        with django_assert_max_num_queries(12):
            assert operator.get(url).status_code == 200
