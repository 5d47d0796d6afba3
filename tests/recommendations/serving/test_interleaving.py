"""Variants that name a ranker version, and two that make lists together: in serving, in the record, in words."""

import copy
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Listing
from recommendations.evaluation.experiment_watch import watch
from recommendations.insight.past_lists import explained
from recommendations.insight.what_if import WhatIf, answer
from recommendations.listings import index, other_versions
from recommendations.listings.index import drop_index
from recommendations.merchandising.rules import forget_rules
from recommendations.models import Experiment, MerchandisingRule, Placement, Preference, RankerVersion, ServedList
from recommendations.serving import lists, recommended, selection
from recommendations.serving.interleaving import team_draft
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.reading import read_for_list
from recommendations.serving.rows import rows_for_sale
from recommendations.training.runs import run_training, start_training
from recommendations.training.versions import promote_ranker, retire_old_rankers, retire_ranker
from tests.factories import BuyerFactory
from tests.markets import trained_market, view

CARS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)
DEARER = {"overrides": {"diversity": 0.0, "exploration_positions": 0, "filters": {"makes": ["bmw"]}}}


# --- The draft -------------------------------------------------------------------------------------------------------
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(CARS, CARS, st.integers(0, 10), st.integers(0, 2**16))
def test_a_draft_holds_the_best_of_both_each_car_once(one, other, k, coins):
    chosen = team_draft((one, other), k, lambda number: bool(coins >> number & 1))
    cars = [(one, other)[team][at] for team, at in chosen]
    assert len(cars) == len(set(cars)) == min(k, len({*one, *other}))
    for team, own in enumerate((one, other)):
        ranks = [at for side, at in chosen if side == team]
        assert ranks == sorted(ranks)
        left = [own.index(car) for car in own if car not in cars]
        assert all(at < rank for at in ranks for rank in left)  # nothing better of its own was passed over


def test_two_lists_that_are_the_same_have_the_same_share_of_every_place():
    rng = np.random.default_rng(3)
    cars = list("abcdef")
    places = Counter()
    for _ in range(2000):
        flips = rng.random(6) < 0.5
        places.update((at, team) for at, (team, _) in enumerate(team_draft((cars, cars), 6, lambda n: flips[n])))  # noqa: B023
    assert all(0.46 < places[at, 1] / 2000 < 0.54 for at in range(6))


# --- Lists -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def _versions_for_module(django_db_setup, django_db_blocker) -> Iterator[tuple[RankerVersion, RankerVersion]]:
    with django_db_blocker.unblock(), transaction.atomic():
        market = trained_market(8)
        view(BuyerFactory(external=True), *market.bmws[:4])
        other = run_training(run_id=start_training(parameters={"prior_buyers": 5}, promote=False).pk)
        assert market.version
        assert other
        yield market.version, other
        transaction.set_rollback(True)


@pytest.fixture
def versions(_versions_for_module, db, settings) -> tuple[RankerVersion, RankerVersion]:
    """The live version, and one that learned with another prior; what is served is written at once."""
    settings.SERVED_LIST_THREAD, settings.WINDOW_STALENESS_SECONDS = False, 0
    other_versions._held.clear()
    return copy.deepcopy(_versions_for_module)


def experiment(variants: dict, **given) -> Experiment:
    home = Placement.objects.get(slug="home")
    Placement.objects.filter(pk=home.pk).update(
        exploration_positions=0, fresh_share=0, max_per_model=0, max_per_seller=0
    )
    started = {"status": "running", "started_at": timezone.now()}
    return Experiment.objects.create(slug="x", placement=home, variants=variants, **started, **given)


def seen_buyer() -> object:
    buyer = BuyerFactory(external=True)
    view(buyer, *Listing.objects.filter(make__name="Skoda")[:3])
    return buyer


@pytest.mark.parametrize("window", [10_000, 5])
def test_the_buyers_of_a_variant_get_lists_by_the_version_that_it_names(versions, settings, window):
    """From memory, and through pgvector where the stock is beyond a window."""
    settings.WINDOW_MAX_LISTINGS = window
    drop_index()
    live, other = versions
    experiment({"a": {"share": 1e-9}, "b": {"share": 1, "version": other.pk}})
    buyer = seen_buyer()
    listed = recommend(ListRequest(buyer=buyer, k=6))
    assert (listed.variant, listed.experiment, listed.version_id) == ("b", "x", other.pk)
    by_hand = answer(WhatIf(buyer=buyer, k=6, version_id=other.pk))
    assert [item.listing.pk for item in listed.items] == [item.listing.pk for item in by_hand.recommended.items]
    assert all(sum(item.terms.values()) == pytest.approx(item.score) for item in listed.items)
    assert ServedList.objects.get(pk=listed.id).version_id == other.pk
    assert Preference.objects.filter(buyer=buyer, version=other, n_interactions=3).exists()
    assert answer(WhatIf(buyer=buyer, k=6)).recommended.version_id == other.pk  # the lab shows what is served
    assert recommend(ListRequest(buyer=None, k=6)).version_id == live.pk
    view(buyer, Listing.objects.filter(make__name="BMW")[0])
    assert recommend(ListRequest(buyer=buyer, k=6)).n_events == 4


