from types import SimpleNamespace

from jobs.outcomes import note_outcome, note_start, outcomes_of


def sent_by(schedule: str | None) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(periodic_task_name=schedule))


def test_how_a_scheduled_run_ended_is_remembered(db):
    note_start(task_id="1", task=sent_by("Retrain"))
    note_outcome(task_id="1", task=sent_by("Retrain"), retval=None, state="SUCCESS")
    note_outcome(task_id="2", task=sent_by("Expire"), retval=ValueError("no stock"), state="FAILURE")
    found = outcomes_of(["Retrain", "Expire", "Never"])
    assert set(found) == {"Retrain", "Expire"}
    assert found["Retrain"].is_success
    assert (found["Expire"].is_success, found["Expire"].error) == (False, "ValueError: no stock")


def test_what_a_person_started_is_no_run_of_a_schedule(db):
    note_outcome(task_id="3", task=sent_by(None), retval=None, state="SUCCESS")
    assert outcomes_of([""]) == {}
