"""The rules of a spot, what an experiment changes about them, and what they may not say."""

import re
from collections import Counter

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.engine.score_terms import TERMS
from recommendations.models import Experiment, Placement, ServedList
from recommendations.models.experiments import HOLDOUT
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.placements import VARIABLE_RULES, is_held_out, rules_of, variant_for
from recommendations.serving.rule_checks import (
    refuse_boosts,
    refuse_filters,
    refuse_rules,
    refuse_sources,
    refuse_variants,
)
from recommendations.serving.rules import Rules
from recommendations.serving.sources import DEFAULT_SHARES, shares_of
from tests.factories import BuyerFactory
from tests.markets import make_market, trained_market, view

AB = {"a": {"share": 0.5}, "b": {"share": 0.5, "overrides": {"diversity": 0.4, "filters": {"makes": ["bmw"]}}}}


# --- What a placement says -------------------------------------------------------------------------------------------
def test_a_share_that_is_not_given_keeps_its_default():
    shares = shares_of(Placement(sources={"trending": 0, "fresh": 0.5}))
    assert shares == {**DEFAULT_SHARES, "trending": 0, "fresh": 0.5}


def test_every_rule_reaches_the_policy():
    placement = Placement(
        diversity=0.3, max_per_model=2, max_per_seller=3, exploration_positions=2, promoted_share=0.2, fresh_share=0.15
    )
    policy = Rules(placement).policy(20)
    assert (policy.k, policy.diversity, policy.max_per_model, policy.max_per_seller) == (20, 0.3, 2, 3)
    assert (policy.exploration_share, policy.promoted_share, policy.fresh_share) == (0.1, 0.2, 0.15)


@pytest.mark.parametrize(("k", "share"), [(20, 0.05), (10, 0.1), (100, 0.01), (1, 0.95)])
def test_the_budget_of_exploration_is_in_positions_per_list_however_long_the_list(k, share):
    assert Rules(Placement(fresh_share=0.05)).policy(k).exploration_share == pytest.approx(share)


def test_a_budget_that_the_list_has_no_room_for_is_refused():
    with pytest.raises(ValidationError, match="exploration_positions"):
        refuse_rules(Placement(k=5, exploration_positions=6))


@pytest.mark.django_db
def test_a_placement_that_does_not_exist_has_the_rules_of_a_plain_list():
    rules = rules_of("nowhere", None)
    assert (rules.placement.pk, rules.variant, rules.filters) == (None, "", ListingFilters())


@pytest.mark.django_db
def test_rules_cost_one_query(django_assert_num_queries):
    Experiment.objects.create(slug="x", placement=Placement.objects.get(slug="home"), status="running", variants=AB)
    buyer = BuyerFactory()
    with django_assert_num_queries(1):
        rules_of("home", buyer)


# --- Experiments -----------------------------------------------------------------------------------------------------
def test_a_buyer_is_always_in_the_same_arm_and_arms_have_their_shares():
    variants = {"a": {"share": 1}, "b": {"share": 3}}
    arms = [variant_for("test", variants, buyer_id) for buyer_id in range(4_000)]
    assert arms == [variant_for("test", variants, buyer_id) for buyer_id in range(4_000)]
    assert 0.72 < Counter(arms)["b"] / 4_000 < 0.78


def test_two_experiments_divide_buyers_differently():
    variants = {"a": {"share": 0.5}, "b": {"share": 0.5}}
    both = Counter((variant_for("one", variants, n), variant_for("other", variants, n)) for n in range(2_000))
    assert min(both.values()) > 400


@pytest.mark.django_db
def test_an_arm_changes_the_rules_of_its_buyers_alone():
    placement = Placement.objects.get(slug="home")
    experiment = Experiment.objects.create(slug="x", placement=placement, status="running", variants=AB)
    rules = [rules_of("home", BuyerFactory(external=True)) for _ in range(12)]
    assert {rule.variant for rule in rules} == {"a", "b"}
    for rule in rules:
        assert rule.placement.diversity == (0.4 if rule.variant == "b" else placement.diversity)
        assert rule.filters.makes == (("bmw",) if rule.variant == "b" else ())
    assert rules_of("home", None).variant == ""
    experiment.status = "stopped"
    experiment.save()
    assert rules_of("home", BuyerFactory()).variant == ""
    placement.refresh_from_db()
    assert placement.diversity != 0.4


