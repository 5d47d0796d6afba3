"""Sixty people in two groups rate twenty films from 1 to 5; what one group loves the other dislikes."""

from pathlib import Path

import numpy as np
import pytest

from recommendations.ratings.fitting import FitConfig
from recommendations.ratings.model import RatingModel

QUICK = FitConfig(n_factors=4, n_draws=40, burn_in=10, n_kept=15, seed=1)
SPACE = ["Alien (1979)", "Aliens (1986)", "Star Wars (1977)", "Matrix, The (1999)", "Solaris (1972)", "Moon (2009)",
         "Gravity (2013)", "Contact (1997)", "Dune (1984)", "Brazil (1985)"]  # fmt: skip
LOVE = ["Notting Hill (1999)", "Amélie (2001)", "Pretty Woman (1990)", "Sabrina (1954)", "Sabrina (1995)",
        "Emma (1996)", "Clueless (1995)", "Ghost (1990)", "Titanic (1997)", "Vertigo (1958)"]  # fmt: skip
FILMS = SPACE + LOVE
UNRATED = "Metropolis (1927)"


@pytest.fixture(autouse=True)
def _in_demo_mode(settings):
    """Where the routes of the earlier systems are open; with keys they are tested in test_closed.py."""
    settings.DEMO_MODE = True


def film_id(title: str) -> str:
    return str(100 + FILMS.index(title))


def village_ratings() -> list[tuple[str, str, int]]:
    """(person, film id, rating): each person rates about two thirds of the films, those of their group 4 or 5."""
    rng = np.random.default_rng(3)
    return [
        (
            f"person-{person}",
            film_id(title),
            int(rng.integers(4, 6) if (title in SPACE) == (person < 30) else rng.integers(1, 3)),
        )
        for person in range(60)
        for title in FILMS
        if rng.random() < 0.66
    ]


def write_ratings(path: Path, triples, separator: str = "::") -> Path:
    path.write_text("".join(separator.join(map(str, [*triple, 978300000])) + "\n" for triple in triples))
    return path


@pytest.fixture(scope="session")
def village(tmp_path_factory) -> Path:
    """A folder with ratings.dat and movies.dat, as MovieLens packs them."""
    folder = tmp_path_factory.mktemp("village")
    write_ratings(folder / "ratings.dat", village_ratings())
    titles = {film_id(title): title for title in FILMS} | {"999": UNRATED}
    lines = "".join(f"{item_id}::{title}::Drama|Other\n" for item_id, title in titles.items())
    (folder / "movies.dat").write_bytes(lines.encode("latin-1"))
    return folder


@pytest.fixture(scope="session")
def models(village, tmp_path_factory) -> Path:
    """A data folder in which the village's model has been trained."""
    folder = tmp_path_factory.mktemp("models")
    RatingModel(folder).train(village, config=QUICK)
    return folder


@pytest.fixture
def model(models) -> RatingModel:
    return RatingModel(models)
