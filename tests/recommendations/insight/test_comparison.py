"""Versions side by side as data: which evaluation covers them, and what it says."""

from datetime import UTC, datetime

import pytest

from recommendations.exceptions import RankerRefused
from recommendations.insight.comparison import Findings, Measured, Value, find, joint_parameters, usual_versions
from recommendations.insight.lineage import lineage_of
from recommendations.insight.verdicts import verdict_on
from recommendations.insight.version_lists import sample_lists
from recommendations.models import Evaluation, EvaluationFigure, Interaction, RankerVersion, ServedList
from recommendations.training.runs import run_training, start_training
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, RankerVersionFactory
from tests.markets import trained_market, view

DATABASE = pytest.mark.django_db
MOMENT = datetime(2026, 2, 1, tzinfo=UTC)


def evaluation(*figures: tuple, version: RankerVersion, beside: tuple[int, ...] = (), **fields) -> Evaluation:
    """A stored evaluation; figures are ranker, metric, value, low, high, and maybe a slice."""
    made = Evaluation.objects.create(
        version=version, parameters={"beside": list(beside), "seed": 0},
        **{"status": "done", "moment": MOMENT, "n_buyers": 40, **fields},
    )  # fmt: skip
    for ranker, metric, value, low, high, *of_slice in figures:
        EvaluationFigure.objects.create(
            evaluation=made, ranker=ranker, metric=metric, slice=(of_slice or ["all"])[0], k=10, value=value, low=low,
            high=high, n=40,
        )  # fmt: skip
    return made


# --- Which versions --------------------------------------------------------------------------------------------------
@DATABASE
def test_the_usual_versions_are_the_live_one_the_one_before_and_the_newest():
    before, _, live, _, newest = (
        RankerVersionFactory(promoted_at=MOMENT),
        RankerVersionFactory(status="retired", promoted_at=MOMENT),
        RankerVersionFactory(live=True),
        RankerVersionFactory(),
        RankerVersionFactory(),
    )
    assert usual_versions() == [live, before, newest]


@DATABASE
def test_without_a_live_version_the_newest_is_compared_alone_and_without_any_none_is():
    assert usual_versions() == []
    ready = RankerVersionFactory()
    assert usual_versions() == [ready]


# --- Which figures ---------------------------------------------------------------------------------------------------
@DATABASE
def test_the_newest_evaluation_that_asked_all_of_them_the_same_counts():
    one, two, third = RankerVersionFactory(), RankerVersionFactory(), RankerVersionFactory()
    name = f"v{one.pk}"
    together = evaluation(
        ("forecourt", "ndcg", 0.3, 0.2, 0.4), (name, "ndcg", 0.25, 0.15, 0.35),
        (name, "lead in ndcg", 0.05, 0.01, 0.09),
        version=two, beside=(one.pk,), summary={"known": {"forecourt": 0.5, name: 0.2}},
    )  # fmt: skip
    evaluation(("forecourt", "ndcg", 0.9, 0.8, 1.0), version=third)
    found = find([two, one])
    assert found.is_same_question
    assert found.measured[two.pk].evaluation == together
    assert found.measured[two.pk].figure("ndcg", 10) == (0.3, 0.2, 0.4, 40)
    assert found.measured[one.pk].figure("ndcg", 10) == (0.25, 0.15, 0.35, 40)
    assert (found.measured[two.pk].known, found.measured[one.pk].known) == (0.5, 0.2)
    assert found.leads[one.pk]["ndcg", "all", 10] == (0.05, 0.01, 0.09, 40)


@DATABASE
def test_a_lead_seen_from_behind_changes_its_sign_and_swaps_its_ends():
    one, two = RankerVersionFactory(), RankerVersionFactory()
    evaluation((f"v{one.pk}", "lead in ndcg", 0.05, 0.01, 0.09), version=two, beside=(one.pk,))
    assert find([one, two]).leads[two.pk]["ndcg", "all", 10] == (-0.05, -0.09, -0.01, 40)


@DATABASE
def test_evaluations_of_different_questions_are_no_comparison():
    one, two = RankerVersionFactory(), RankerVersionFactory()
    evaluation(("forecourt", "ndcg", 0.3, 0.2, 0.4), version=one)
    evaluation(("forecourt", "ndcg", 0.9, 0.8, 1.0), version=two, n_buyers=50)
    found = find([one, two])
    assert not found.is_same_question
    assert set(found.measured) == {one.pk, two.pk}
    assert "It is not known yet" in verdict_on(one, two, found).sentence


@DATABASE
def test_one_evaluation_each_of_the_same_question_is_a_comparison():
    one, two = RankerVersionFactory(), RankerVersionFactory()
    evaluation(("forecourt", "ndcg", 0.3, 0.25, 0.35), version=one)
    evaluation(("forecourt", "ndcg", 0.5, 0.45, 0.55), version=two)
    verdict = verdict_on(one, two, find([one, two]))
    assert verdict.winner == two
    assert verdict.is_certain
    assert "their intervals do not touch" in verdict.sentence


@DATABASE
def test_a_running_evaluation_is_reported_and_its_figures_are_not_waited_for():
    one, two = RankerVersionFactory(), RankerVersionFactory()
    running = evaluation(version=two, beside=(one.pk,), status="running")
    assert find([one, two]) == Findings({}, {}, False, running)


