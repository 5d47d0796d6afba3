"""``manage.py ratings``: arguments around the model."""

import io

import pytest
from django.core.management import CommandError, call_command

from tests.recommendations.ratings.conftest import FILMS, film_id, village_ratings, write_ratings

QUICK = ["--factors=3", "--draws=15", "--burn-in=5", "--quiet"]


@pytest.fixture
def folder(settings, tmp_path):
    settings.RATINGS_DIR = tmp_path / "models"
    return tmp_path


def ratings(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("ratings", *map(str, arguments), stdout=out)
    return out.getvalue().strip().splitlines()


def test_train_evaluate_and_predict_in_turn(folder, village):
    lines = ratings("train", f"--dataset={village}", *QUICK)
    assert "ratings of 20 items by 60 people" in lines[0]
    assert "scale 1 to 5" in lines[1]
    assert lines[2].startswith("validation RMSE 0.")
    lines = ratings("evaluate", f"--dataset={village / 'ratings.dat'}", "--quiet")
    assert float(lines[0].removeprefix("RMSE ")) < 1
    assert lines[3].endswith("0 of them by people and 0 of items that the model has not seen")

    pairs = folder / "pairs.dat"
    pairs.write_text(f"person-1::{film_id('Moon (2009)')}\nperson-40::{film_id('Moon (2009)')}\nnew::unheard-of\n")
    lines = [line.split("::") for line in ratings("predict", f"--dataset={pairs}", "--quiet")]
    assert [line[0] for line in lines] == ["person-1", "person-40", "new"]
    assert float(lines[0][2]) > float(lines[1][2])

    rated = write_ratings(folder / "rated.dat", [("new", film_id("Moon (2009)"), 5), ("new", "unheard-of", 5)])
    ratings("predict", f"--dataset={rated}", "--top=3", f"--output={folder / 'lists.dat'}", "--quiet")
    lists = [line.split("::") for line in (folder / "lists.dat").read_text().splitlines()]
    assert len(lists) == 3
    assert film_id("Moon (2009)") not in [line[1] for line in lists]


def test_the_titles_may_lie_elsewhere(folder, village, tmp_path):
    dataset = write_ratings(tmp_path / "elsewhere.csv", village_ratings(), separator=",")
    ratings("train", f"--dataset={dataset}", f"--titles={village / 'movies.dat'}", *QUICK)
    from recommendations.ratings.current import rating_model

    assert rating_model().current().titles.title_of("100") == FILMS[0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["train", "--dataset=/nowhere.dat"], "cannot read /nowhere.dat"),
        (["evaluate", "--dataset=/nowhere.dat"], "run: python manage.py ratings train"),
        (["predict", "--dataset=/nowhere.dat"], "run: python manage.py ratings train"),
        (["train", "--dataset=/nowhere.dat", "--draws=0"], "n_draws|burn_in"),
        (["train", "--dataset=/nowhere.dat", "--validation=2"], "validation_share"),
        (["train"], "--dataset"),
        (["dance", "--dataset=x"], "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(folder, arguments, reason):
    with pytest.raises(CommandError, match=reason):
        ratings(*arguments)


def test_bad_lines_are_logged(folder, village, tmp_path, caplog):
    dataset = write_ratings(tmp_path / "ratings.dat", village_ratings())
    dataset.write_text(dataset.read_text() + "nonsense\n")
    ratings("train", f"--dataset={dataset}", *QUICK)
    assert "line" in caplog.text
    assert "a user, an item and a rating were expected" in caplog.text
