from contextlib import suppress
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from django.utils import timezone

from catalog.models import Listing, ListingChange
from recommendations.buyers.histories import Vectors
from recommendations.buyers.preferences import current_preference
from recommendations.events.rows import EventRows
from recommendations.exceptions import RankerRefused, TrainingRefused
from recommendations.listings import embedding, vectors
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import read_listings
from recommendations.models import EventKind, ListingVector, RankerArtifact, RankerVersion, TrainingRun
from recommendations.models.artifacts import FORMAT_VERSION, load_ranker
from recommendations.serving.lists import ListRequest, recommend
from recommendations.training import held_out_test, learning, runs
from recommendations.training.gate import Code, Verdict
from recommendations.training.held_out_test import start_of_newest_share
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker, retire_old_rankers
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, RankerVersionFactory, UserFactory
from tests.markets import trained_market, view

pytestmark = pytest.mark.django_db

REASON = (
    "Significantly worse than the live version, " + "and that over very many buyers, " * 5
)  # more than a step holds


def test_an_empty_site_has_nothing_to_learn_from_and_says_so():
    run = start_training()
    with pytest.raises(TrainingRefused, match="no listings to learn from"):
        run_training(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.FAILED
    assert "seed a demo market" in run.error
    assert not RankerVersion.objects.usable().exists()


def test_parameters_that_make_no_sense_are_refused_by_name():
    with pytest.raises(TrainingRefused, match="half_life"):
        start_training(parameters={"half_life": 3})
    with pytest.raises(TrainingRefused, match="prior_buyers"):
        start_training(parameters={"prior_buyers": 0})


def test_listings_alone_are_enough_for_a_first_version():
    ListingFactory()
    version = run_training(run_id=start_training().pk)
    assert RankerVersion.objects.live() == version
    assert len(recommend(ListRequest(buyer=None)).items) == 1


def test_a_training_leaves_a_record_of_what_it_did():
    version = trained_market().version
    run = version.runs.get()
    assert run.status == TrainingRun.Status.DONE
    assert run.progress == 1
    assert "fitting the encoder" in run.log
    assert version.n_listings == 30
    assert set(version.metrics["rankers"]) == {"forecourt", "taste", "popularity"}
    assert set(version.metrics["rankers"]["taste"]) == {"recall@20", "ndcg@20", "coverage@20"}


def test_a_run_is_carried_out_once():
    ListingFactory()
    run = start_training()
    assert run_training(run_id=run.pk) is not None
    assert run_training(run_id=run.pk) is None
    assert RankerVersion.objects.count() == 1


def test_a_run_whose_process_died_is_taken_over_and_what_it_left_is_discarded():
    ListingFactory()
    run = start_training()
    half = RankerVersion.objects.create()
    long_ago = timezone.now() - timedelta(hours=1)
    TrainingRun.objects.filter(pk=run.pk).update(status="running", heartbeat_at=timezone.now(), version=half)
    assert run_training(run_id=run.pk) is None
    TrainingRun.objects.filter(pk=run.pk).update(heartbeat_at=long_ago)
    assert run_training(run_id=run.pk) == RankerVersion.objects.live()
    half.refresh_from_db()
    assert half.status == RankerVersion.Status.FAILED


def test_a_training_whose_worker_receives_a_stop_signal_goes_back_to_the_queue(monkeypatch):
    ListingFactory()
    run = start_training()

    def stop(*args):
        raise SystemExit(0)

    with monkeypatch.context() as patched:
        patched.setattr(runs, "store_version", stop)
        with pytest.raises(SystemExit):
            run_training(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.QUEUED
    assert run_training(run_id=run.pk) == RankerVersion.objects.live()


def test_storing_a_new_version_does_not_stir_the_listing_indexes_of_the_live_one():
    trained_market()
    before = ListingChange.objects.count()
    run_training(run_id=start_training().pk)
    assert ListingChange.objects.count() == before


def test_vectors_are_stored_of_what_listing_indexes_remember_and_made_of_the_rest():
    market = trained_market()
    gone, lately = ListingFactory(sold=True), ListingFactory(status="sold", ended_at=timezone.now())
    version = run_training(run_id=start_training().pk)
    stored = set(ListingVector.objects.of(version).values_list("listing_id", flat=True))
    assert stored == {car.pk for car in (*market.skodas, *market.bmws, lately)}
    assert version.n_listings == 32  # all of them teach
    with borrow_index() as listing_index:
        assert Vectors(listing_index, {gone.pk}).matrix([gone.pk]).any()


def test_for_archetypes_an_event_counts_half_after_its_half_life_and_sold_cars_teach_too(monkeypatch):
    newest = timezone.now() - timedelta(days=30)
    sold, listing = ListingFactory(sold=True), ListingFactory()
    for car, kind, days_ago in ((sold, "view", 90), (listing, "view", 0), (listing, "contact", 180), (sold, "hide", 1)):
        occurred_at = newest - timedelta(days=days_ago)
        InteractionFactory(listing=car, kind=EventKind.objects.get(slug=kind), occurred_at=occurred_at)
    learned = []

    def note(table, content, buyers, rows, weights, *rest):
        learned.append(dict(zip(zip(buyers.tolist(), rows.tolist(), strict=True), weights.tolist(), strict=True)))
        return fit(table, content, buyers, rows, weights, *rest)

    fit = learning.fit_collaborative
    monkeypatch.setattr(learning, "fit_collaborative", note)
    run_training(run_id=start_training(parameters={"archetype_half_life_days": 90}).pk)
    (by_buyer_and_row,) = learned  # too few events for an offline test
    assert sorted(by_buyer_and_row.values()) == pytest.approx([0.5, 0.5, 1.0])  # the contact: 2 / 4
    assert {row for _, row in by_buyer_and_row} == {0, 1}


def test_the_first_version_passes_the_gate_and_the_verdict_is_kept():
    version = trained_market().version
    assert version.gate["passed"] is True
    assert "No version is live" in version.gate["reason"]
    assert "promoted: No version is live" in version.runs.get().log


@pytest.mark.parametrize(("n_since", "is_fair"), [(40, True), (10, False)])
def test_an_offline_test_begins_where_the_live_version_stopped_learning_if_enough_happened_since(n_since, is_fair):
    live = RankerVersion(last_interaction_id=90)
    n = 90 + n_since
    events = EventRows(
        ids=np.arange(1, n + 1), buyer_ids=np.arange(n), listing_ids=np.ones(n, int), kinds=np.full(n, "view"),
        occurred_at=np.arange(n, dtype=float),
    )  # fmt: skip
    all_buyers = np.ones(n, bool)
    usual = np.quantile(events.occurred_at, 0.4)
    assert held_out_test.cutoff_of_test(events, all_buyers, None, 0.6) == usual
    moment = held_out_test.cutoff_of_test(events, all_buyers, live, 0.6)
    assert events.before(moment).last_id == (90 if is_fair else int(usual) + 1)


def test_training_twice_on_the_same_log_is_no_reason_to_be_refused():
    market = trained_market()
    for start in range(120):  # of whom a part is tested on, and it takes thirty to tell
        view(BuyerFactory(external=True), *market.skodas[start % 10 : start % 10 + 3])
        view(BuyerFactory(external=True), *market.bmws[start % 10 : start % 10 + 3])
    first, second = (run_training(run_id=start_training().pk) for _ in "ab")
    assert second.gate["passed"], second.gate
    assert RankerVersion.objects.live() == second
    assert first.last_interaction_id == second.last_interaction_id


def test_a_version_that_fails_the_gate_stays_ready_with_its_reason(monkeypatch):
    live = trained_market().version
    monkeypatch.setattr(held_out_test, "decide", lambda figures, seed=0: Verdict(False, REASON, {}, Code.WORSE))
    version = run_training(run_id=start_training().pk)
    assert RankerVersion.objects.live() == live
    assert (version.status, version.note) == (RankerVersion.Status.READY, f"not promoted: {REASON}")
    assert version.gate == {"passed": False, "reason": REASON, "figures": {}, "code": "worse_than_live"}
    assert f"not promoted: {REASON}" in version.runs.get().log
    assert version.runs.get().status == TrainingRun.Status.DONE


def test_a_live_version_that_cannot_be_read_does_not_keep_a_new_one_out():
    live = trained_market().version
    load_ranker.cache_clear()
    RankerArtifact.objects.filter(pk=live.pk).update(sha256="0" * 64)
    version = run_training(run_id=start_training().pk)
    assert RankerVersion.objects.live() == version
    assert "damaged" in version.gate["reason"]


def test_a_version_that_is_not_promoted_stands_beside_the_live_one():
    live = trained_market().version
    beside = run_training(run_id=start_training(promote=False).pk)
    assert RankerVersion.objects.live() == live
    assert beside.status == RankerVersion.Status.READY
    assert ListingVector.objects.of(beside).count() == 30


def test_what_arrives_while_training_runs_is_not_lost_to_the_new_version(monkeypatch):
    market = trained_market()
    buyer = BuyerFactory()
    late: list[Listing] = []

    def store_and_be_interrupted(*args):
        store(*args)
        late.append(ListingFactory(car_model=market.bmws[0].car_model))
        view(buyer, market.bmws[0])

    store = runs.store_version
    monkeypatch.setattr(runs, "store_version", store_and_be_interrupted)
    version = run_training(run_id=start_training().pk)
    assert ListingVector.objects.of(version).filter(listing_id=late[0].pk).exists()
    assert current_preference(buyer).n_interactions == 1


def test_a_training_that_fails_leaves_the_live_version_alone_and_no_vectors(monkeypatch):
    live = trained_market().version

    def fail(*args):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(runs, "fill_partition", fail)
    run = start_training()
    with pytest.raises(RuntimeError):
        run_training(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.FAILED
    assert run.error == "out of luck"
    assert RankerVersion.objects.live() == live
    assert not ListingVector.objects.of(run.version).exists()


@pytest.mark.parametrize("trouble", [RuntimeError, SystemExit])
def test_what_happens_to_the_index_does_not_undo_a_training(monkeypatch, trouble):
    market = trained_market()

    def fail(*args):
        raise trouble

    run = start_training()
    with monkeypatch.context() as patched, suppress(SystemExit):
        patched.setattr(vectors, "index_partition", fail)
        patched.setattr(held_out_test, "decide", lambda figures, seed=0: Verdict(True, "", {}))
        run_training(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.DONE
    assert RankerVersion.objects.live() == run.version != market.version
    assert not vectors.has_index(run.version.pk)
    embedding.embed_missing_listings()  # the beat job
    assert vectors.has_index(run.version.pk)


@pytest.mark.parametrize("trouble", [RuntimeError, SystemExit])
@pytest.mark.parametrize("step", ["catch_up", "retire_old_rankers"])
def test_what_fails_after_a_version_went_live_does_not_take_it_away(monkeypatch, step, trouble):
    trained_market()
    done = getattr(runs, step)

    def fail_once_it_is_live(*args):
        if RankerVersion.objects.live() == run_of().version:
            raise trouble
        return done(*args)

    def run_of() -> TrainingRun:
        return TrainingRun.objects.get(pk=run.pk)

    run = start_training()
    with monkeypatch.context() as patched, suppress(RuntimeError, SystemExit):
        patched.setattr(runs, step, fail_once_it_is_live)
        patched.setattr(held_out_test, "decide", lambda figures, seed=0: Verdict(True, "", {}))
        run_training(run_id=run.pk)
    version = run_of().version
    assert RankerVersion.objects.live() == version
    assert RankerArtifact.objects.filter(version=version).exists()
    assert ListingVector.objects.of(version).exists()
    assert run_of().status == {
        ("catch_up", RuntimeError): TrainingRun.Status.FAILED,
        ("catch_up", SystemExit): TrainingRun.Status.QUEUED,
    }.get((step, trouble), TrainingRun.Status.DONE)


def test_a_training_drops_the_vectors_that_a_process_which_ended_too_early_has_left():
    trained_market()
    left = RankerVersionFactory(status=RankerVersion.Status.RETIRED)
    vectors.create_detached(left.pk)
    assert left.pk in vectors.stored_versions()
    live = run_training(run_id=start_training().pk)
    assert left.pk not in vectors.stored_versions()
    assert live.pk in vectors.stored_versions()


def test_a_stock_too_large_for_memory_gets_its_index_before_it_goes_live(settings):
    settings.WINDOW_MAX_LISTINGS = 0
    ListingFactory()
    had_index = []

    def note(fraction: float, step: str) -> None:
        if step.startswith("promoted"):
            had_index.append(vectors.has_index(RankerVersion.objects.live().pk))

    run_training(run_id=start_training().pk, report=note)
    assert had_index == [True]


def test_a_cancelled_run_stops_at_the_next_step_and_leaves_nothing():
    ListingFactory()
    run = start_training()

    def cancel(fraction: float, step: str) -> None:
        TrainingRun.objects.filter(pk=run.pk).update(status=TrainingRun.Status.CANCELLED)

    assert run_training(run_id=run.pk, report=cancel) is None
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.CANCELLED
    assert not RankerVersion.objects.usable().exists()


def test_a_run_that_is_cancelled_while_the_population_is_learned_need_not_wait_for_its_end(monkeypatch):
    trained_market()
    run, steps = start_training(), []
    note = runs.RunReporter.__call__

    def cancelled_meanwhile(self, fraction: float, step: str) -> None:
        steps.append(step)
        if sum("learning the population" in one for one in steps) == 2:
            TrainingRun.objects.filter(pk=run.pk).update(status="cancelled")
        note(self, fraction, step)

    monkeypatch.setattr(runs.RunReporter, "__call__", cancelled_meanwhile)
    assert run_training(run_id=run.pk) is None
    assert sum("learning the population" in one for one in steps) == 2
    assert RankerVersion.objects.filter(status="failed").count() == 1


def test_a_run_that_is_begun_anew_says_so_in_its_log_and_keeps_what_was_there():
    ListingFactory()
    run = start_training()
    long_ago = timezone.now() - timedelta(hours=1)
    TrainingRun.objects.update(status="running", heartbeat_at=long_ago, log="09:00:00 reading listings")
    run_training(run_id=run.pk)
    run.refresh_from_db()
    first, second, *_ = run.log.splitlines()
    assert first == "09:00:00 reading listings"
    assert second.endswith("the process that worked on it was stopped; begun anew")


def test_a_step_that_goes_on_is_one_line_of_the_log():
    trained_market()
    lines = [line.split(" ", 1)[1] for line in TrainingRun.objects.get().log.splitlines()]
    assert all(one != other for one, other in pairwise(lines))
    assert sum("learning the population" in line for line in lines) == 2  # in the offline test, and of everything


def test_a_version_keeps_what_each_kind_of_event_weighed():
    market = trained_market()
    EventKind.objects.update(weight=0.0)
    assert market.version.metrics["event_kinds"]["view"]["weight"] > 0


def test_saving_and_loading_changes_nothing():
    market = trained_market()
    ranker = load_ranker(market.version.pk)
    load_ranker.cache_clear()
    again = load_ranker(market.version.pk)
    table = read_listings(Listing.objects.all()).table
    np.testing.assert_array_equal(ranker.vectors(table), again.vectors(table))
    np.testing.assert_array_equal(ranker.prior.covariance, again.prior.covariance)


def test_a_breakdown_adds_up_to_the_score():
    market = trained_market()
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:3])
    ranker = load_ranker(market.version.pk)
    weights = np.asarray(current_preference(buyer).mean)
    table = read_listings(Listing.objects.all()).table
    parts = ranker.breakdown(weights, table)
    np.testing.assert_allclose(parts.values.sum(axis=1), ranker.vectors(table).astype(float) @ weights, atol=1e-6)


@pytest.mark.parametrize(
    ("damage", "says"),
    [({"format_version": FORMAT_VERSION + 1}, "retrain"), ({"sha256": "0" * 64}, "damaged")],
)
def test_an_artifact_that_cannot_be_trusted_is_refused(damage, says):
    version = trained_market().version
    load_ranker.cache_clear()
    RankerArtifact.objects.filter(pk=version.pk).update(**damage)
    with pytest.raises(RankerRefused, match=says):
        load_ranker(version.pk)
    load_ranker.cache_clear()


def test_the_same_seed_learns_the_same():
    market = trained_market()
    again = run_training(run_id=start_training(parameters={"prior_buyers": 20}).pk)
    first, second = load_ranker(market.version.pk), load_ranker(again.pk)
    np.testing.assert_allclose(first.baseline, second.baseline, atol=1e-6)


def test_a_burst_of_one_client_does_not_move_the_test_to_its_own_minutes():
    days = np.repeat(np.arange(100.0), 10) * 86_400
    usual = events_at(days, np.tile(np.arange(10), 100))
    burst = events_at(
        np.r_[days, np.full(1_078, 99.5 * 86_400)], np.r_[np.tile(np.arange(10), 100), np.full(1_078, 77)]
    )
    begins = start_of_newest_share(usual, 0.15)
    assert begins == pytest.approx(85 * 86_400, rel=0.02)
    assert start_of_newest_share(burst, 0.15) == pytest.approx(begins, rel=0.02)


def events_at(moments: np.ndarray, buyer_ids: np.ndarray) -> EventRows:
    n = len(moments)
    kinds = np.full(n, "view", object)
    return EventRows(np.arange(1, n + 1), buyer_ids, np.ones(n, np.int64), kinds, moments)


def test_the_first_live_version_is_the_reference_until_one_is_better_or_put_live_by_hand():
    first = trained_market().version
    assert RankerVersion.objects.get(is_reference=True) == first
    equal = RankerVersionFactory(gate={"passed": True, "figures": {"reference_low": -0.01}})
    promote_ranker(version=equal)
    assert RankerVersion.objects.get(is_reference=True) == first
    retire_old_rankers(keep=1)
    first.refresh_from_db()
    assert first.status == RankerVersion.Status.READY, "the reference stays as long as it is one"
    better = RankerVersionFactory(gate={"passed": True, "figures": {"reference_low": 0.01}})
    promote_ranker(version=better)
    assert RankerVersion.objects.get(is_reference=True) == better
    chosen = RankerVersionFactory()
    promote_ranker(version=chosen, by=UserFactory())
    assert RankerVersion.objects.get(is_reference=True) == chosen
