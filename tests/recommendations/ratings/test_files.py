"""Every dialect of MovieLens' files reads the same; what cannot be read is named."""

import gzip

import pytest

from recommendations.ratings.exceptions import DatasetRefused
from recommendations.ratings.files import PROBLEMS_NAMED, read_pairs, read_ratings, read_titles, titles_beside

DIALECTS = {
    "colons": "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n",
    "tabs": "1\t10\t5\t978300760\n1\t20\t3\t978302109\n2\t10\t4\t978301968\n",
    "commas with a header": "userId,movieId,rating,timestamp\n1,10,5.0,1\n1,20,3.0,2\n2,10,4.0,3\n",
    "semicolons": "1;10;5;1\n1;20;3;2\n2;10;4;3\n",
    "without times": "1::10::5\n1::20::3\n2::10::4\n",
    "blanks, empty lines and a byte order mark": "\ufeff1 :: 10 :: 5\r\n\r\n1::20::3\r\n2::10::4\r\n",
}


def rows_of(table):
    return sorted(
        (table.people[person], table.items[item], float(rating))
        for person, item, rating in zip(table.person_rows, table.item_rows, table.ratings, strict=True)
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("is_gzipped", [False, True], ids=["plain", "gzipped"])
def test_every_dialect_reads_the_same(tmp_path, dialect, is_gzipped):
    content = DIALECTS[dialect].encode()
    path = tmp_path / "ratings"
    path.write_bytes(gzip.compress(content) if is_gzipped else content)
    table, problems = read_ratings(path)
    assert rows_of(table) == [("1", "10", 5.0), ("1", "20", 3.0), ("2", "10", 4.0)]
    assert list(problems) == []


@pytest.mark.parametrize(
    ("ratings", "scale"), [([1, 3, 5], (1, 5)), ([0.5, 4], (0.5, 4)), ([0, 7, 10], (0, 10)), ([3], (3, 3))]
)
def test_the_scale_is_what_people_used(tmp_path, ratings, scale):
    path = tmp_path / "ratings.dat"
    path.write_text("".join(f"{person}::1::{rating}\n" for person, rating in enumerate(ratings)))
    table, _ = read_ratings(path)
    assert (table.scale.low, table.scale.high) == scale


def test_ids_are_opaque(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("007::a-b::5\n7::a b::4\n")
    table, _ = read_ratings(path)
    assert (list(table.people), list(table.items)) == (["007", "7"], ["a-b", "a b"])


def test_who_rates_a_thing_twice_means_the_later_rating(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::10::5::200\n1::10::2::100\n")
    assert rows_of(read_ratings(path)[0]) == [("1", "10", 5.0)]


def test_a_line_that_cannot_be_read_is_named_and_left_out(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::10::5::1\n1::20\n1::30::good::1\n1::40::nan::1\n1::50::4::noon\n::60::3::1\n2::10::4::1\n")
    table, problems = read_ratings(path)
    assert len(table) == 2
    assert [sentence.partition(":")[0] for sentence in problems] == [f"ratings.dat, line {n}" for n in (2, 3, 4, 5, 6)]
    assert "“good” is not a number" in list(problems)[1]


def test_of_very_many_bad_lines_only_the_first_are_named(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::10::5\n" + "nonsense\n" * 1000)
    assert len(list(read_ratings(path)[1])) == PROBLEMS_NAMED + 1
    assert read_ratings(path)[1].n_lines == 1000


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"userId,movieId,rating\n", b"a story\nof no ratings\n", b"\x00\xff"]
)
def test_a_file_without_any_rating_is_refused(tmp_path, content):
    path = tmp_path / "ratings.dat"
    path.write_bytes(content)
    with pytest.raises(DatasetRefused, match=r"ratings\.dat"):
        read_ratings(path)


def test_a_file_that_is_missing_or_damaged_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetRefused, match=r"cannot read .*nowhere\.dat: No such file"):
        read_ratings(tmp_path / "nowhere.dat")
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(b"1::10::5\n" * 1000)[:-20])
    with pytest.raises(DatasetRefused, match="damaged"):
        read_ratings(damaged)
    with pytest.raises(DatasetRefused, match="holds no ratings"):
        read_ratings(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    "lines",
    [
        "1::Léon: The Professional, a.k.a. Léon (1994)::Crime|Drama",
        "1\tLéon: The Professional, a.k.a. Léon (1994)\tCrime|Drama",
        'movieId,title,genres\n1,"Léon: The Professional, a.k.a. Léon (1994)",Crime|Drama',
        "1|Léon: The Professional, a.k.a. Léon (1994)|Crime",
    ],
)
def test_titles_read_the_same_in_every_dialect_and_encoding(tmp_path, lines, encoding):
    path = tmp_path / "movies"
    path.write_bytes(f"{lines}\n".encode(encoding))
    titles, problems = read_titles(path)
    assert titles["1"].name == "Léon: The Professional, a.k.a. Léon (1994)"
    assert titles["1"].genres[0] == "Crime"
    assert (len(titles), list(problems)) == (1, [])


def test_a_folder_is_read_by_the_names_that_movielens_gives(tmp_path):
    (tmp_path / "ratings.csv.gz").write_bytes(gzip.compress(b"userId,movieId,rating\n1,10,5\n"))
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n10,"Game, The (1997)",Thriller\n')
    assert len(read_ratings(tmp_path)[0]) == 1
    assert titles_beside(tmp_path) == titles_beside(tmp_path / "ratings.csv.gz") == tmp_path / "movies.csv"
    assert read_titles(tmp_path)[0]["10"].name == "Game, The (1997)"


def test_pairs_keep_the_order_of_the_file_and_need_no_rating(tmp_path):
    path = tmp_path / "pairs.dat"
    path.write_text("2::20\n1::10\n2::20\n")
    table, _ = read_pairs(path)
    assert [table.people[row] for row in table.person_rows] == ["2", "1", "2"]
    assert [table.items[row] for row in table.item_rows] == ["20", "10", "20"]
