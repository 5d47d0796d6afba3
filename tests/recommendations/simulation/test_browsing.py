from dataclasses import fields, replace

import numpy as np
import pytest

from catalog.filters import ListingFilters
from recommendations.engine.encoder import fit_encoder
from recommendations.simulation.browsing import (
    CONTACT,
    DISLIKE,
    EVENT_KINDS,
    FAVOURITE,
    LIST_KINDS,
    NOTHING,
    POPULAR,
    RANDOM,
    SEARCH,
    SEARCHED,
    VIEW,
    CodedTable,
    TrueTaste,
    choice_scores,
    fixed_normal,
    oracle_share,
    simulate,
    utility,
)
from recommendations.simulation.buyers import KINDS, Menu, draw_buyers, draw_taste
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.market import DAY, build_market, read_towns

MENU = Menu.of(read_specs())
MARKET = build_market(1_500, seed=3, anchor_year=2026)
BUYERS = draw_buyers(80, 3, MENU, read_towns())
HISTORY = simulate(MARKET, BUYERS, 6_000, seed=3)
CODED = CodedTable(MARKET.table)


def events(kind):
    return np.flatnonzero(HISTORY.event_kind == kind)


def standing_of(kind):
    """Utility to their buyers of the cars of events of a kind, in standard deviations of the whole stock."""
    standings = []
    for event in events(kind):
        taste = BUYERS[HISTORY.event_buyer[event]].taste
        worth = utility(taste, CODED, HISTORY.event_s[event] / DAY)
        standings.append((worth[HISTORY.event_row[event]] - worth.mean()) / worth.std())
    return np.mean(standings)


def test_there_are_exactly_as_many_events_as_asked_for_oldest_first():
    assert HISTORY.n_events == 6_000
    assert (np.diff(HISTORY.event_s) <= 0).all()
    assert (np.diff(HISTORY.list_s) <= 0).all()
    assert HISTORY.event_s.min() > 0


def test_every_event_with_a_car_is_at_its_place_in_the_list_it_came_from():
    rows = np.flatnonzero(HISTORY.event_kind != SEARCH)
    shown = HISTORY.list_rows[HISTORY.event_list[rows], HISTORY.event_position[rows] - 1]
    np.testing.assert_array_equal(shown, HISTORY.event_row[rows])
    np.testing.assert_array_equal(HISTORY.list_buyer[HISTORY.event_list], HISTORY.event_buyer)
    assert (HISTORY.list_s[HISTORY.event_list[rows]] > HISTORY.event_s[rows]).all()


def test_no_buyer_is_shown_a_car_twice_in_a_list_or_one_that_was_not_for_sale():
    for rows, moment in zip(HISTORY.list_rows, HISTORY.list_s, strict=True):
        shown = rows[rows != NOTHING]
        assert len(np.unique(shown)) == len(shown)
        assert MARKET.is_on_sale(shown, moment).all()


def test_searches_have_a_query_that_the_catalogue_understands_and_find_what_it_asks_for():
    for event in events(SEARCH)[:100]:
        query = HISTORY.list_query[HISTORY.event_list[event]]
        asked = ListingFilters.from_query(query)
        assert asked.as_query() == query
        found = HISTORY.list_rows[HISTORY.event_list[event]]
        table = MARKET.table.take(found[found != NOTHING])
        assert ((table.price >= asked.min_price) & (table.price <= asked.max_price)).all()
        assert set(table.make) <= set(asked.makes or table.make)
        assert set(table.body) <= set(asked.bodies or table.body)


def test_only_searches_have_a_query():
    has_query = np.array([bool(query) for query in HISTORY.list_query])
    np.testing.assert_array_equal(has_query, HISTORY.list_kind == SEARCHED)
    assert (HISTORY.event_row[events(SEARCH)] == NOTHING).all()
    assert (HISTORY.event_position[events(SEARCH)] == 0).all()


def test_the_kinds_of_events_come_in_plausible_shares():
    shares = np.bincount(HISTORY.event_kind, minlength=len(EVENT_KINDS)) / HISTORY.n_events
    assert 0.55 < shares[VIEW] < 0.8
    assert 0.08 < shares[SEARCH] < 0.25
    assert 0.02 < shares[CONTACT] < shares[FAVOURITE] < 0.15
    assert 0.01 < shares[DISLIKE] < 0.1


def test_what_is_opened_is_liked_more_than_the_stock_and_what_is_called_about_most_of_all():
    opened, kept, called, waved_away = (standing_of(kind) for kind in (VIEW, FAVOURITE, CONTACT, DISLIKE))
    assert waved_away < -0.3
    assert 0.6 < opened < kept < called


def test_cars_at_the_top_of_a_list_are_opened_more_often():
    positions = HISTORY.event_position[events(VIEW)]
    assert (positions <= 5).sum() > 1.3 * ((positions > 10) & (positions <= 15)).sum()


def test_popular_lists_hold_more_sought_after_cars_than_random_ones():
    appeal = [
        MARKET.appeal[rows[rows != NOTHING]].mean()
        for rows in (HISTORY.list_rows[HISTORY.list_kind == kind] for kind in (POPULAR, RANDOM))
    ]
    assert appeal[0] > appeal[1] + 0.5
    assert len(LIST_KINDS) == 3


