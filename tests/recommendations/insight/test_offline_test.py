"""Offline tests of weights and rules: what they find in a market whose answer is known, and how their rows live."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.work import Attempt
from recommendations.exceptions import RankerRefused
from recommendations.insight import offline_test_runs as trial_runs
from recommendations.insight.offline_test import acted_on_after, compare_setups
from recommendations.insight.offline_test_runs import (
    find_offline_test,
    numbers_of,
    run_offline_test,
    setup_of,
    start_offline_test,
)
from recommendations.insight.previews import ListSetup
from recommendations.models import EventKind, Interaction, Placement, Preference, ServedList, WeightTrial
from recommendations.serving.rules import Rules
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory
from tests.markets import trained_market, view

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("always_in_step")]


def home() -> Placement:
    return Placement.objects.get(slug="home")


def usual() -> ListSetup:
    return ListSetup(None, Rules(home()))


def deaf() -> ListSetup:
    """Whatever buyers open or compare says nothing, and what they searched neither."""
    kinds = EventKind.objects.in_bulk()
    for kind in kinds.values():
        kind.weight = 0.0
    return ListSetup(kinds, Rules(home()))


@pytest.fixture
def fans():
    """Ten buyers who looked at some BMWs last week, and at others today."""
    market = trained_market()
    Placement.objects.filter(slug="home").update(max_per_model=0, max_per_seller=0)
    last_week = timezone.now() - timedelta(days=7)
    Interaction.objects.update(occurred_at=last_week - timedelta(days=1))
    buyers = BuyerFactory.create_batch(10)
    for number, buyer in enumerate(buyers):
        view(buyer, *market.bmws[8 + number % 3 : 12 + number % 3])
        Interaction.objects.filter(buyer=buyer).update(occurred_at=last_week)
        view(buyer, *market.bmws[:8], market.bmws[10])
    return buyers


def test_who_listens_to_what_buyers_do_makes_better_lists(fans):
    found = compare_setups(usual(), deaf())
    assert (found.n_buyers, found.n_known) == (10, 10)
    ndcg, hits = found.figures
    assert (ndcg.name, hits.name) == ("NDCG@10", "Hit rate@10")
    assert ndcg.before > ndcg.after
    assert ndcg.difference.difference == pytest.approx(ndcg.after - ndcg.before)
    assert ndcg.verdict == "worse"
    assert compare_setups(deaf(), usual()).figures[0].verdict == "better"


def test_two_ways_that_are_the_same_differ_in_nothing(fans):
    for figure in compare_setups(usual(), usual()).figures:
        assert (figure.difference.difference, figure.difference.low, figure.difference.high) == (0, 0, 0)
        assert figure.verdict == "no difference that chance could not make"


def test_rules_are_tried_too(fans):
    rules = Rules(Placement(slug="home", k=20, filters={"makes": ["skoda"]}))
    found = compare_setups(usual(), ListSetup(None, rules))
    assert found.figures[0].before > 0
    assert found.figures[0].after == 0


def test_only_what_is_new_to_a_buyer_and_was_for_sale_then_is_asked_for(fans):
    done = acted_on_after(timezone.now() - timedelta(days=3))
    assert set(done) == {buyer.pk for buyer in fans}
    assert {len(cars) for cars in done.values()} == {8}  # the ninth they had seen the week before
    assert acted_on_after(timezone.now() + timedelta(days=1)) == {}


def test_nothing_is_stored_but_the_offline_test(fans):
    before = Preference.objects.count(), ServedList.objects.count(), Interaction.objects.count()
    compare_setups(usual(), deaf())
    assert (Preference.objects.count(), ServedList.objects.count(), Interaction.objects.count()) == before


def test_work_ends_with_its_budget_after_the_first_buyers(fans, monkeypatch):
    monkeypatch.setattr("recommendations.insight.offline_test.BUYERS_AT_ONCE", 3)
    found = compare_setups(usual(), usual(), budget_seconds=0)
    assert (found.n_buyers, found.n_known) == (3, 10)


def test_without_events_or_a_ranker_there_is_nothing_to_try():
    assert compare_setups(usual(), usual()) is None
    event = InteractionFactory()
    view(event.buyer, ListingFactory())
    with pytest.raises(RankerRefused, match="no ranker version is live"):
        compare_setups(usual(), usual())


# --- Rows ------------------------------------------------------------------------------------------------------------
def test_a_way_survives_its_storage(fans):
    setup = ListSetup({**EventKind.objects.in_bulk(), "view": EventKind(slug="view", weight=0.25, half_life_days=3)},
              Rules(Placement(slug="home", diversity=0.4, boosts={"deal": 0.3})))  # fmt: skip
    restored = setup_of(home(), numbers_of(setup))
    assert (restored.kinds["view"].weight, restored.kinds["view"].half_life_days) == (0.25, 3)
    assert (restored.rules.placement.diversity, restored.rules.boosts) == (0.4, {"deal": 0.3})
    assert numbers_of(restored) == numbers_of(setup)


def test_an_offline_test_is_carried_out_once_and_found_by_what_it_tried(fans):
    offline_test = start_offline_test(usual(), deaf())
    assert find_offline_test(usual(), deaf()) == offline_test
    assert find_offline_test(usual(), usual()) is None
    done = run_offline_test(offline_test_id=offline_test.pk)
    assert (done.status, done.progress, done.result["n_buyers"]) == ("done", 1, 10)
    assert [figure["name"] for figure in done.result["figures"]] == ["NDCG@10", "Hit rate@10"]
    assert run_offline_test(offline_test_id=offline_test.pk) is None


def test_what_goes_wrong_is_noted(fans, monkeypatch):
    monkeypatch.setattr(trial_runs, "compare_setups", failing(ValueError("no such thing")))
    offline_test = start_offline_test(usual(), deaf())
    with pytest.raises(ValueError, match="no such thing"):
        run_offline_test(offline_test_id=offline_test.pk)
    offline_test.refresh_from_db()
    assert (offline_test.status, offline_test.error) == ("failed", "no such thing")


def test_a_worker_that_receives_a_stop_signal_leaves_it_for_the_next(fans, monkeypatch):
    offline_test = start_offline_test(usual(), deaf())
    real = trial_runs.compare_setups
    monkeypatch.setattr(trial_runs, "compare_setups", failing(SystemExit()))
    with pytest.raises(SystemExit):
        run_offline_test(offline_test_id=offline_test.pk)
    offline_test.refresh_from_db()
    assert offline_test.status == "queued"
    monkeypatch.setattr(trial_runs, "compare_setups", real)
    assert run_offline_test(offline_test_id=offline_test.pk).status == "done"


def failing(problem: BaseException):
    def fail(*args, **kwargs):
        raise problem

    return fail


def test_a_cancelled_offline_test_stops_at_its_next_step(fans, monkeypatch):
    offline_test = start_offline_test(usual(), deaf())
    report = Attempt.report

    def cancelled_meanwhile(attempt: Attempt, share: float, step: str) -> None:
        WeightTrial.objects.filter(pk=offline_test.pk).update(status="cancelled")
        report(attempt, share, step)

    monkeypatch.setattr(Attempt, "report", cancelled_meanwhile)
    assert run_offline_test(offline_test_id=offline_test.pk) is None
    offline_test.refresh_from_db()
    assert (offline_test.status, offline_test.result) == ("cancelled", {})
    assert find_offline_test(usual(), deaf()) is None
