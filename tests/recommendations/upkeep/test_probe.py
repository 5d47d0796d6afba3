"""The probe from end to end, with the worker's part played by the test."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import Buyer
from recommendations.buyers.refresh import buyers_behind_the_log, refresh_preferences
from recommendations.events.rows import read_events
from recommendations.listings.market_statistics import read_market_statistics
from recommendations.models import Interaction, Preference
from recommendations.upkeep.probe import LONG_AGO, NAME, RESULT, last_probe, look_at_probe, send_probe
from recommender_site.http.metrics import sampler
from tasks.maintenance import look_at_probe_task, probe_loop_task
from tests.markets import remove_market

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_known_of_earlier_probes():
    cache.delete(RESULT)
    yield
    cache.delete(RESULT)


@pytest.fixture
def market(market_of_module):
    return market_of_module


def the_probe() -> Buyer:
    return Buyer.objects.get(external_id__startswith=NAME)


@pytest.mark.usefixtures("market")
def test_an_event_of_a_made_up_buyer_goes_to_the_queue_like_any_other(django_capture_on_commit_callbacks, queued):
    with django_capture_on_commit_callbacks(execute=True):
        buyer_id = send_probe()
    assert queued == [("recommendations.refresh_preferences", buyer_id)]


@pytest.mark.usefixtures("market")
def test_an_effect_that_came_is_reported_with_its_time_and_all_probe_data_is_removed():
    n_events, n_preferences = Interaction.objects.count(), Preference.objects.count()
    buyer_id = send_probe()
    assert buyer_id is not None
    refresh_preferences(buyer_id=buyer_id)
    probe = look_at_probe(buyer_id)
    assert probe is not None
    assert probe.seconds is not None
    assert 0 <= probe.seconds < 60
    assert last_probe() == probe
    assert not Buyer.objects.filter(external_id__startswith=NAME).exists()
    assert (Interaction.objects.count(), Preference.objects.count()) == (n_events, n_preferences)


@pytest.mark.usefixtures("market")
def test_a_missing_effect_is_reported_and_a_later_probe_removes_the_data():
    buyer_id = send_probe()
    assert buyer_id is not None
    probe = look_at_probe(buyer_id)
    assert probe is not None
    assert probe.seconds is None
    assert last_probe() == probe
    Buyer.objects.filter(pk=buyer_id).update(created_at=timezone.now() - timedelta(minutes=2))
    assert send_probe() != buyer_id
    assert not Buyer.objects.filter(pk=buyer_id).exists()


@pytest.mark.usefixtures("market")
def test_a_probe_is_looked_at_once():
    buyer_id = send_probe()
    assert buyer_id is not None
    refresh_preferences(buyer_id=buyer_id)
    first = look_at_probe(buyer_id)
    assert look_at_probe(buyer_id) is None
    assert last_probe() == first


def test_without_a_ranker_there_is_nothing_to_probe():
    remove_market()
    assert send_probe() is None
    assert not Buyer.objects.filter(external_id__startswith=NAME).exists()


def test_what_is_trained_counted_or_wanted_does_not_see_it(market):
    now = timezone.now()
    before = read_market_statistics(int(now.timestamp()))
    buyer_id = send_probe()
    assert buyer_id is not None
    assert buyer_id not in read_events(LONG_AGO + timedelta(days=1)).buyer_ids
    assert read_market_statistics(int(now.timestamp())) == before
    assert not Interaction.objects.since(now - timedelta(days=3650)).filter(buyer=buyer_id).exists()
    assert buyers_behind_the_log(market.version, since=now).filter(pk=buyer_id).exists(), "but repair does"


@pytest.mark.usefixtures("market")
def test_the_task_sends_one_and_looks_when_the_effect_is_due(monkeypatch):
    due = []
    monkeypatch.setattr(look_at_probe_task, "apply_async", lambda args, countdown: due.append((args, countdown)))
    probe_loop_task()
    assert due == [([the_probe().pk], 5)]


@pytest.mark.usefixtures("market")
def test_it_can_be_switched_off(settings):
    settings.PROBE_THE_LOOP = False
    cache.set(RESULT, (1.0, 0.5))
    probe_loop_task()
    assert not Buyer.objects.filter(external_id__startswith=NAME).exists()
    assert not [name for name in samples() if name.startswith("forecourt_probe")]


@pytest.mark.parametrize(("seconds", "succeeded"), [(0.4, 1), (7.0, 0), (None, 0)])
def test_metrics_tell_how_the_last_one_ended(seconds, succeeded):
    cache.set(RESULT, (timezone.now().timestamp() - 30, seconds))
    sampler.sample()
    found = samples()
    assert found["forecourt_probe_succeeded"] == succeeded
    assert found["forecourt_probe_age_seconds"] == pytest.approx(30, abs=5)
    assert found.get("forecourt_probe_seconds") == seconds


def samples() -> dict[str, float]:
    lines = [line for line in Client().get("/metrics").content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
