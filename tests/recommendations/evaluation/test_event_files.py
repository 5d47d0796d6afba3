import gzip

import numpy as np
import pytest

from recommendations.evaluation.event_files import (
    Columns,
    Condition,
    FileRefused,
    ItemColumns,
    day_of,
    read_event_file,
    read_item_file,
)

SHOP = """\
InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID
1,bread,2,2011-11-08 09:00:00,alice
1,butter,1,2011-11-08 09:00:00,alice
2,bread,1,2011-11-07 12:00:00,bob
C3,bread,-1,2011-11-09,alice
4,jam,3,2011-11-09,
"""
COLUMNS = {"user": "CustomerID", "item": "StockCode", "time": "InvoiceDate"}
A_DAY = 15_286.0  # 2011-11-08 in days since 1970


@pytest.fixture
def write(tmp_path):
    def write(text, name="events.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def conditions(*texts):
    return tuple(Condition.parse(text) for text in texts)


def test_events_are_read_by_the_names_their_columns_have_oldest_first(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS, where=conditions("Quantity > 0")))
    events = file.events
    assert file.user_ids[events.users].tolist() == ["bob", "alice", "alice"]
    assert file.item_ids[events.items].tolist() == ["bread", "bread", "butter"]
    np.testing.assert_allclose(events.days, [A_DAY - 0.5, A_DAY + 0.375, A_DAY + 0.375])
    assert events.weights.tolist() == [1, 1, 1]


def test_rows_that_are_left_out_are_counted_by_reason(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS, where=conditions("Quantity > 0")))
    assert file.left_out == {"that do not fulfil “Quantity > 0”": 1, "without a user": 1}


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
def test_gzipped_files_are_read_alike(write, name):
    assert len(read_event_file(write(SHOP, name), Columns(**COLUMNS)).events) == 4


@pytest.mark.parametrize("delimiter", ["\t", ";", ",", "::"])
def test_the_delimiter_is_found_in_the_first_line(write, delimiter):
    text = delimiter.join(["user", "item", "time"]) + "\n" + delimiter.join(["a", "x", "3600"]) + "\n"
    file = read_event_file(write(text), Columns())
    assert (file.user_ids.tolist(), file.item_ids.tolist()) == (["a"], ["x"])
    np.testing.assert_allclose(file.events.days, 1 / 24)


def test_a_file_without_a_header_is_read_with_the_names_given(write):
    file = read_event_file(write("7::x::9::1363000000\n"), Columns(header=("user", "item", "rating", "time")))
    assert file.user_ids.tolist() == ["7"]


def test_a_weight_column_says_how_strong_an_event_is(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS, weight="Quantity"))
    assert sorted(file.events.weights.tolist()) == [1, 1, 2]
    assert file.left_out == {"without a positive weight": 1, "without a user": 1}


def test_kinds_have_the_weights_that_are_named(write):
    text = "user,item,time,kind\na,x,1,view\na,y,2,buy\na,z,3,refund\n"
    file = read_event_file(write(text), Columns(kind="kind", weight_by_kind={"view": 1.0, "buy": 5.0}))
    assert file.events.weights.tolist() == [1.0, 5.0]
    assert file.left_out == {"without a positive weight": 1}
    assert len(read_event_file(write(text), Columns(kind="kind")).events) == 3


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("Quantity > 1", 2),
        ("Quantity <= 1", 3),
        ("Quantity != 1", 3),
        ("StockCode = bread", 3),
        ("StockCode != bread", 2),
        ("InvoiceNo !~ ^C", 4),
        ("InvoiceNo ~ ^C", 1),
        ("InvoiceNo < 3", 3),  # C3 is no number, which fails
    ],
)
def test_conditions_keep_the_rows_that_fulfil_them(write, condition, kept):
    path = write(SHOP.replace(",\n", ",carol\n"))
    assert len(read_event_file(path, Columns(**COLUMNS, where=conditions(condition))).events) == kept


@pytest.mark.parametrize("text", ["Quantity", "> 3", "Quantity > many", "InvoiceNo ~ ("])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(FileRefused):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("1970-01-02", 1.0),
        ("1970-01-02T06:00:00+06:00", 1.0),
        ("1970-01-02 12:00:00", 1.5),
        ("19700103", 2.0),
        ("86400", 1.0),
        ("1363000000", 1363000000 / 86400),
        ("1363000000000", 1363000000 / 86400),
    ],
)
def test_times_are_iso_or_epochs(cell, day):
    assert day_of(cell) == pytest.approx(day)


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("moment", [946_684_800, 1_700_000_000, 4_000_000_000])
def test_epochs_of_any_unit_are_the_same_moments(unit, moment):
    assert day_of(str(moment * unit)) == pytest.approx(moment / 86_400)


def test_other_times_have_a_format():
    assert day_of("02/01/1970 12:00", "%d/%m/%Y %H:%M") == 1.5


@pytest.mark.parametrize(
    ("text", "columns", "complaint"),
    [
        ("user,item\na,x\n", {}, "events.csv has no column time; there are user, item"),
        ("user,item,time\na,x,soon\n", {}, "line 2: “soon” is no time"),
        ("user,item,time\na,x\n", {}, "line 2 has 2 columns instead of 3"),
        ("user,item,time,w\na,x,1,much\n", {"weight": "w"}, "line 2: “much” is no weight"),
        ("user,item,time\n", {}, "holds no event"),
        ("user,item,time\n,x,1\n", {}, r"holds no event to learn from \(1 rows without a user\)"),
        ("", {}, "is empty"),
        ("user,user,time\n", {}, "repeats user"),
    ],
)
def test_files_that_make_no_sense_are_refused_saying_where(write, text, columns, complaint):
    with pytest.raises(FileRefused, match=complaint):
        read_event_file(write(text), Columns(**columns))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileRefused, match="cannot read"):
        read_event_file(tmp_path / "nowhere.csv", Columns())


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "photo.csv").write_bytes(b"\xff\xfe\x00user")
    with pytest.raises(FileRefused, match="not a CSV file in UTF-8"):
        read_event_file(tmp_path / "photo.csv", Columns())


def test_items_join_the_events_and_bring_new_ones(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS))
    items = "item,colour,price,listed\nbread,brown,2,1970-01-02\ntea,green,3,1970-01-03\n"
    columns = ItemColumns(price="price", listed_at="listed")
    read = read_item_file(write(items, "items.csv"), columns, file)
    assert read.file.item_ids.tolist() == ["bread", "butter", "tea"]
    assert read.file.item_ids[read.file.events.items].tolist() == ["bread", "bread", "butter", "bread"]
    np.testing.assert_array_equal(read.catalogue.prices, [2, np.nan, 3])
    np.testing.assert_array_equal(read.catalogue.listed_days, [1, -np.inf, 2])
    content = read.catalogue.content.toarray()
    assert not content[1].any()
    assert content[0] @ content[2] < 1


def test_columns_of_items_may_be_chosen_or_ignored(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS))
    path = write("item,colour,size\nbread,brown,1\nbutter,brown,2\n", "items.csv")
    for columns in (ItemColumns(features=("colour",)), ItemColumns(ignored=("size",))):
        content = read_item_file(path, columns, file).catalogue.content.toarray()
        np.testing.assert_allclose(content[0] @ content[1], 1.0)


def test_an_item_column_that_is_missing_is_refused(write):
    file = read_event_file(write(SHOP), Columns(**COLUMNS))
    with pytest.raises(FileRefused, match=r"items.csv has no column item; there are name"):
        read_item_file(write("name\nx\n", "items.csv"), ItemColumns(), file)