def test_some_cars_are_opened_far_more_often_than_others():
    counts = np.sort(np.bincount(HISTORY.event_row[events(VIEW)], minlength=len(MARKET)))[::-1]
    assert counts[:150].sum() > 0.25 * counts.sum()


def test_a_seed_gives_the_same_history_and_another_seed_another():
    again, other = (simulate(MARKET, BUYERS, 600, seed) for seed in (3, 4))
    first = simulate(MARKET, BUYERS, 600, seed=3)
    for field in fields(first):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(first, field.name))
    assert (other.event_row != first.event_row).any()


def test_a_buyer_is_the_same_person_however_many_there_are():
    assert draw_buyers(5, 3, MENU, read_towns()) == BUYERS[:5]


def test_all_types_of_buyers_are_about():
    assert {buyer.taste.kind for buyer in draw_buyers(300, 1, MENU, read_towns())} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_taste_is_finite_over_the_whole_market_and_survives_json(kind):
    taste = draw_taste(np.random.default_rng(1), kind, MENU)
    assert TrueTaste.from_json(taste.to_json()) == taste
    for days_ago in (0, 30):
        worth = utility(taste, CODED, days_ago)
        assert np.isfinite(worth).all()
        assert worth.std() > 0.5


def test_a_family_wants_other_cars_than_an_enthusiast():
    rng = np.random.default_rng(5)
    means = {}
    for kind in ("family", "enthusiast"):
        tastes = [draw_taste(rng, kind, MENU) for _ in range(20)]
        means[kind] = np.mean([taste.levels["body"]["mpv"] - taste.levels["body"]["coupe"] for taste in tastes])
    assert means["family"] > means["enthusiast"] + 2


def test_a_type_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="astronaut"):
        draw_taste(np.random.default_rng(1), "astronaut", MENU)


def test_scores_sorted_downwards_are_draws_of_a_logit():
    worth = np.tile(np.log([0.6, 0.3, 0.1]), (20_000, 1))
    first = choice_scores(worth, 0.0, np.random.default_rng(1)).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(first) / len(first), [0.6, 0.3, 0.1], atol=0.02)


def test_position_bias_halves_the_odds_of_the_second_place_at_log_two():
    first = choice_scores(np.zeros((20_000, 2)), np.log(2), np.random.default_rng(1)).argmax(axis=1)
    assert (first == 0).mean() == pytest.approx(2 / 3, abs=0.02)


def test_fixed_normals_are_normal_and_stay():
    rows = np.arange(50_000)
    drawn = fixed_normal(123, rows)
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.std() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(fixed_normal(123, rows[7:9]), drawn[7:9])
    assert abs(np.corrcoef(drawn, fixed_normal(124, rows))[0, 1]) < 0.02


def test_a_market_of_one_car_makes_events_all_the_same():
    history = simulate(MARKET.take(slice(0, 1)), BUYERS[:3], 50, seed=1)
    assert history.n_events == 50
    assert set(history.event_row.tolist()) <= {NOTHING, 0}


def test_where_everything_was_sold_long_ago_people_only_search():
    market = MARKET.take(np.arange(10))
    gone = replace(market, published_s=np.full(10, 110 * DAY), ended_s=np.full(10, 100 * DAY))
    assert (simulate(gone, BUYERS[:3], 20, seed=1).event_kind == SEARCH).all()


def test_no_events_are_an_empty_history():
    history = simulate(MARKET, BUYERS, 0, seed=1)
    assert history.n_events == history.n_lists == 0


def test_events_without_a_buyer_or_a_listing_are_refused():
    with pytest.raises(ValueError, match="at least one listing and one buyer"):
        simulate(MARKET, [], 5, seed=1)
    with pytest.raises(ValueError, match="at least one listing and one buyer"):
        simulate(MARKET.take(slice(0, 0)), BUYERS, 5, seed=1)


def shares(score_of_buyer):
    """Share of the oracle's utility that each buyer's 20 best live cars by some score collect."""
    live = np.flatnonzero(MARKET.status == "live")
    got = []
    for buyer in BUYERS:
        worth = utility(buyer.taste, CODED.take(live))
        best = np.argsort(-score_of_buyer(worth, live), kind="stable")[:20]
        got.append(oracle_share(worth, best))
    return np.array(got)


def test_a_linear_score_over_encoded_cars_can_serve_most_buyers_nearly_as_well_as_the_truth():
    vectors = fit_encoder(MARKET.table).encode(MARKET.table).astype(np.float64)

    def ridge(worth, live):
        x = vectors[live] - vectors[live].mean(axis=0)
        return x @ np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ (worth - worth.mean()))

    assert np.quantile(shares(ridge), 0.2) > 0.93


def test_popular_cars_serve_all_buyers_better_than_chance_and_none_really_well():
    counts = np.bincount(HISTORY.event_row[events(VIEW)], minlength=len(MARKET))
    by_popularity = shares(lambda worth, live: counts[live])
    assert 0.35 < by_popularity.mean() < 0.7
