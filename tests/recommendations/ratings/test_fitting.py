"""Chains find a planted truth, can be repeated, and stop when more does no good."""

import numpy as np
import pytest

from recommendations.ratings.baselines import BiasTerms, rmse
from recommendations.ratings.exceptions import RatingsError
from recommendations.ratings.fitting import FitConfig, fit, validation_task
from recommendations.ratings.gibbs import PERSON_IDS, Standard, sample
from recommendations.ratings.loaded import no_report
from recommendations.ratings.posterior import estimates, fold_in
from recommendations.ratings.table import RatingTable
from recommendations.ratings.validation import (
    STEADY_DRAWS,
    Progress,
    ValidationChain,
    ValidationTask,
    best_weight,
    validate,
)


def planted(n_people=150, n_items=60, seed=0) -> RatingTable:
    """Half of all pairs; ratings of rank two around 0, without rounding, with noise of 0.3."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n_people, 2)) @ rng.normal(size=(2, n_items)) + rng.normal(size=n_items)
    people, items = np.nonzero(rng.random(truth.shape) < 0.5)
    ratings = truth[people, items] + rng.normal(scale=0.3, size=len(people))
    return RatingTable(
        [f"p{row}" for row in range(n_people)], [f"i{row}" for row in range(n_items)],
        people.astype(np.int32), items.astype(np.int32), ratings,
    )  # fmt: skip


def rmse_of(table: RatingTable, test: RatingTable, config: FitConfig) -> float:
    fitted = fit(table, config, no_report)
    rated, errors = table.matrix(), []
    for person in np.unique(test.person_rows):
        is_own = test.person_rows == person
        belief = fold_in(fitted.draws, rated[person].indices, fitted.standard.units(rated[person].data))
        said = fitted.standard.stars(estimates(fitted.draws, belief, test.item_rows[is_own]))
        errors.append(said - test.ratings[is_own])
    return rmse(np.concatenate(errors), np.zeros(len(test)))


def test_a_planted_low_rank_is_found_where_bias_terms_cannot_follow():
    train, test = planted().split(0.1, np.random.default_rng(1))
    error = rmse_of(train, test, FitConfig(n_factors=6, n_draws=60, burn_in=20, n_kept=20))
    by_bias = rmse(BiasTerms.fit(train).estimates(test.person_rows, test.item_rows), test.ratings)
    assert error < 0.45 < 1.2 < by_bias


@pytest.mark.parametrize(("low", "step"), [(1.0, 1.0), (0.5, 0.5), (0.0, 2.5)])
def test_the_scale_of_the_stars_does_not_matter(low, step):
    """Ratings moved and stretched give the same draws, and so the same estimates moved and stretched."""
    table = planted(n_people=40, n_items=20)
    moved = RatingTable(table.people, table.items, table.person_rows, table.item_rows, low + step * table.ratings)
    config = FitConfig(n_factors=3, n_draws=12, burn_in=4, n_kept=4, validation_share=0)
    here, there = fit(table, config, no_report), fit(moved, config, no_report)
    np.testing.assert_allclose(here.draws.item_vectors, there.draws.item_vectors, atol=1e-3)
    assert there.standard.std == pytest.approx(step * here.standard.std)


def states(table: RatingTable, n_draws: int, seed: int) -> list[float]:
    seen: list[float] = []
    sample(
        table, Standard.of(table.ratings), n_factors=3, n_draws=n_draws, seed=seed,
        on_draw=lambda _number, draw: seen.append(draw.noise_precision),
    )  # fmt: skip
    return seen


def test_a_seed_gives_the_same_chain_however_long_it_is():
    table = planted(n_people=30, n_items=20)
    assert states(table, 5, seed=1) == states(table, 9, seed=1)[:5] != states(table, 5, seed=2)


def test_a_chain_ends_when_the_callback_says_so():
    table, numbers = planted(n_people=30, n_items=20), []
    sample(
        table, Standard.of(table.ratings), n_factors=3, n_draws=50, seed=0,
        on_draw=lambda number, _draw: numbers.append(number) or number == 4,
    )  # fmt: skip
    assert numbers == [1, 2, 3, 4]


def test_a_draw_says_the_same_of_a_pair_as_its_parts():
    table, seen = planted(n_people=30, n_items=20), []

    def on_draw(_number, draw) -> bool:
        (a, p), (b, q) = draw.people(), draw.items()
        seen.append((draw.estimates(np.array([3]), np.array([7]))[0], draw.intercept + a[3] + b[7] + p[3] @ q[7]))
        assert draw.prior(PERSON_IDS).mean.shape == (4,)
        return False

    sample(table, Standard.of(table.ratings), n_factors=3, n_draws=2, seed=0, on_draw=on_draw)
    for of_pair, of_parts in seen:
        assert of_pair == pytest.approx(of_parts)


def task(**changes) -> ValidationTask:
    config = FitConfig(**{"n_factors": 3, "n_draws": 15, "burn_in": 5, "n_kept": 5, "validation_share": 0.2, **changes})
    wanted = validation_task(planted(n_people=40, n_items=20), config)
    assert wanted is not None
    return wanted


def test_a_validation_says_the_same_in_a_process_of_its_own():
    heard: list[Progress] = []
    here = validate(task(), heard.append)
    with ValidationChain(task()) as chain:
        there = chain.wait(lambda _progress: None)
    assert there == here == heard[-1]
    assert [progress.draw for progress in heard] == list(range(1, 16))
    assert here.best_error == min(progress.error for progress in heard[5:])
    assert here.best_error < here.bias_error < here.mean_error


def test_a_validation_gives_up_when_it_stops_getting_better():
    heard: list[Progress] = []
    hasty = validate(task(patience=1, n_draws=60), heard.append)
    assert hasty.is_finished
    assert hasty.draw == hasty.best_draw + 1 < 60
    assert heard[-1].error > heard[-2].error == hasty.best_error


def test_a_validation_ends_early_where_every_draw_helps():
    """Of plenty of ratings the longest chain is best; the rest of the proof would double the time of a training."""
    whole = planted(n_people=300, n_items=100)
    rest, held_out = whole.split(0.2, np.random.default_rng(1))
    heard: list[Progress] = []
    steady = validate(ValidationTask(rest, held_out, 3, 500, 5, 40, 0), heard.append)
    assert (steady.is_finished, steady.best_draw, steady.best_weight) == (True, 500, 1.0)
    assert 5 + 2 * STEADY_DRAWS <= steady.draw < 250
    assert heard[-1].best_error < heard[-STEADY_DRAWS].best_error


def test_a_validation_process_that_is_killed_is_an_error():
    with ValidationChain(task()) as chain:
        chain._process.kill()
        with pytest.raises(RatingsError, match="exit status"):
            chain.wait(lambda _progress: None)


def test_only_draws_that_did_good_are_kept_evenly_spaced():
    config = FitConfig(n_factors=3, n_draws=30, burn_in=10, n_kept=5, validation_share=0)
    fitted = fit(planted(n_people=30, n_items=20), config, no_report)
    assert (fitted.draws.n_draws, fitted.chain_length, fitted.validation) == (5, 30, None)


def test_the_held_out_part_is_a_share_or_a_thousand_but_at_most_a_fifth():
    def n_held_out(n_people: int, share: float) -> float:
        table = planted(n_people=n_people, n_items=100)
        wanted = validation_task(table, FitConfig(validation_share=share))
        return len(wanted.held_out) / len(table) if wanted else 0

    assert n_held_out(20, 0.05) == pytest.approx(0.2, abs=0.05)
    assert n_held_out(200, 0.05) == pytest.approx(0.1, abs=0.02)
    assert n_held_out(200, 0.3) == pytest.approx(0.3, abs=0.02)
    assert n_held_out(200, 0) == 0


def test_draws_are_trusted_as_far_as_they_explain_held_out_ratings():
    values = np.array([1.0, -2.0, 0.5])
    assert best_weight(values, values) == pytest.approx(1)
    assert best_weight(values, values / 2) == pytest.approx(0.5)
    assert best_weight(values, 3 * values) == 1
    assert best_weight(values, -values) == 0
    assert best_weight(np.zeros(3), values) == 1


def test_of_few_ratings_none_is_held_out():
    table = planted(n_people=5, n_items=8)
    assert validation_task(table, FitConfig(validation_share=0.05)) is None
    assert fit(table, FitConfig(n_factors=2, n_draws=5, burn_in=1, n_kept=2), no_report).validation is None


def test_ratings_that_are_all_alike_are_estimated_alike():
    table = RatingTable.of([(f"p{n % 7}", f"i{n % 5}", 3.0) for n in range(35)])
    fitted = fit(table, FitConfig(n_factors=2, n_draws=10, burn_in=5, n_kept=5), no_report)
    belief = fold_in(fitted.draws, np.array([0]), fitted.standard.units(np.array([3.0])))
    np.testing.assert_allclose(fitted.standard.stars(estimates(fitted.draws, belief)), 3.0, atol=0.35)


@pytest.mark.parametrize(
    "wrong",
    [{"n_factors": 0}, {"n_draws": 0}, {"burn_in": 200}, {"burn_in": -1}, {"n_kept": 0}, {"validation_share": 0.9}],
)
def test_a_training_that_makes_no_sense_is_refused_by_the_name_of_the_field(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FitConfig(**wrong)


def test_bias_terms_by_hand():
    """Two people, one item, ratings 4 and 2 around a mean of 3; five ratings' worth of doubt."""
    table = RatingTable.of([("ann", "x", 4.0), ("bob", "x", 2.0)])
    bias = BiasTerms.fit(table)
    np.testing.assert_allclose(bias.item_biases, [0, 0], atol=1e-9)
    np.testing.assert_allclose(bias.person_biases, [1 / 6, -1 / 6, 0])
    np.testing.assert_allclose(bias.estimates(np.array([0, -1]), np.array([0, 0])), [3 + 1 / 6, 3])
    assert bias.person_bias(np.array([0]), np.array([4.0])) == pytest.approx(1 / 6)
    assert bias.person_bias(np.array([], int), np.array([])) == 0
