import pytest
from celery import current_app
from django_celery_beat.models import PeriodicTask

from jobs.admin.schedules import may_be_scheduled
from tasks.schedule import TIMETABLE, install_schedule

pytestmark = pytest.mark.django_db


def test_every_entry_names_a_task_that_exists_and_says_what_it_is_for():
    current_app.loader.import_default_modules()
    for entry in TIMETABLE:
        assert entry.task in current_app.tasks
        assert entry.sentence.startswith("Every ")
        assert entry.sentence.endswith(".")


def test_operators_choose_among_the_tasks_of_the_timetable_and_no_others():
    """What other work asks for (``runs_by_schedule=False``) is not offered, though it needs to be given nothing."""
    current_app.loader.import_default_modules()
    assert {name for name in current_app.tasks if may_be_scheduled(name)} == {entry.task for entry in TIMETABLE}


def test_the_timetable_is_in_the_database_after_a_migration():
    install_schedule()
    assert set(PeriodicTask.objects.values_list("name", flat=True)) >= {entry.name for entry in TIMETABLE}


def test_what_an_operator_changed_stays_changed():
    install_schedule()
    task = PeriodicTask.objects.get(name="Retrain")
    task.enabled = False
    task.save()
    install_schedule()
    assert not PeriodicTask.objects.get(name="Retrain").enabled
    assert PeriodicTask.objects.filter(name="Retrain").count() == 1
