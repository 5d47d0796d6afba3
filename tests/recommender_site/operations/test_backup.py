"""A backup holds everything, as of one moment, and gives the same lists in another database."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations.listings import market_statistics
from recommendations.listings.vectors import create_detached, ensure_index, partition_of
from recommendations.models import EventKey, Interaction, RankerVersion
from recommendations.serving.lists import ListRequest, recommend
from recommendations.upkeep import months as kept
from recommender_site.operations import archive, backup, restore, schema
from tests.factories import BuyerFactory, InteractionFactory
from tests.markets import trained_market, view
from tests.months import as_one_table, months_put_back
from tests.recommender_site.operations.conftest import forget_memory, move_to
from web.servers import connection_parameters

PASSPHRASE = "a passphrase of these tests"
UNIQUE_OF_PARTS = """
SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
WHERE c.relispartition AND c.relnamespace = current_schema()::regnamespace AND indisunique
"""


@pytest.fixture
def world(transactional_db, settings, monkeypatch):
    """The market is read as of one moment, which the next full ten minutes would change."""
    moment = time.time() + market_statistics.STEP_SECONDS  # so that what is made here counts
    monkeypatch.setattr(market_statistics, "time", SimpleNamespace(time=lambda: moment))
    settings.WINDOW_STALENESS_SECONDS = 0
    settings.LIST_CACHE_SECONDS = 0
    market = trained_market(4)
    buyers = [BuyerFactory(), BuyerFactory()]
    view(buyers[0], *market.bmws[:2])
    view(buyers[1], *market.skodas[:2])
    ensure_index(RankerVersion.objects.live().pk)
    return [buyer.pk for buyer in buyers]


def lists_of(buyers: list[int]) -> list[list[tuple[int, float]]]:
    forget_memory()
    answers = [recommend(ListRequest(buyer=Buyer.objects.get(pk=pk), k=6)) for pk in buyers]
    return [[(item.listing.pk, round(item.score, 6)) for item in answer.items] for answer in answers]


def without_casts(definition: str) -> str:
    """PostgreSQL writes the casts of a condition in another way once it has read its own writing."""
    return re.sub(r"[()]|::[a-z ]+(\[\])?", "", definition)


def everything() -> dict[str, object]:
    """Every row of every table as text, in an order that does not depend on where it lies; and what describes them."""
    with psycopg.connect(**connection_parameters()) as other, other.cursor() as cursor:
        tables = schema.columns_by_table(cursor)
        rows = {
            name: sorted(bytes(row) for row in backup.rows_of(cursor, name, columns))
            for name, columns in tables.items()
            if name != schema.MIGRATIONS
        }
        keys = sorted(schema.rows(cursor, schema.FOREIGN_KEYS))
        indexes = [
            (name, without_casts(definition))
            for of_partitions in (False, True)
            for name, definition in sorted(schema.own_indexes(cursor, of_partitions=of_partitions).items())
        ]
        unique = sorted(
            (table, definition.partition(" USING ")[2]) for table, definition in schema.rows(cursor, UNIQUE_OF_PARTS)
        )
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O'")
        return {
            "rows": rows, "keys": keys, "indexes": indexes, "unique": unique, "partitions": schema.partitions(cursor),
            "sequences": schema.sequences(cursor), "inactive triggers": cursor.fetchall(),
            "migrations": sorted(schema.rows(cursor, "SELECT app, name FROM django_migrations")),
        }  # fmt: skip


def test_a_restored_database_is_the_same_and_gives_the_same_lists(world, empty_database, tmp_path, settings):
    settings.BACKUP_PASSPHRASE = PASSPHRASE
    path = tmp_path / "today.backup"
    lists, before = lists_of(world), everything()
    assert all(len(each) == 6 for each in lists)
    call_command("backup", str(path))
    call_command("restore", str(path), check=True)
    move_to(empty_database())
    call_command("restore", str(path))
    after = everything()
    for part, value in before.items():
        assert after[part] == value, part
    assert lists_of(world) == lists
    sold = {"status": Listing.Status.SOLD, "ended_at": timezone.now()}
    Listing.objects.filter(pk=lists[0][0][0]).update(**sold)  # triggers and sequences work
    assert lists[0][0][0] not in [pk for pk, _ in lists_of(world)[0]]
    assert BuyerFactory().pk > max(world)


def test_events_from_before_they_were_kept_by_month_have_their_keys_once_restored(world, empty_database, tmp_path):
    """As of a site with a feed, whose log waits for the night after the upgrade."""
    home = connection.settings_dict["NAME"]
    with months_put_back():
        as_one_table()
        kept.make_months_of(kept.IMPRESSIONS, timezone.now())
        kept.make_months_of(kept.LISTS, timezone.now())
        EventKey.objects.all().delete()
        backup.back_up(str(tmp_path / "file"))
        move_to(empty_database())
        try:
            call_command("restore", str(tmp_path / "file"))
            event = Interaction.objects.order_by("pk").first()
            assert EventKey.objects.count() == Interaction.objects.count() > 0
            with pytest.raises(IntegrityError):  # in another month
                InteractionFactory(
                    event_id=event.event_id, sender=event.sender, received_at=event.received_at + timedelta(days=70)
                )
        finally:
            move_to(home)


def test_a_backup_is_of_one_moment_though_writes_go_on(world, tmp_path, monkeypatch):
    rows_of = backup.rows_of

    def rows_of_while_others_write(cursor, table, columns):
        Buyer.objects.filter(pk=world[0]).update(external_id=f"changed before {table}"[:40])
        BuyerFactory()
        return rows_of(cursor, table, columns)

    before = Buyer.objects.count()
    monkeypatch.setattr(backup, "rows_of", rows_of_while_others_write)
    contents = backup.back_up(str(tmp_path / "file"))
    assert contents.n_rows["accounts_buyer"] == before
    assert b"changed before" not in gzip.decompress((tmp_path / "file").read_bytes())


def test_a_plain_backup_is_read_by_tar_and_names_what_it_holds(world, tmp_path):
    backup.back_up(str(tmp_path / "file"))
    with tarfile.open(tmp_path / "file") as tar:
        manifest = json.load(tar.extractfile(archive.MANIFEST))
        rows = tar.extractfile("accounts_buyer/000001.copy").read()
    assert set(manifest["tables"]) == set(schema.columns_by_table(connection.cursor())) - {schema.MIGRATIONS}
    assert rows.count(b"\n") == Buyer.objects.count()
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_database_that_holds_tables_is_never_written_over(world, tmp_path):
    backup.back_up(str(tmp_path / "file"))
    before = everything()
    with pytest.raises(CommandError, match="not empty"):
        call_command("restore", str(tmp_path / "file"))
    assert everything() == before


def test_a_table_that_no_migration_makes_keeps_nothing_from_being_restored(world, empty_database, tmp_path):
    before, home = everything(), connection.settings_dict["NAME"]
    left_over = partition_of(RankerVersion.objects.live().pk + 1)
    with connection.cursor() as cursor:
        create_detached(RankerVersion.objects.live().pk + 1)  # as when the removal of a version was cut short
        cursor.execute("CREATE TABLE notes (id serial, note text); INSERT INTO notes (note) VALUES ('by hand')")
    said = io.StringIO()
    try:
        backup.back_up(str(tmp_path / "file"))
        move_to(empty_database())
        call_command("restore", str(tmp_path / "file"), stderr=said)
        after = everything()
    finally:
        move_to(home)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE notes, {left_over}")
    for part, value in before.items():
        assert after[part] == value, part
    assert said.getvalue().strip().endswith(f": notes, {left_over}")


def test_rows_that_the_database_refuses_leave_none_and_end_with_what_to_do(
    world, empty_database, tmp_path, monkeypatch
):
    rows_of = backup.rows_of
    monkeypatch.setattr(
        backup, "rows_of", lambda cursor, table, columns: [*rows_of(cursor, table, columns), b"too few\n"]
    )
    backup.back_up(str(tmp_path / "file"))
    move_to(empty_database())
    with pytest.raises(CommandError, match=r"the database refused: .*\s.*create it anew"):
        call_command("restore", str(tmp_path / "file"))
    assert Buyer.objects.count() == 0


@pytest.fixture
def small(tmp_path) -> Path:
    """A backup of made-up tables, for what needs no database."""
    with archive.create(str(tmp_path / "small"), PASSPHRASE) as writer:
        writer.add_manifest({"migrations": [], "tables": {"cars": ["id"]}})
        writer.add_table("cars", [b"1\n", b"2\n"])
        writer.add_table("empty", [])
    return tmp_path / "small"


def test_a_backup_is_checked_without_a_database(small):
    assert restore.check(str(small), PASSPHRASE).n_rows == {"cars": 2, "empty": 0}


@pytest.mark.parametrize(("passphrase", "reason"), [("", "BACKUP_PASSPHRASE"), ("another passphrase", "passphrase")])
def test_without_its_passphrase_a_backup_stays_closed(small, passphrase, reason):
    with pytest.raises(archive.BackupRefused, match=reason):
        restore.check(str(small), passphrase)


def tar_of(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


MANIFEST = (archive.MANIFEST, b'{"format": 1, "migrations": []}')
DAMAGED = {
    "nothing": b"",
    "another kind of file": b"PGDMP",
    "not even gzip": archive.GZIP_START + b"nonsense",
    "no manifest": tar_of(("cars/000001.copy", b"1\n")),
    "of a later format": tar_of((archive.MANIFEST, b'{"format": 2}')),
    "no contents": tar_of(MANIFEST, ("cars/000001.copy", b"1\n")),
    "other rows": tar_of(MANIFEST, ("cars/000001.copy", b"1\n"), (archive.CONTENTS, b'{"sha256": {"cars": "00"}}')),
    "a table is missing": tar_of(MANIFEST, (archive.CONTENTS, b'{"sha256": {"cars": "00"}}')),
    "cut off": tar_of(MANIFEST, ("cars/000001.copy", b"1\n" * 50_000))[:-40],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_whole_backup_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CommandError, match=r"backup|not those that were saved"):
        call_command("restore", str(tmp_path / "file"), check=True)


def test_a_backup_that_fails_leaves_no_file(tmp_path):
    def fail_half_way() -> None:
        with archive.create(str(tmp_path / "file")) as writer:
            writer.add_manifest({})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CommandError, match="no/folder"):
        call_command("backup", "/no/folder/file")


def test_a_backup_of_a_later_release_is_refused_and_one_of_an_earlier_is_not():
    graph = MigrationLoader(None).graph
    with pytest.raises(restore.RestoreRefused, match="later"):
        restore.last_of_each_app(graph, {("catalog", "0999_not_yet")})
    earlier = {("catalog", "0001_initial"), ("catalog", "0002_listing_changes"), ("accounts", "0001_initial")}
    assert restore.last_of_each_app(graph, earlier) == [
        ("accounts", "0001_initial"),
        ("catalog", "0002_listing_changes"),
    ]
