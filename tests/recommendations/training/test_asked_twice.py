"""Two trainings that are asked for at once are one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from recommendations.models import TrainingRun
from recommendations.training.runs import start_training


def ask(_: int) -> int:
    try:
        return start_training().pk
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_eight_requests_at_once_get_one_run():
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert TrainingRun.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_unfinished_run_is_joined_and_one_that_ended_is_not(status):
    first = start_training()
    TrainingRun.objects.update(status=status)
    assert start_training() == first
    for ended in ("done", "failed", "cancelled", "interrupted"):
        TrainingRun.objects.update(status=ended)
        run = start_training()
        assert run != first
        first = run


@pytest.mark.django_db
def test_another_training_is_another():
    assert len({start_training(), start_training(promote=False), start_training(parameters={"seed": 7})}) == 3
