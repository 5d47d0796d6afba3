from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings
from django.utils import timezone

from jobs.pulse import note_pulse, pulses_of


@pytest.fixture(autouse=True)
def _all_queues(monkeypatch):
    queues = current_app.amqp.queues
    monkeypatch.setattr(queues, "_consume_from", {name: queues[name] for name in settings.QUEUES})


def beat_of(worker: str) -> SimpleNamespace:
    return SimpleNamespace(eventer=SimpleNamespace(hostname=worker))


def test_a_living_worker_is_known_on_each_queue_that_it_takes_from():
    worker = f"worker@{uuid4()}"
    note_pulse(sender=beat_of(worker))
    found = pulses_of([*settings.QUEUES, "unheard-of"])
    assert set(found) == set(settings.QUEUES)
    assert {pulse.worker for pulse in found.values()} == {worker}
    assert all(timezone.now() - pulse.seen_at < timedelta(minutes=1) for pulse in found.values())


def test_it_is_written_down_a_few_times_a_minute_whatever_celery_sends():
    worker = f"worker@{uuid4()}"
    note_pulse(sender=beat_of(worker))
    first = pulses_of(settings.QUEUES)
    note_pulse(sender=beat_of(worker))
    assert pulses_of(settings.QUEUES) == first