@pytest.mark.django_db
def test_the_holdout_takes_no_part_and_says_so():
    placement = Placement.objects.get(slug="home")
    Experiment.objects.create(slug="x", placement=placement, status="running", variants=AB, holdout=50)
    rules = [rules_of("home", BuyerFactory(external=True)) for _ in range(16)]
    assert {rule.variant for rule in rules} == {"a", "b", HOLDOUT}
    for rule in rules:
        assert rule.experiment == "x"
        assert rule.placement.diversity == (0.4 if rule.variant == "b" else placement.diversity)


def test_the_holdout_is_the_same_buyers_for_every_experiment_and_grows():
    few, many = ({n for n in range(2_000) if is_held_out("home", percent, n)} for percent in (10, 30))
    assert few < many
    assert 0.08 < len(few) / 2_000 < 0.12
    assert few != {n for n in range(2_000) if is_held_out("search", 10, n)}
    assert not any(is_held_out("home", 0, n) for n in range(2_000))


@pytest.mark.django_db
def test_buyers_of_an_arm_that_was_stopped_get_the_usual_lists():
    placement = Placement.objects.get(slug="home")
    stopped = {"b": {"at": "2026-01-01T00:00:00+00:00", "why": "harm"}}
    Experiment.objects.create(slug="x", placement=placement, status="running", variants=AB, stopped_arms=stopped)
    rules = [rules_of("home", BuyerFactory(external=True)) for _ in range(12)]
    assert {rule.variant for rule in rules} == {"a", ""}
    assert {rule.placement.diversity for rule in rules} == {placement.diversity}


