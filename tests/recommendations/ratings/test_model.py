"""Ids and stars in, ids and stars out, from the newest model of a folder."""

import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

from recommendations.ratings.exceptions import DatasetRefused, NoRatingModel, UnknownItems
from recommendations.ratings.files import read_ratings
from recommendations.ratings.loaded import best_first
from recommendations.ratings.model import RatingModel
from tests.recommendations.ratings.conftest import FILMS, LOVE, QUICK, SPACE, film_id, village_ratings, write_ratings


def is_space(item_id: str) -> bool:
    return FILMS[int(item_id) - 100] in SPACE


def test_a_new_person_is_offered_what_their_group_loves(model):
    fan = model.predict([[film_id("Alien (1979)"), film_id("Ghost (1990)"), film_id("Dune (1984)")], [5, 1, 5]], top=6)
    assert all(map(is_space, fan[0]))
    romantic = model.predict(
        [[film_id("Alien (1979)"), film_id("Ghost (1990)"), film_id("Dune (1984)")], [1, 5, 1]], top=6
    )
    assert not any(map(is_space, romantic[0]))


def test_a_list_is_descending_within_the_scale_and_without_what_was_rated(model):
    rated = [film_id(title) for title in FILMS[:7]]
    item_ids, stars = model.predict([rated, [5] * 7], top=100)
    assert sorted([*item_ids, *rated]) == sorted(map(film_id, FILMS))
    assert stars == sorted(stars, reverse=True)
    assert 1 <= min(stars) <= max(stars) <= 5


def test_estimates_stay_on_their_items(model):
    """Each estimate of a list is what the same person's estimate of that item alone is."""
    rated = ([film_id(title) for title in FILMS[:3]], [5, 4, 1])
    long, short = model.predict(rated, top=17), model.predict(rated, top=3)
    assert short == [long[0][:3], long[1][:3]]


def test_uncertainty_falls_with_every_rating(model):
    def surest(n: int) -> float:
        item_ids = [film_id(title) for title in LOVE[:n]]
        return np.mean([estimate.uncertainty for estimate in model.current().recommend(item_ids, [5.0] * n, 20)])

    assert surest(1) > surest(4) > surest(9) > 0


def test_of_an_item_rated_twice_the_later_rating_counts(model):
    twice = model.predict([[film_id("Moon (2009)")] * 2, [1, 5]])
    assert twice == model.predict([[film_id("Moon (2009)")], [5]])


def test_a_person_without_ratings_is_offered_what_everyone_likes(model):
    assert len(model.predict([[], []], top=3)[0]) == 3


def test_similar_films_are_of_one_group_and_not_the_film_itself(model):
    similar, names = model.find_similar(film_id("Alien (1979)"), n=5)
    assert len(similar) == 5
    assert [film_id(name) for name in names] == similar
    assert film_id("Alien (1979)") not in similar
    assert all(map(is_space, similar))
    assert len(model.find_similar(film_id("Alien (1979)"), n=100)[0]) == 19


def test_unknown_items_are_named(model):
    with pytest.raises(UnknownItems, match="7, 8"):
        model.predict([["7", film_id("Moon (2009)"), "8"], [1, 2, 3]])
    with pytest.raises(UnknownItems, match="999"):
        model.find_similar("999")


@pytest.mark.parametrize("rated", [[["100"], [1, 2]], [["100"], [float("nan")]], [["100"], [float("inf")]]])
def test_ratings_that_make_no_sense_are_refused(model, rated):
    with pytest.raises(ValueError, match=r"ratings|finite"):
        model.predict(rated)


def test_evaluation_compares_with_simpler_ways_and_is_noted(village, tmp_path):
    triples = village_ratings()
    train, test = (
        write_ratings(tmp_path / "train.dat", triples[::2]),
        write_ratings(tmp_path / "test.dat", triples[1::2]),
    )
    model = RatingModel(tmp_path / "models")
    model.train(train, titles=village / "movies.dat", config=QUICK)
    evaluation = model.evaluate(test)
    assert evaluation.rmse < 0.8 < evaluation.bias_rmse
    assert evaluation.mae <= evaluation.rmse
    assert (evaluation.n_ratings, evaluation.n_new_people, evaluation.n_new_items) == (len(triples[1::2]), 0, 0)
    [noted] = model.evaluations()
    assert (noted["dataset"], noted["rmse"]) == ("test.dat", evaluation.rmse)


def test_people_and_items_that_are_new_are_estimated_too(model, tmp_path):
    path = write_ratings(tmp_path / "test.dat", [("stranger", film_id("Alien (1979)"), 5), ("person-1", "999", 2)])
    table, _ = read_ratings(path)
    loaded = model.current()
    estimates = loaded.estimates_of(table)
    assert ((estimates >= 1) & (estimates <= 5)).all()
    evaluation = loaded.evaluate(table)
    assert (evaluation.n_new_people, evaluation.n_new_items) == (1, 1)


