"""What titles say of items, and that ratings of items that few have rated are estimated better with it."""

from dataclasses import replace

import numpy as np
import pytest

from recommendations.ratings.baselines import rmse
from recommendations.ratings.descriptions import FEWEST_ALIKE, descriptions_of
from recommendations.ratings.files import Title
from recommendations.ratings.gibbs import Draw, Standard, sample
from recommendations.ratings.table import RatingTable
from recommendations.ratings.validation import ValidationTask

ENOUGH = FEWEST_ALIKE
HORROR = {f"a{n}": Title(f"Alien {n} (1979)", ("Horror", "Sci-Fi")) for n in range(ENOUGH)}
CRIME = {f"b{n}": Title(f"Heat {n} (1995)", ("Crime", "Crime")) for n in range(ENOUGH)}
BARE = {f"d{n}": Title(f"A Film Without a Year {n}") for n in range(ENOUGH)}
TITLES = HORROR | CRIME | BARE


def test_genres_share_the_weight_of_one_and_years_lie_in_stretches():
    genres, years = descriptions_of([*TITLES, "unknown"], TITLES)
    root = 2**-0.5
    np.testing.assert_allclose(genres.toarray()[::ENOUGH], [[0, root, root], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(years.toarray()[::ENOUGH], [[1, 0], [0, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    ("titles", "n_groups"),
    [
        ({}, 0),
        (BARE, 0),
        (TITLES, 2),
        ({item: Title(title.name) for item, title in TITLES.items()}, 1),
        ({item: Title("a film", title.genres) for item, title in TITLES.items()}, 1),
        (dict.fromkeys(TITLES, Title("Alien (1979)", ("Horror",))), 0),  # all of them alike
        (dict(list(HORROR.items())[1:]), 0),  # too few
    ],
)
def test_a_word_of_few_items_or_of_all_is_no_feature(titles, n_groups):
    groups = descriptions_of(list(TITLES), titles)
    assert len(groups) == n_groups
    assert all(group.shape[0] == len(TITLES) and group.nnz for group in groups)


def test_the_validation_hears_of_them():
    table = RatingTable.of([("ann", item, 5) for item in TITLES])
    table = replace(table, descriptions=descriptions_of(table.items, TITLES))
    task = ValidationTask(table, table, n_factors=2, n_draws=3, burn_in=1, patience=2, seed=0)
    heard = ValidationTask.from_bytes(task.to_bytes()).rest.descriptions
    for group, again in zip(table.descriptions, heard, strict=True):
        np.testing.assert_array_equal(group.toarray(), again.toarray())


def test_items_that_few_have_rated_are_estimated_better_by_their_genres():
    table, titles = genre_lovers()
    train, test = table.split(0.2, np.random.default_rng(5))
    without = error_of(train, test)
    assert error_of(replace(train, descriptions=descriptions_of(train.items, titles)), test) < 0.9 * without


def genre_lovers() -> tuple[RatingTable, dict[str, Title]]:
    """120 people, each with a liking for each of six genres, rate 25 of 1,000 items: three ratings an item."""
    rng = np.random.default_rng(4)
    likings, genres = rng.normal(size=(120, 6)), rng.integers(6, size=1000)
    rated = [(person, item) for person in range(120) for item in rng.choice(1000, 25, replace=False)]
    stars = [float(np.clip(np.rint(3 + 1.2 * likings[person, genres[item]]), 1, 5)) for person, item in rated]
    titles = {str(item): Title(f"Film {item}", (f"genre {genres[item]}",)) for item in range(1000)}
    return RatingTable.of((str(p), str(i), s) for (p, i), s in zip(rated, stars, strict=True)), titles


def error_of(train: RatingTable, test: RatingTable) -> float:
    standard, total = Standard.of(train.ratings), np.zeros(len(test))

    def on_draw(number: int, draw: Draw) -> None:
        if number > 15:
            total[:] += draw.estimates(test.person_rows, test.item_rows) / 45

    sample(train, standard, n_factors=4, n_draws=60, seed=2, on_draw=on_draw)
    return rmse(standard.stars(total), test.ratings)
