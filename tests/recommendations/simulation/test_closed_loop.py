import numpy as np
import pytest

from recommendations.engine.encoder import fit_encoder
from recommendations.simulation.buyers import Menu, draw_buyers
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.closed_loop import (
    LoopConfig,
    LoopReport,
    ShowBest,
    ShowLikeLiked,
    ShowPopular,
    best_rows,
    run_loop,
    show_random,
)
from recommendations.simulation.market import build_market, read_towns

MARKET = build_market(800, seed=2, anchor_year=2026)
BUYERS = draw_buyers(25, 2, Menu.of(read_specs()), read_towns())
CONFIG = LoopConfig(n_rounds=12)


@pytest.fixture(scope="module")
def reports():
    vectors = fit_encoder(MARKET.table).encode(MARKET.table)
    recommenders = {
        "random": show_random,
        "popular": ShowPopular(np.zeros(len(MARKET))),
        "like_liked": ShowLikeLiked(vectors),
        "oracle": ShowBest(MARKET, BUYERS),
    }
    return {name: run_loop(MARKET, BUYERS, recommend, CONFIG) for name, recommend in recommenders.items()}


def test_the_oracle_has_all_there_is_and_no_regret_once_tastes_have_settled(reports):
    np.testing.assert_allclose(reports["oracle"].share[-1], 1.0)
    np.testing.assert_allclose(reports["oracle"].regret[-1], 0.0, atol=1e-9)


def test_random_lists_collect_what_chance_gives(reports):
    assert np.mean(reports["random"].share) == pytest.approx(0, abs=0.05)


def test_baselines_lie_between_chance_and_the_oracle(reports):
    for name in ("popular", "like_liked"):
        share = np.nanmean(reports[name].share_after(10))
        assert np.nanmean(reports["random"].share_after(10)) + 0.1 < share < 0.95


def test_regret_adds_up_and_is_smallest_for_the_oracle(reports):
    totals = {name: report.cumulative_regret for name, report in reports.items()}
    assert all((np.diff(total) >= -1e-9).all() for total in totals.values())
    assert totals["oracle"][-1] < totals["like_liked"][-1] < totals["random"][-1]


def test_the_same_seed_runs_the_same_loop(reports):
    again = run_loop(MARKET, BUYERS, show_random, CONFIG)
    np.testing.assert_array_equal(again.share, reports["random"].share)


def test_a_recommender_is_given_what_was_shown_and_chosen_and_what_is_for_sale():
    seen = []

    def recommend(asked):
        seen.append(asked)
        return show_random(asked)

    run_loop(MARKET, BUYERS[:2], recommend, LoopConfig(n_rounds=3, k=5, views=2, search_share=0))
    assert [asked.number for asked in seen] == [0, 1, 2]
    assert seen[2].age_days.tolist() == [1.0, 0.5]
    assert seen[2].shown.shape == (2, 2, 5)
    assert seen[2].chosen.shape == (2, 2, 2)
    for shown, chosen in zip(seen[2].shown.reshape(-1, 5), seen[2].chosen.reshape(-1, 2), strict=True):
        assert set(chosen) <= set(shown)
    assert set(np.flatnonzero(np.isin(MARKET.status, ("live", "reserved")))) == set(seen[2].live)
    assert (seen[0].live.tolist()) != seen[2].live.tolist()


def test_every_opened_car_and_every_search_is_an_event(reports):
    before = reports["random"].n_events
    np.testing.assert_array_equal(before[0], 0)
    assert set(np.diff(before, axis=0).ravel().tolist()) == {1, 2}, "a search and the car opened from it are two"
    with pytest.raises(ValueError, match="50 events"):
        np.nanmean(reports["random"].share_after(50))


def test_the_share_after_some_events_is_that_of_the_first_list_thereafter():
    report = LoopReport(
        share=np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]),
        regret=np.zeros((3, 2)),
        n_events=np.array([[0, 0], [2, 1], [4, 1]]),
    )
    np.testing.assert_array_equal(report.share_after(1), [0.3, 0.4])
    np.testing.assert_array_equal(report.share_after(2), [0.3, np.nan])
    assert np.nanmean(report.share_after(3)) == 0.5


def test_a_search_leaves_the_list_aside_and_finds_cars_near_the_budget():
    seen = []

    def recommend(asked):
        seen.append(asked)
        return show_random(asked)

    run_loop(MARKET, BUYERS, recommend, LoopConfig(n_rounds=8, search_share=0.25))
    last = seen[-1]
    has_searched = np.array([[searched is not None for searched in row] for row in last.searched])
    assert 0.15 < has_searched.mean() < 0.35
    for number, buyer in zip(*np.nonzero(has_searched), strict=True):
        query, found = last.searched[number][buyer], last.shown[number, buyer]
        found = found[found >= 0]
        assert np.isin(found, seen[number].live).all()
        assert last.chosen[number, buyer, 0] in [*found, -1]
        prices = MARKET.table.price[found]
        assert ((prices >= query["min_price"]) & (prices <= query["max_price"])).all()
        if BUYERS[buyer].taste.former is None:
            assert 0.35 < query["min_price"] / BUYERS[buyer].taste.budget < query["max_price"] < 1e6


def test_all_buyers_search_alike_whichever_recommender_serves():
    searched = {}
    for name, recommend in (("random", show_random), ("oracle", ShowBest(MARKET, BUYERS))):

        def remember(asked, recommend=recommend, name=name):
            searched[name] = [search for row in asked.searched for search in row]
            return recommend(asked)

        run_loop(MARKET, BUYERS, remember, LoopConfig(n_rounds=4, search_share=0.5))
    assert any(searched["random"])
    assert searched["random"] == searched["oracle"]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda asked: np.zeros((1, 3), int), "shape"),
        (lambda asked: np.repeat(asked.live[:1], asked.k)[None], "twice"),
        (lambda asked: np.setdiff1d(np.arange(len(MARKET)), asked.live)[None, : asked.k], "not for sale"),
    ],
)
def test_a_recommender_that_breaks_the_rules_is_stopped(answer, complaint):
    with pytest.raises(ValueError, match=complaint):
        run_loop(MARKET, BUYERS[:1], answer, LoopConfig(n_rounds=2, k=4))


def test_where_less_is_for_sale_than_a_list_is_long_places_stay_empty():
    few = MARKET.take(np.flatnonzero(MARKET.status == "live")[:3])
    report = run_loop(few, BUYERS[:2], show_random, LoopConfig(n_rounds=1, k=5))
    np.testing.assert_allclose(report.share, 1.0)


def test_best_rows_are_best_first_and_ties_go_to_the_lower_row():
    live = np.array([10, 20, 30])
    np.testing.assert_array_equal(best_rows(np.array([1.0, 2.0, 2.0]), live, 2), [[20, 30]])
    np.testing.assert_array_equal(best_rows(np.array([[1.0, 2.0, 3.0]]), live, 5), [[30, 20, 10, -1, -1]])


def test_a_loop_that_makes_no_sense_is_refused_by_name():
    with pytest.raises(ValueError, match="n_rounds"):
        LoopConfig(n_rounds=0)
    with pytest.raises(ValueError, match="hours"):
        LoopConfig(hours=0)
    with pytest.raises(ValueError, match="search_share"):
        LoopConfig(search_share=1.5)
    with pytest.raises(ValueError, match="at least one buyer"):
        run_loop(MARKET, [], show_random)