def test_a_trained_person_and_a_new_one_with_the_same_ratings_are_estimated_alike(model):
    loaded = model.current()
    own = loaded.table.matrix()[0]
    item_ids = [loaded.table.items[row] for row in own.indices]
    offered = {estimate.item_id: estimate.stars for estimate in loaded.recommend(item_ids, list(own.data), 20)}
    everything = replace(
        loaded.table,
        people=loaded.table.people[:1],
        person_rows=np.zeros(20, int),
        item_rows=np.arange(20),
        ratings=np.ones(20),
    )
    known = dict(zip(everything.items, loaded.estimates_of(everything), strict=True))
    assert offered == pytest.approx({item_id: known[item_id] for item_id in offered}, abs=1e-4)


def test_what_was_trained_is_reported(model):
    about = model.warmup().about
    assert about["dataset"]["n_people"] == 60
    assert about["dataset"]["scale"] == [1, 5]
    assert (about["dataset"]["name"], about["dataset"]["titles"]) == ("ratings.dat", "movies.dat")
    assert about["metrics"]["validation_rmse"] < about["metrics"]["validation_bias_rmse"]
    assert 10 < about["parameters"]["chain_length"] <= 40


def test_saving_and_loading_change_nothing(model, models):
    rated = [[film_id("Moon (2009)")], [4]]
    assert RatingModel(models).predict(rated) == model.predict(rated)


def test_nothing_is_loaded_or_trained_before_it_is_asked_for(tmp_path):
    model = RatingModel(tmp_path / "nowhere")
    for ask in (model.warmup, lambda: model.predict([["1"], [1]]), lambda: model.find_similar("1")):
        with pytest.raises(NoRatingModel, match=r"manage\.py ratings train"):
            ask()
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_model_answers_as_soon_as_it_is_there(village, tmp_path):
    here, there = RatingModel(tmp_path), RatingModel(tmp_path)
    here.train(village, config=QUICK)
    first = there.current().name
    assert there.current() is there.current()
    here.train(village, config=QUICK)
    assert there.current().name == here.current().name > first


def test_a_damaged_model_is_logged_once_and_the_one_before_answers(models, tmp_path, caplog):
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    [good] = [path.name for path in folder.iterdir()]
    shutil.copytree(folder / good, folder / "99990101T000000.000000Z")
    (folder / "99990101T000000.000000Z" / "ratings.npy").write_bytes(b"no array")
    model = RatingModel(folder)
    with caplog.at_level(logging.ERROR):
        assert model.current().name == good
        assert model.current().name == good
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_when_all_are_damaged_the_log_is_pointed_to(models, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    [about] = folder.glob("*/about.json")
    about.write_text("{}")
    with pytest.raises(NoRatingModel, match="see the log"):
        RatingModel(folder).current()


def test_a_dataset_that_cannot_be_read_leaves_nothing(tmp_path):
    with pytest.raises(DatasetRefused):
        RatingModel(tmp_path / "models").train(tmp_path / "nowhere.dat")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(("stars", "low", "high"), [((0.5, 4.0), 0.5, 4), ((0, 10), 0, 10)])
def test_estimates_lie_on_the_scale_of_the_data(tmp_path, stars, low, high):
    triples = [(person, item, stars[rating > 3]) for person, item, rating in village_ratings()]
    model = RatingModel(tmp_path / "models")
    model.train(write_ratings(tmp_path / "ratings.dat", triples), config=QUICK)
    item_ids, estimates = model.predict([[film_id("Alien (1979)"), film_id("Emma (1996)")], [high, low]], top=18)
    assert low <= min(estimates) < (low + high) / 2 < max(estimates) <= high
    assert is_space(item_ids[0])
    assert not is_space(item_ids[-1])


def test_films_of_one_title_are_listed_once(tmp_path):
    triples = village_ratings() + [(f"person-{n}", "555", 5) for n in range(5)]
    ratings = write_ratings(tmp_path / "ratings.dat", triples)
    (tmp_path / "movies.dat").write_text(f"{film_id('Moon (2009)')}::Moon (2009)::X\n555::Moon (2009)::X\n")
    model = RatingModel(tmp_path / "models")
    model.train(ratings, config=QUICK)
    assert "555" not in model.predict([[film_id("Alien (1979)")], [5]], top=100)[0]
    assert not {"555", film_id("Moon (2009)")} & set(model.find_similar(film_id("Moon (2009)"), 100)[0])


def test_the_best_come_first_and_ties_by_row():
    np.testing.assert_array_equal(best_first(np.array([1.0, 3.0, 3.0, -np.inf, 2.0]), 3), [1, 2, 4])
    np.testing.assert_array_equal(best_first(np.array([1.0, -np.inf]), 5), [0])
    assert best_first(np.array([1.0]), 0).size == 0


def test_what_the_draws_do_not_deserve_is_left_to_bias_terms(models, tmp_path):
    """With a weight of 0, a new person's estimates are the mean plus their own bias and each film's."""
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    [path] = folder.glob("*/about.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weight": 0.0}))
    loaded = RatingModel(folder).current()
    bias = loaded.bias_terms
    row = loaded.table.items.index(film_id("Alien (1979)"))
    own_bias = (5 - bias.mean - bias.item_biases[row]) / 6
    for estimate in loaded.recommend([film_id("Alien (1979)")], [5], 20):
        item = loaded.table.items.index(estimate.item_id)
        assert estimate.stars == pytest.approx(bias.mean + own_bias + bias.item_biases[item])
