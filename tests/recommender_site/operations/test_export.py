"""What is exported is what is stored, by day; a file is there whole or not at all; and what is there is not redone."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from recommendations.models import Interaction, ServedList
from recommender_site.operations.export_tables import EVENTS, LISTINGS, TABLES
from tests.factories import InteractionFactory, ListingFactory, ServedListFactory

pandas = pytest.importorskip("pandas")
pq = pytest.importorskip("pyarrow.parquet", reason="pip install -r requirements-export.txt")
fsspec = pytest.importorskip("fsspec")
from recommender_site.operations import export as exporting  # noqa: E402 (it needs them)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = [date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 28)]
PROJECT = Path(__file__).resolve().parents[3]


def at(day: date, hour: float = 12) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)


@pytest.fixture
def log() -> None:
    """Events of three days at both ends of each, none on the second, some of today; lists of one day."""
    listing = ListingFactory(price="12345.60", title="Škoda “Octavia”")
    served = ServedListFactory(served_at=at(DAYS[0]), listing_ids=[listing.pk, 7], scores=[1.5, -2.0])
    ServedList.objects.filter(pk=served.pk).update(filters={"make": ["skoda"]}, propensities=[0.5, 1.0])
    ServedListFactory(served_at=at(DAYS[0], 23.99), buyer=None)
    for hours in (0, 12, 23.999):
        for day in (DAYS[0], DAYS[2]):
            InteractionFactory(listing=listing, received_at=at(day, hours), occurred_at=at(day, hours - 30))
    search = Interaction.objects.earliest("received_at")
    Interaction.objects.filter(pk=search.pk).update(
        listing=None, query={"max_price": 9000.0, "words": "ä"}, served_list=served, position=2
    )
    InteractionFactory(listing=listing, received_at=at(NOW.date(), 1), occurred_at=NOW)


def run(target: str | Path, **options) -> list:
    tables = options.pop("tables", list(TABLES.values()))
    return list(exporting.export(tables, str(target), now=options.pop("now", NOW), **options))


def read(target: Path, table: str):
    """As anyone would: the whole folder, with the day as a column."""
    return pandas.read_parquet(target / table)


def test_events_are_those_of_the_log_by_the_day_of_their_arrival(log, tmp_path):
    run(tmp_path)
    frame = read(tmp_path, "events").sort_values("id")
    stored = Interaction.objects.filter(received_at__lt=at(NOW.date(), 0)).order_by("pk")
    assert len(frame) == len(stored) == 6
    for row, event in zip(frame.itertuples(), stored, strict=True):
        assert (row.id, row.event_id, row.buyer_id, row.kind) == (
            event.pk, event.event_id, event.buyer_id, event.kind_id,
        )  # fmt: skip
        assert (row.occurred_at, row.received_at) == (event.occurred_at, event.received_at)
        assert str(row.day) == str(event.received_at.date())
        assert (None if pandas.isna(row.listing_id) else int(row.listing_id)) == event.listing_id
        assert (json.loads(row.query) if isinstance(row.query, str) else None) == event.query
        assert (None if pandas.isna(row.list_id) else row.list_id) == (str(event.served_list_id or "") or None)


def test_lists_and_listings_keep_their_numbers_and_words(log, tmp_path):
    run(tmp_path)
    lists = read(tmp_path, "lists").sort_values("served_at")
    served = ServedList.objects.earliest("served_at")
    first = lists.iloc[0]
    assert (list(first.listing_ids), list(first.scores)) == (served.listing_ids, served.scores)
    assert (list(first.propensities), json.loads(first.filters)) == ([0.5, 1.0], {"make": ["skoda"]})
    assert lists.iloc[1].propensities is None
    assert pandas.isna(lists.iloc[1].buyer_id)
    cars = read(tmp_path, "listings")
    assert (cars.title[0], str(cars.price[0]), str(cars.day[0])) == ("Škoda “Octavia”", "12345.60", "2026-11-29")


def test_each_complete_day_has_a_file_those_without_rows_too_and_today_has_none(log, tmp_path):
    run(tmp_path, tables=[EVENTS])
    assert sorted(path.parent.name for path in tmp_path.rglob("*.parquet")) == [f"day={day}" for day in DAYS]
    assert pq.read_table(tmp_path / f"events/day={DAYS[1]}/events.parquet").num_rows == 0
    run(tmp_path, tables=[EVENTS], now=at(date(2026, 11, 30), 0.5))  # the 29th has ended, but is not settled
    assert not (tmp_path / "events/day=2026-11-29").exists()
    run(tmp_path, tables=[EVENTS], now=at(date(2026, 11, 30), 1.5))
    assert (tmp_path / "events/day=2026-11-29/events.parquet").exists()


@pytest.mark.parametrize("dies_in", DAYS)
def test_an_export_that_is_cut_short_leaves_whole_files_only_and_goes_on_where_it_stopped(
    log, tmp_path, monkeypatch, dies_in
):
    write_day = exporting.write_day

    def dies(table, day, file):
        n_rows = write_day(table, day, file)
        assert not exporting.Target(str(tmp_path)).has(exporting.Target(str(tmp_path)).path(table, day))
        if day == dies_in:
            raise OSError(28, "No space left on device")
        return n_rows

    monkeypatch.setattr(exporting, "write_day", dies)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, tables=[EVENTS])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.parent.name for path in sorted(files)] == [f"day={day}" for day in DAYS if day < dies_in]
    monkeypatch.setattr(exporting, "write_day", write_day)
    assert [file.is_skipped for file in run(tmp_path, tables=[EVENTS])] == [day < dies_in for day in DAYS]
    assert len(read(tmp_path, "events")) == 6


def test_what_a_killed_export_left_is_removed_after_a_day(log, tmp_path):
    folder = tmp_path / f"events/day={DAYS[0]}"
    folder.mkdir(parents=True)
    for name, age in [("old", 2 * exporting.LEFT_OVER_SECONDS), ("young", 60)]:
        (folder / f".{name}.part").write_bytes(b"PAR1")
        moment = exporting.clock.time() - age
        exporting.os.utime(folder / f".{name}.part", (moment, moment))
    run(tmp_path, tables=[EVENTS])
    assert sorted(path.name for path in folder.iterdir()) == [".young.part", "events.parquet"]
    assert len(read(tmp_path, "events")) == 6  # other tools do not read what is hidden


def test_a_file_that_is_there_is_written_anew_only_when_asked(log, tmp_path):
    run(tmp_path, tables=[EVENTS])
    Interaction.objects.all().delete()
    assert not run(tmp_path, tables=[EVENTS])  # nothing is left to say where to begin
    assert all(file.is_skipped for file in run(tmp_path, tables=[EVENTS], since=DAYS[0]))
    written = run(tmp_path, tables=[EVENTS], since=DAYS[0], until=DAYS[0], again=True)
    assert [file.n_rows for file in written] == [0]
    assert len(read(tmp_path, "events")) == 3


def test_memory_holds_one_batch_whatever_the_size_of_a_day(log, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 2)
    run(tmp_path, tables=[EVENTS])
    file = pq.ParquetFile(tmp_path / f"events/day={DAYS[0]}/events.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 1]


def test_a_store_that_is_no_folder_gets_the_same_files(log):
    run("memory://exports/cars")
    store = fsspec.filesystem("memory")
    with store.open(f"/exports/cars/events/day={DAYS[0]}/events.parquet") as file:
        assert pq.read_table(file).num_rows == 3
    assert all(file.is_skipped for file in run("memory://exports/cars"))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_is_described_alike_in_the_docs_and_in_the_file(table):
    section = (PROJECT / "docs/operations.md").read_text().partition(f"\n`{table.name}`")[2].partition("\n\n`")[0]
    described = re.findall(r"^\| `(\w+)` \| ([\w<>]+) \| (.+) \|$", section, re.MULTILINE)
    assert described == [(column.name, column.type, column.says) for column in table.columns]
    schema = exporting.schema_of(table)
    assert [field.metadata[b"description"].decode() for field in schema] == [says for _, _, says in described]


def test_the_command_says_what_it_wrote(log, tmp_path):
    output = io.StringIO()
    call_command("export", str(tmp_path), "--only", "events", "--since", "2026-11-28", stdout=output)
    assert "3 rows" in output.getvalue()
    call_command("export", str(tmp_path), "--only", "events", "--since", "2026-11-28", stdout=output)
    assert "files were there already" in output.getvalue()
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="file"):
        call_command("export", str(tmp_path / "file"), "--only", LISTINGS.name)
