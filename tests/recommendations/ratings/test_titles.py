"""People find the film they mean, and never another one."""

import pytest

from recommendations.ratings.titles import LONGEST_TITLE, TitleIndex

TITLES = {
    "1": "Toy Story (1995)",
    "2": "Toy Story 2 (1999)",
    "3": "Matrix, The (1999)",
    "4": "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "5": "Seven (a.k.a. Se7en) (1995)",
    "6": "Sabrina (1954)",
    "7": "Sabrina (1995)",
    "8": "Rocky IV (1985)",
    "9": "Rocky V (1990)",
    "10": "Star Wars: Episode IV - A New Hope (1977)",
    "11": "1984 (1956)",
    "12": "WALL·E (2008)",
    "13": "Heat (1995)",
    "14": "Emma (1996)",
    "15": "The The (2000)",
    "16": "Fast & Furious (2009)",
    "1000": "Forrest Gump (1994)",
}


@pytest.fixture
def index() -> TitleIndex:
    return TitleIndex(TITLES, dict.fromkeys(TITLES, 10) | {"7": 50, "5000": 1})


@pytest.mark.parametrize(
    ("asked", "item_id"),
    [
        ("Toy Story (1995)", "1"), ("toy story", "1"), ("  TOY   STORY ", "1"), ("Toy Story 2", "2"),
        ("The Matrix", "3"), ("Matrix, The", "3"), ("matrix (1999)", "3"), ("The Matrix (1999)", "3"),
        ("Amelie", "4"), ("Le fabuleux destin d'Amélie Poulain", "4"), ("Se7en", "5"), ("Seven", "5"),
        ("Rocky 4", "8"), ("Rocky IV", "8"), ("1984", "11"), ("wall-e", "12"), ("WALL E", "12"), ("the the", "15"),
        ("Fast and Furious", "16"), ("5000", "5000"), ("1000", "1000"),
    ],
)  # fmt: skip
def test_a_title_is_found_however_it_is_written(index, asked, item_id):
    assert index.find(asked) == index.find_exactly(asked) == item_id


@pytest.mark.parametrize(
    ("asked", "item_id"),
    [("Toy Stroy", "1"), ("Teh Matrix", "3"), ("Forest Gump", "1000"), ("Forrest Gmup (1994)", "1000"), ("Haet", "13"),
     ("Tyo Story 2", "2"), ("Star Wars: Episode IV - A New Hpoe", "10")],
)  # fmt: skip
def test_small_typos_are_forgiven(index, asked, item_id):
    assert index.find(asked) == item_id
    assert index.find_exactly(asked) is None


@pytest.mark.parametrize(
    "asked",
    ["Toy Story 3", "Rocky VI", "Emm", "Metropolis", "Sabrina (1975)", "", "   ", "()", "?!", "0", "x" * 100_000],
)
def test_another_title_is_not_taken_for_a_typo(index, asked):
    assert index.find(asked) is None


def test_the_year_chooses_among_namesakes_and_without_it_the_best_known_is_meant(index):
    assert index.find("Sabrina (1954)") == "6"
    assert index.find("Sabrina (1995)") == index.find("Sabrina") == index.find("Sabirna") == "7"


def test_a_year_may_be_one_off(index):
    assert index.find("Heat (1996)") == "13"
    assert index.find("Heat (1997)") is None


TRILOGY = {
    "20": "The Lord of the Rings: The Fellowship of the Ring (2001)",
    "21": "Lord of the Rings: The Two Towers, The (2002)",
    "22": "The Lord of the Rings: The Return of the King (2003)",
}


@pytest.mark.parametrize("asked", ["Lord of the Rings", "the lord of the rings", "Lord of the Rings, The"])
def test_the_name_of_a_series_means_its_best_known_part_and_all_its_parts_are_near(asked):
    series = TitleIndex(TITLES | TRILOGY, dict.fromkeys(TITLES | TRILOGY, 10) | {"22": 50})
    assert series.find(asked) == series.find_exactly(asked) == "22"
    assert series.find(f"{asked} (2001)") == "20"
    assert set(series.nearest(asked)[:3]) == set(TRILOGY.values())
    named = TitleIndex(TRILOGY | {"23": "Lord of the Rings, The (1978)"}, {"20": 50, "23": 10})
    assert named.find(asked) == "23", "what is called that alone"
    famous = TitleIndex(TRILOGY | {"23": "Lord of the Rings, The (1978)"}, {"20": 51, "23": 10})
    assert famous.find(asked) == "20"
    assert famous.find(f"{asked} (1978)") == "23"
    assert set(named.nearest(asked)[:3]) == set(TRILOGY.values())


def test_the_nearest_titles_are_listed_best_first(index):
    assert index.nearest("Star Wars")[0] == "Star Wars: Episode IV - A New Hope (1977)"
    assert set(index.nearest("Toy Story 3")[:2]) == {"Toy Story (1995)", "Toy Story 2 (1999)"}
    assert len(index.nearest("y" * 10 * LONGEST_TITLE)) == 5
    assert index.nearest("!") == []
    assert TitleIndex({}, {}).nearest("Heat") == []


def test_an_item_without_a_title_goes_by_its_id(index):
    assert index.title_of("5000") == "5000"