def test_a_version_that_a_variant_names_is_kept_and_one_that_is_gone_ends_the_experiment(versions):
    _, other = versions
    row = experiment({"a": {"share": 1}, "b": {"share": 1000, "version": other.pk}})
    assert other not in retire_old_rankers(keep=1)
    retire_ranker(other)
    other_versions._held.clear()
    listed = recommend(ListRequest(buyer=seen_buyer(), k=6))
    assert (listed.variant, len(listed.items)) == ("", 6)
    watch()
    row.refresh_from_db()
    assert (row.status, row.stop_reason.startswith(f"The ranker version v{other.pk}")) == ("stopped", True)


@pytest.mark.parametrize("window", [10_000, 5])
def test_two_variants_make_a_list_together_and_the_record_says_who_chose_what(versions, settings, window):
    settings.WINDOW_MAX_LISTINGS = window
    drop_index()
    _, other = versions
    experiment({"a": {"share": 1}, "b": {"share": 1, "version": other.pk, **DEARER}}, mode="interleaved", control="a")
    buyer = seen_buyer()
    listed = recommend(ListRequest(buyer=buyer, k=8))
    assert (listed.variant, listed.experiment) == ("interleaved", "x")
    assert [item.position for item in listed.items] == list(range(1, 9))
    assert len({item.listing.pk for item in listed.items}) == 8
    teams = [item.team for item in listed.items]
    assert (teams.count("a"), teams.count("b")) == (4, 4)
    assert {item.listing.make.name for item in listed.items if item.team == "b"} == {"BMW"}
    assert all((item.placed_by, item.propensity) == ("interleaved", None) for item in listed.items)
    served = ServedList.objects.select_related("placement").get(pk=listed.id)
    assert served.teams == "".join(teams)
    said = explained(served)
    assert [one.chosen_by for one in said] == teams
    assert all(one.terms for one in said)
    again = recommend(ListRequest(buyer=buyer, k=8))
    assert [item.listing.pk for item in again.items] == [item.listing.pk for item in listed.items]
    further = recommend(
        ListRequest(buyer=buyer, k=4, goes_on_from=listed.id, starts_after=8, left_out=frozenset(served.listing_ids))
    )
    assert not {item.listing.pk for item in further.items} & set(served.listing_ids)


@pytest.mark.parametrize("names", ["", "a", "b", "ab"])
def test_each_car_is_explained_by_the_version_of_the_variant_that_chose_it(versions, names):
    """Also after a promotion, and by whichever was live where a variant names none."""
    _, other = versions
    named = {name: {"version": other.pk} if name in names else {} for name in "ab"}
    variants = {name: {"share": 1, "overrides": {"diversity": 0.0}, **given} for name, given in named.items()}
    experiment(variants, mode="interleaved", control="a")
    listed = recommend(ListRequest(buyer=seen_buyer(), k=8))
    promote_ranker(version=other, note="better")
    drop_index()
    said = explained(ServedList.objects.select_related("placement").get(pk=listed.id))
    assert {one.chosen_by for one in said} == {"a", "b"}
    for one, item in zip(said, listed.items, strict=True):
        assert one.terms == pytest.approx(item.terms, abs=0.01)
        assert one.is_exact


def test_what_steps_back_is_that_of_each_variant_where_two_make_a_list(versions):
    """How often a car may be shown is a rule of its own for each: the rival must not go by the control's."""
    often, once = {"overrides": {"times_shown_at_most": 100}}, {"overrides": {"times_shown_at_most": 1}}
    experiment({"a": {"share": 1, **often}, "b": {"share": 1, **once}}, mode="interleaved", control="a")
    buyer = seen_buyer()
    first = recommend(ListRequest(buyer=buyer, k=4))
    seen = {item.listing.pk for item in first.items}
    second = recommend(ListRequest(buyer=buyer, k=4))
    assert {item.team for item in second.items} == {"a", "b"}
    assert {item.listing.pk in seen for item in second.items if item.team == "a"} == {True}
    assert {item.listing.pk in seen for item in second.items if item.team == "b"} == {False}


