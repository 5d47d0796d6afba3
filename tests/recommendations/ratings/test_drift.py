"""What moments say of ratings: windows, what is learned from them, and a model with and without."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recommendations.ratings.baselines import rmse
from recommendations.ratings.drift import (
    DAY,
    ITEM_DOUBT,
    ITEM_WINDOWS,
    PERSON_DOUBT,
    PERSON_WINDOWS,
    Drift,
    Residuals,
    learn_drift,
)
from recommendations.ratings.files import read_pairs, read_ratings
from recommendations.ratings.fitting import FitConfig, fit
from recommendations.ratings.loaded import LoadedModel, arrays_of, no_report
from recommendations.ratings.store import StoredModel
from recommendations.ratings.table import RatingTable

N_PEOPLE, N_ITEMS = 80, 50


def rated(seed: int, mood: float, item_mood: float = 0.0) -> tuple[RatingTable, np.ndarray]:
    """Ratings in sittings, and what sittings and weeks add to each; everyone has rated half of the items."""
    rng = np.random.default_rng(seed)
    people, items = np.nonzero(rng.random((N_PEOPLE, N_ITEMS)) < 0.5)
    sittings = rng.integers(0, 4, len(people))
    moments = 1e9 + 100.0 * DAY * sittings + rng.integers(0, 300, len(people))
    added = mood * rng.normal(size=(N_PEOPLE, 4))[people, sittings]
    added += item_mood * rng.normal(size=(N_ITEMS, 4))[items, sittings]
    ratings = rng.normal(size=N_ITEMS)[items] + added + 0.3 * rng.normal(size=len(people))
    table = RatingTable(
        [f"p{row}" for row in range(N_PEOPLE)], [f"i{row}" for row in range(N_ITEMS)],
        people.astype(np.int32), items.astype(np.int32), ratings, moments=moments,
    )  # fmt: skip
    return table, added


def slow_around(known: Residuals, person: int, item: int, moment: float) -> list[float]:
    found = []
    for rows, row, windows, doubt in (
        (known.person_rows, person, PERSON_WINDOWS, PERSON_DOUBT), (known.item_rows, item, ITEM_WINDOWS, ITEM_DOUBT),
    ):  # fmt: skip
        for window in windows:
            near = known.residuals[(rows == row) & (np.abs(known.moments - moment) <= window)]
            found += [near.sum() / (len(near) + doubt), np.log1p(len(near))]
    return found


def test_windows_hold_what_lies_around_a_moment_and_nothing_of_others():
    rng = np.random.default_rng(0)
    people, items = rng.integers(0, 5, (2, 300))
    known = Residuals(people, items, np.floor(rng.uniform(0, 60 * DAY, 300)), rng.normal(size=300))
    asked = rng.integers(-1, 5, (2, 60)), np.floor(rng.uniform(-200 * DAY, 300 * DAY, 60))
    slow = [slow_around(known, *pair, moment) for *pair, moment in zip(*asked[0], asked[1], strict=True)]
    assert_allclose(known.around(*asked[0], asked[1]), slow, atol=1e-9)


@pytest.mark.parametrize(("mood", "item_mood"), [(0.6, 0.0), (0.0, 0.6)])
def test_the_mood_of_a_sitting_and_the_standing_of_an_item_are_found(mood, item_mood):
    table, added = rated(1, mood, item_mood)
    is_asked = np.random.default_rng(2).random(len(table)) < 0.3
    known, asked = table.only(~is_asked), table.only(is_asked)
    drift = learn_drift(Residuals.of(known, known.moments, added[~is_asked]), asked, added[is_asked])
    shifts = drift.shifts(
        Residuals.of(known, known.moments, added[~is_asked]), asked.person_rows, asked.item_rows, asked.moments
    )
    assert rmse(shifts, added[is_asked]) < 0.7 * rmse(np.zeros(len(asked)), added[is_asked])


def test_what_predicts_nothing_is_left_out():
    learned = []
    for seed in range(10):
        table, _ = rated(seed, 0.0)
        noise = np.random.default_rng(seed).normal(size=len(table))
        known, asked = table.split(0.3, np.random.default_rng(seed))
        residuals = Residuals.of(known, known.moments, noise[: len(known)])
        learned.append(learn_drift(residuals, asked, noise[len(known) :]))
    assert sum(drift is not None for drift in learned) <= 1


def test_without_moments_or_with_few_ratings_nothing_is_learned():
    table, added = rated(3, 0.6)
    known = Residuals.of(table, table.moments, added)
    assert learn_drift(known, replace(table, moments=None), added) is None
    assert learn_drift(known, table.only(np.arange(len(table)) < 100), added[:100]) is None
    assert learn_drift(known, replace(table, moments=np.full(len(table), np.nan)), added) is None


def test_an_unknown_moment_moves_nothing_and_a_stored_function_is_the_same():
    table, added = rated(4, 0.6)
    known = Residuals.of(table, table.moments, added)
    drift = learn_drift(known, table, added)
    moments = np.where(np.arange(len(table)) % 2, table.moments, np.nan)
    shifts = drift.shifts(known, table.person_rows, table.item_rows, moments)
    assert (shifts[::2] == 0).all()
    assert shifts[1::2].all()
    again = Drift.from_json(drift.to_json())
    assert_allclose(again.shifts(known, table.person_rows, table.item_rows, moments), shifts)


def trained(table: RatingTable) -> LoadedModel:
    fitted = fit(table, FitConfig(n_factors=2, n_draws=30, burn_in=10, n_kept=10), no_report)
    about = {
        "standard": {"mean": fitted.standard.mean, "std": fitted.standard.std},
        "dataset": {"scale": [table.scale.low, table.scale.high]},
        "weight": fitted.weight,
        "drift": fitted.validation.drift,
    }
    documents = {"people": list(table.people), "items": list(table.items), "titles": {}}
    return LoadedModel.of(StoredModel("one", arrays_of(table, fitted), about, documents))


def test_a_model_reads_the_moments_of_what_it_is_asked():
    train, test = rated(5, 0.8)[0].split(0.1, np.random.default_rng(0))
    model = trained(train)
    with_moments = rmse(model.estimates_of(test), test.ratings)
    without = rmse(model.estimates_of(replace(test, moments=None)), test.ratings)
    assert with_moments < 0.75 * without


def test_moments_are_read_where_a_file_has_them(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::7::5::978300275\n2::7::4\n1::7::3::978300276\n")
    table, _ = read_ratings(path)
    assert table.ratings.tolist() == [4.0, 3.0]
    assert_allclose(table.moments, [np.nan, 978300276.0])
    pairs, _ = read_pairs(path)
    assert_allclose(pairs.moments, [978300275.0, np.nan, 978300276.0])
    path.write_text("1::7::5\n")
    assert read_ratings(path)[0].moments is None