# --- The verdict -----------------------------------------------------------------------------------------------------
def findings(lead: Value, known: tuple = (0.0, 0.0)) -> tuple[RankerVersion, RankerVersion, Findings]:
    first, other = RankerVersion(pk=3), RankerVersion(pk=2)
    made = Evaluation(pk=1)
    measured = {
        3: Measured(made, {("ndcg", "all", 10): Value(0.25 + lead.value, 0.0, 1.0, 40)}, known[0]),
        2: Measured(made, {("ndcg", "all", 10): Value(0.25, 0.0, 1.0, 40)}, known[1]),
    }
    return first, other, Findings(measured, {2: {("ndcg", "all", 10): lead}}, True)


def test_an_interval_that_holds_none_may_be_chance():
    first, other, found = findings(Value(0.01, -0.01, 0.03, 40))
    verdict = verdict_on(first, other, found)
    assert verdict.sentence == (
        "v3 finds 4% more than v2 of what buyers went for (NDCG@10 0.260 against 0.250, over 40 buyers); "
        "the 95 % interval of the difference, -0.010 to +0.030, includes 0, so it may be chance."
    )
    assert (verdict.winner, verdict.is_certain, verdict.caution) == (first, False, "")


def test_an_interval_without_zero_is_certain_whichever_version_leads():
    first, other, found = findings(Value(-0.05, -0.09, -0.01, 40))
    verdict = verdict_on(first, other, found)
    assert verdict.winner == other
    assert verdict.is_certain
    assert verdict.sentence.startswith("v2 finds 25% more than v3")
    assert "+0.010 to +0.090, lies above 0, so it is not chance." in verdict.sentence


def test_two_that_list_the_same_find_the_same():
    first, other, found = findings(Value(0.0, 0.0, 0.0, 40))
    verdict = verdict_on(first, other, found)
    assert verdict.sentence.startswith("v3 and v2 find the same")
    assert (verdict.winner, verdict.is_certain) == (None, True)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((0.9, 0.1), "v3 had learned from 90% of the tested events and v2 from 10%, which favours v3"),
        ((0.9, 0.9), "so the figures themselves flatter"),
        ((0.1, 0.9), "so the figures themselves flatter"),
        ((None, 0.0), "It was not noted"),
        ((0.0, 0.0), ""),
    ],
)
def test_a_version_that_had_learned_from_the_test_is_named(known: tuple, expected: str):
    first, other, found = findings(Value(0.01, 0.005, 0.03, 40), known)
    caution = verdict_on(first, other, found).caution
    assert expected in caution
    assert bool(expected) is bool(caution)


# --- What each is made of, and its lists -----------------------------------------------------------------------------
@DATABASE
def test_a_version_shows_its_weights_parameters_and_the_kinds_of_its_day():
    market = trained_market()
    made = lineage_of(market.version)
    assert made.run.parameters["prior_buyers"] == 20
    assert set(made.weights) == {"utility", "archetype", "demand", "freshness", "deal", "distance"}
    assert made.kinds["view"]["weight"] > 0
    assert made.n_archetypes > 0


@DATABASE
def test_a_version_whose_arrays_are_gone_shows_the_rest():
    made = lineage_of(RankerVersionFactory(status="retired", n_listings=7))
    assert (made.weights, made.kinds, made.n_archetypes) == ({}, {}, 0)
    assert "no artifact" in made.refusal


@DATABASE
def test_the_same_buyers_get_a_list_from_each_version_and_nothing_is_stored():
    market = trained_market()
    again = run_training(run_id=start_training(parameters={"prior_buyers": 20, "seed": 1}, promote=False).pk)
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    before = Interaction.objects.count(), ServedList.objects.count()
    first, *_ = sample_lists([market.version, again, RankerVersionFactory(status="retired")])
    assert first.buyer == buyer
    live, ready, retired = first.lists
    assert live
    assert ready
    assert retired is None
    assert first.n_shared == len({one.listing.pk for one in live} & {one.listing.pk for one in ready})
    assert (Interaction.objects.count(), ServedList.objects.count()) == before


# --- Asking all the same ---------------------------------------------------------------------------------------------
@DATABASE
def test_one_version_alone_cannot_be_asked_beside_another():
    with pytest.raises(RankerRefused, match="it takes two versions"):
        joint_parameters([RankerVersionFactory(), RankerVersionFactory(status="retired")])


@DATABASE
def test_they_are_asked_about_what_none_has_learned_from_where_enough_happened_since():
    listing = ListingFactory()
    known = InteractionFactory(listing=listing, occurred_at=MOMENT)
    one, two = RankerVersionFactory(last_interaction_id=1), RankerVersionFactory(last_interaction_id=known.pk)
    assert joint_parameters([two, one]) == {"version": two.pk, "beside": [one.pk], "with_baselines": False}
    for _ in range(30):
        InteractionFactory(listing=listing, occurred_at=datetime(2026, 2, 3, tzinfo=UTC))
    assert joint_parameters([two, one])["test_from"] == "2026-02-01T00:00:00.000001+00:00"