def test_without_the_version_of_a_variant_its_rules_of_stepping_back_do_not_hold_either(versions):
    row = experiment({"a": {"share": 1e-9}, "b": {"share": 1, "version": 999_999, "overrides": {}}})
    buyer = seen_buyer()
    first = [item.listing.pk for item in recommend(ListRequest(buyer=buyer, k=4)).items]
    row.variants["b"]["overrides"] = {"times_shown_at_most": 1}
    row.save()
    again = recommend(ListRequest(buyer=buyer, k=4))
    assert (again.variant, [item.listing.pk for item in again.items]) == ("", first)


def test_pins_and_caps_hold_for_the_list_that_two_make(versions):
    experiment({"a": {"share": 1}, "b": {"share": 1, **DEARER}}, mode="interleaved", control="a")
    car = Listing.objects.filter(make__name="Skoda").last()
    pin = MerchandisingRule.objects.create(name="p", action="pin", position=2, n_pinned=1, is_active=True)
    pin.listings.set([car])
    MerchandisingRule.objects.create(name="c", action="cap", share=25, is_active=True, target={"makes": ["bmw"]})
    forget_rules()
    listed = recommend(ListRequest(buyer=seen_buyer(), k=8))
    assert (listed.items[1].listing, listed.items[1].team, listed.items[1].placed_by) == (car, "-", "pinned")
    assert sum(item.listing.make.name == "BMW" for item in listed.items) == 2
    assert len(listed.items) == 8


def test_a_variant_that_was_stopped_leaves_the_usual_lists(versions):
    experiment({"a": {"share": 1}, "b": {"share": 1, **DEARER}}, mode="interleaved", control="a",
               stopped_arms={"b": {"at": "2026-03-01T00:00:00+00:00", "why": "harm"}})  # fmt: skip
    listed = recommend(ListRequest(buyer=seen_buyer(), k=8))
    assert (listed.variant, {item.team for item in listed.items}) == ("", {""})


def test_a_version_that_goes_live_serves_its_variant_from_the_one_index(versions):
    _, other = versions
    promote_ranker(version=other, note="better")
    drop_index()
    experiment({"a": {"share": 1}, "b": {"share": 1000, "version": other.pk}})
    listed = recommend(ListRequest(buyer=seen_buyer(), k=6))
    assert (listed.variant, listed.version_id) == ("b", other.pk)


def test_lists_by_a_version_take_no_room_among_those_that_are_kept(versions):
    live, other = versions
    row = experiment({"a": {"share": 1e-9}, "b": {"share": 1, "version": other.pk}})
    buyer, known = seen_buyer(), set(recommended.LISTS._kept)
    one, two = (recommend(ListRequest(buyer=buyer, k=6)).items for _ in range(2))
    assert [(item.listing.pk, item.terms, item.reason) for item in one] == [
        (item.listing.pk, item.terms, item.reason) for item in two
    ]
    assert set(recommended.LISTS._kept) == known
    row.variants["b"]["version"] = live.pk
    row.save()
    one, two = (recommend(ListRequest(buyer=buyer, k=6)).items for _ in range(2))
    assert one is two  # by the live one they are kept, also where it is named


def test_naming_the_live_version_keeps_no_other_list_waiting(versions, monkeypatch):
    """Rows are read from the database while other threads may have the index, as for lists that name no version."""
    live, _ = versions
    experiment({"a": {"share": 1e-9}, "b": {"share": 1, "version": live.pk}})
    buyer, borrowed = seen_buyer(), []

    def rows(*args):
        borrowed.append(index._n_borrowed)
        return rows_for_sale(*args)

    monkeypatch.setattr(selection, "rows_for_sale", rows)
    listed = recommend(ListRequest(buyer=buyer, k=6))
    assert (listed.variant, listed.version_id, len(listed.items)) == ("b", live.pk, 6)
    assert set(borrowed) == {0}


def test_a_promotion_while_a_list_is_made_leaves_it_to_the_version_that_is_named(versions, monkeypatch):
    live, other = versions
    experiment({"a": {"share": 1e-9}, "b": {"share": 1, "version": live.pk}})
    buyer = seen_buyer()

    def read_and_promote(*args):
        reading = read_for_list(*args)
        promote_ranker(version=other, note="better")
        drop_index()
        return reading

    monkeypatch.setattr(lists, "read_for_list", read_and_promote)
    assert recommend(ListRequest(buyer=buyer, k=6)).version_id == live.pk