@pytest.mark.django_db
def test_the_arm_is_written_down_with_the_list_and_decides_it(settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    market = trained_market()
    Experiment.objects.create(slug="x", placement=Placement.objects.get(slug="home"), status="running", variants=AB)
    seen = set()
    for _ in range(8):
        buyer = BuyerFactory(external=True)
        view(buyer, *market.skodas[:3])
        answer = recommend(ListRequest(buyer=buyer, k=5))
        variant = ServedList.objects.get(pk=answer.id).variant
        assert (answer.experiment, answer.variant) == ("x", variant)
        makes = {item.listing.make.slug for item in answer.items}
        assert (makes == {"bmw"}) is (variant == "b")
        seen.add(variant)
    assert seen == {"a", "b"}


@pytest.mark.django_db
def test_a_placement_runs_one_experiment_at_a_time():
    placement = Placement.objects.get(slug="home")
    Experiment.objects.create(slug="x", placement=placement, status="running", variants=AB)
    with pytest.raises(Exception, match="one_running_experiment_per_placement"), transaction.atomic():
        Experiment.objects.create(slug="y", placement=placement, status="running", variants=AB)


# --- Filters that always hold ----------------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("is_trained", [False, True])
def test_the_filters_of_a_placement_hold_together_with_those_asked_for(settings, is_trained):
    settings.WINDOW_STALENESS_SECONDS = 0
    market = trained_market() if is_trained else make_market()
    Placement.objects.update(filters={"makes": ["bmw"]})
    asked = ListingFilters(max_price=31_000)
    answer = recommend(ListRequest(buyer=None, k=20, filters=asked))
    expected = {car.pk for car in market.bmws if car.price <= 31_000}
    assert {item.listing.pk for item in answer.items} == expected
    assert ServedList.objects.get(pk=answer.id).filters == {"max_price": 31_000}  # what was asked
    assert recommend(ListRequest(buyer=None, filters=ListingFilters(makes=("skoda",)))).items == []


@pytest.mark.django_db
def test_a_car_that_left_the_filters_of_the_placement_a_moment_ago_is_gone(settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    trained_market()
    Placement.objects.update(filters={"max_price": 31_000, "makes": ["bmw"]})
    first = recommend(ListRequest(buyer=None)).items[0].listing
    settings.WINDOW_STALENESS_SECONDS = 3600
    Listing.objects.filter(pk=first.pk).update(price=50_000)
    assert first not in [item.listing for item in recommend(ListRequest(buyer=None)).items]


# --- What may not be said --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("refuse", "value", "complaint"),
    [
        (refuse_sources, [], "Write names and numbers"),
        (refuse_sources, {"magic": 1}, "Unknown sources: magic. Known are taste, neighbours"),
        (refuse_sources, {"trending": "much"}, "“trending” needs a number of at least 0"),
        (refuse_sources, {"trending": -1}, "“trending” needs a number of at least 0"),
        (refuse_sources, {"trending": True}, "“trending” needs a number of at least 0"),
        (refuse_sources, {"trending": float("inf")}, "“trending” needs a number of at least 0"),
        (refuse_sources, dict.fromkeys(DEFAULT_SHARES, 0), "Every source is switched off"),
        (refuse_boosts, {"taste": 1}, "Unknown terms: taste. Known are utility, archetype, demand"),
        (refuse_boosts, {"deal": None}, "“deal” needs a number"),
        (refuse_filters, "cheap", "Write filters by name"),
        (refuse_filters, {"price": 3}, "Unknown filters: price"),
        (refuse_filters, {"also": {}}, "Unknown filters: also"),
        (refuse_filters, {"makes": "bmw"}, "“makes” needs a list of texts"),
        (refuse_filters, {"makes": [1]}, "“makes” needs a list of texts"),
        (refuse_filters, {"max_price": "3"}, "“max_price” needs a number"),
        (refuse_filters, {"text": 3}, "“text” needs a text"),
        (refuse_filters, {"latitude": 50, "longitude": 10}, "radius_km is missing"),
        (refuse_variants, {"a": {"share": 1}}, "at least two variants"),
        (refuse_variants, [], "at least two variants"),
        (refuse_variants, {"a": {"share": 1}, "b": 1}, "“b” needs a share"),
        (refuse_variants, {"a": {"share": 1}, "b": {}}, "“b” needs a share above 0"),
        (refuse_variants, {"a": {"share": 1}, "b": {"share": 0}}, "“b” needs a share above 0"),
        (refuse_variants, {"a": {"share": 1}, "x" * 41: {"share": 1}}, "1 to 40 characters"),
        (refuse_variants, {"a": {"share": 1}, "b": {"share": 1, "override": {}}}, "Unknown parts of “b”: override"),
        (refuse_variants, {"a": {"share": 1}, "b": {"share": 1, "overrides": []}}, "need rules by name"),
        (refuse_variants, {"a": {"share": 1}, "b": {"share": 1, "overrides": {"k": 5}}}, "Unknown rules in “b”: k"),
        (
            refuse_variants,
            {"a": {"share": 1}, "b": {"share": 1, "overrides": {"diversity": 2}}},
            "In “b”: Ensure this value is less than or equal to 1",
        ),
        (
            refuse_variants,
            {"a": {"share": 1}, "b": {"share": 1, "overrides": {"max_per_model": "many"}}},
            "In “b”: .*must be an integer",
        ),
        (
            refuse_variants,
            {"a": {"share": 1}, "b": {"share": 1, "overrides": {"sources": {"magic": 1}}}},
            "In “b”: Unknown sources: magic",
        ),
        (
            refuse_variants,
            {"a": {"share": 1}, "b": {"share": 1, "overrides": {"exploration_positions": 18, "fresh_share": 0.9}}},
            "In “b”: Exploration, promotion and fresh listings together",
        ),
    ],
)  # fmt: skip
def test_nonsense_is_refused_in_words(refuse, value, complaint):
    with pytest.raises(ValidationError, match=complaint):
        refuse(value)


def test_what_makes_sense_is_accepted():
    refuse_sources({"trending": 0, "taste": 2})
    refuse_boosts({"deal": 0, "distance": 1.5})
    refuse_filters({"makes": ["bmw"], "max_price": 3, "latitude": 1, "longitude": 2, "radius_km": 3, "text": "red"})
    refuse_variants(AB)
    refuse_rules(Placement())


def test_an_arm_is_judged_together_with_its_placement():
    placement = Placement(promoted_share=0.6)
    variants = {"a": {"share": 1}, "b": {"share": 1, "overrides": {"exploration_positions": 10}}}
    refuse_variants(variants)
    with pytest.raises(ValidationError, match="together"):
        refuse_variants(variants, placement)


def test_the_documentation_names_every_rule_source_and_term():
    text = (settings.BASE_DIR / "docs" / "lists.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \|.*\| ([\d.]+) \|$", text, re.M))
    assert {name: float(share) for name, share in rows.items()} == DEFAULT_SHARES
    for name in (*VARIABLE_RULES, *TERMS):
        assert f"`{name}`" in text
