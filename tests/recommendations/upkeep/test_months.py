"""Events, impressions and lists are kept by month: in place, without anyone waiting, and an event id stays unique."""

# ruff: noqa: S608 -- names of tables
from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from recommendations.buyers.posteriors import LogPosition
from recommendations.events import recording, waiting
from recommendations.events.recording import Event, record_interactions
from recommendations.feed import log as feed
from recommendations.models import EventKey, Impression, Interaction, ServedList, WaitingEvent
from recommendations.upkeep import months as kept
from recommendations.upkeep.retention import remove_old_rows
from recommender_site.operations import backup, restore, schema
from recommender_site.operations.doctor import look_at_months
from recommender_site.operations.findings import Level
from tests.factories import BuyerFactory, InteractionFactory, ListingFactory, ServedListFactory
from tests.months import MIGRATION, MODELS, as_one_table, months_put_back
from web.postgres import months
from web.servers import connection_parameters

NOW = timezone.now()
EARLIER = NOW - timedelta(days=15)  # in the oldest part, whenever the tables were made


def month(later: int, day: int = 1) -> datetime:
    """A day of a month to come. The second from now is the first that always has a part of its own."""
    return months.beginning_of_month(NOW, later) + timedelta(days=day - 1)


NIGHT = month(8, day=20)  # a hundred days before it is a day of the fifth month

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _months_are_put_back() -> Iterator[None]:
    with months_put_back():
        yield


@pytest.fixture
def reader() -> Iterator[psycopg.Connection]:
    """Another process, which does not wait for locks."""
    with psycopg.connect(**connection_parameters(), autocommit=True) as other:
        other.execute("SET lock_timeout = '400ms'")
        yield other


def impression(**fields) -> Impression:
    given = {"event_id": uuid.uuid4().hex, "sender": "key:1", "content_digest": 1, "occurred_at": EARLIER}
    return Impression.objects.create(**{**given, "positions": [1], **fields})


def one_of_each(when: datetime) -> dict[months.Monthly, object]:
    event = InteractionFactory(received_at=when, occurred_at=when)
    seen = impression(buyer=event.buyer, received_at=when)
    return {kept.EVENTS: event, kept.IMPRESSIONS: seen, kept.LISTS: ServedListFactory(served_at=when)}


def view(event_id: str) -> Event:
    return Event(kind="view", event_id=event_id, listing_id=ListingFactory().pk, occurred_at=NOW - timedelta(days=1))


def part_of(row) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {row._meta.db_table} WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


def description(table: str) -> dict[str, set]:
    """Columns, checks, foreign keys, indexes that can be shared by parts, and triggers, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, atttypid, attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
            [table],
        )
        columns = set(cursor.fetchall())
        keys = {(name, what) for name, what, kind in months.rows(cursor, months.CONSTRAINTS, [table]) if kind in "cf"}
        indexes = {
            (name, what.replace(" ON ONLY ", " ON "))
            for name, what, is_unique, _, _, _ in months.rows(cursor, months.INDEXES, [table])
            if not is_unique
        }
        return {
            "columns": columns,
            "keys": keys,
            "indexes": indexes,
            "triggers": set(months.rows(cursor, months.TRIGGERS, [table])),
        }


def file_of(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filenode(%s)", [table])
        return cursor.fetchone()[0]


# --- An existing database --------------------------------------------------------------------------------------------
def test_a_database_with_rows_is_upgraded_in_place_and_nothing_is_written_anew():
    as_one_table()
    rows = one_of_each(EARLIER)
    before = {monthly: (description(monthly.table), file_of(monthly.table)) for monthly in kept.TABLES}
    EventKey.objects.all().delete()  # the release before knew none
    with connection.schema_editor(atomic=False) as editor:
        MIGRATION.keep_by_month(apps, editor)
    for monthly, row in rows.items():
        table, (described, file) = monthly.table, before[monthly]
        assert description(table) == described
        oldest, *ahead = months.parts_of(table)
        assert file_of(oldest.name) == file, "no row was written anew"
        assert part_of(row) == oldest.name
        assert MODELS[monthly].objects.get(pk=row.pk).pk == row.pk
        assert [part.since for part in ahead] == [part.until for part in [oldest, *ahead][:-1]], "there is no gap"
        assert oldest.is_oldest
        assert ahead[-1].until > timezone.now() + timedelta(days=60)
    assert EventKey.objects.count() == 2
    later = one_of_each(timezone.now() + timedelta(days=60))
    assert all(part_of(row).startswith(f"{monthly.table}_20") for monthly, row in later.items())
    assert later[kept.EVENTS].pk > rows[kept.EVENTS].pk
    with pytest.raises(IntegrityError), transaction.atomic():
        InteractionFactory(buyer_id=10**9, listing=None)
    with pytest.raises(IntegrityError):  # an id of before, in a month of its own
        InteractionFactory(event_id=rows[kept.EVENTS].event_id, received_at=later[kept.EVENTS].received_at)


def test_the_log_waits_for_this_release_where_the_feed_writes_it():
    as_one_table()
    ListingFactory(source="items")
    with connection.schema_editor(atomic=False) as editor:
        MIGRATION.keep_by_month(apps, editor)
    assert [months.is_partitioned(each.table) for each in kept.TABLES] == [False, True, True]
    assert [each.level for each in look_at_months()] == [Level.WARNING]
    kept.make_months(timezone.now())
    assert [each.level for each in look_at_months()] == [Level.OK]


def test_a_reader_who_goes_on_for_long_is_not_waited_for_and_keeps_nothing_from_being_tried_again(
    reader, settings, monkeypatch
):
    settings.MIGRATION_LOCK_SECONDS = 1
    monkeypatch.setattr(months, "ATTEMPTS", 1)
    as_one_table()
    rows = one_of_each(EARLIER)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM recommendations_servedlist")
    with pytest.raises(OperationalError) as refusal:
        months.add_check(kept.LISTS, months.beginning_of_month(timezone.now(), 2))
    assert isinstance(refusal.value.__cause__, LockNotAvailable)
    reader.execute("COMMIT")
    assert not months.is_partitioned(kept.LISTS.table)
    for monthly in kept.TABLES:
        kept.keep_by_month(monthly, timezone.now())
        assert part_of(rows[monthly]) == months.parts_of(monthly.table)[0].name


# --- Months come and go ----------------------------------------------------------------------------------------------
def use_the_site(reader: psycopg.Connection, is_over: threading.Event, problems: list[Exception]) -> None:
    """Read and write all of it, as other processes do, without waiting for a lock."""
    names = ("recommendations_interaction", "recommendations_impression", "recommendations_servedlist")
    while not is_over.is_set():
        try:
            for name in names:
                reader.execute(f"SELECT count(*) FROM {name}")
                reader.execute(f"DELETE FROM {name} WHERE id IS NULL")
        except Exception as problem:
            problems.append(problem)
            return


def test_months_are_made_ahead_and_old_ones_dropped_while_the_site_is_used(reader, settings):
    settings.KEEP_EVENTS_DAYS = settings.KEEP_LISTS_DAYS = settings.KEEP_IMPRESSIONS_DAYS = 100
    is_over, problems = threading.Event(), []
    site = threading.Thread(target=use_the_site, args=(reader, is_over, problems))
    site.start()
    for later in (2, 4, 6):
        kept.make_months(month(later, day=10))
    rows = [one_of_each(month(later, day=10)) for later in (2, 3, 7)]
    removed = remove_old_rows(now=NIGHT)
    is_over.set()
    site.join()
    assert problems == []
    assert {name: removed[name] for name in ("events", "lists", "impressions")} == {
        "events": 2, "lists": 2, "impressions": 2
    }  # fmt: skip
    for monthly, model in MODELS.items():
        assert list(model.objects.all()) == [rows[-1][monthly]]
        oldest, *others = months.parts_of(monthly.table)
        assert (oldest.is_oldest, oldest.until) == (True, month(5))
        assert [part.since for part in others] == [part.until for part in [oldest, *others][:-1]]
    assert EventKey.objects.count() == 2
    again = InteractionFactory(event_id=rows[0][kept.EVENTS].event_id, received_at=EARLIER)
    assert part_of(again) == months.parts_of(kept.EVENTS.table)[0].name, "no moment is without a part"
    with pytest.raises(IntegrityError), transaction.atomic():
        InteractionFactory(event_id=again.event_id)


def test_a_month_of_lists_that_an_event_names_is_not_dropped_and_loses_its_other_lists(settings):
    settings.KEEP_LISTS_DAYS = 100
    kept.make_months(month(6, day=10))
    named, _ = (ServedListFactory(served_at=month(2, day=9)) for _ in range(2))
    InteractionFactory(served_list=named, received_at=month(2, day=9))
    assert remove_old_rows(now=NIGHT)["lists"] == 1
    assert list(ServedList.objects.all()) == [named]
    assert months.parts_of(kept.LISTS.table)[0].until == month(2)


@pytest.mark.parametrize("is_detached", [True, False])
def test_a_removal_that_was_cut_short_is_finished_by_the_next_night(is_detached):
    kept.make_months(month(6, day=10))
    oldest = months.parts_of(kept.EVENTS.table)[0]
    with connection.cursor() as cursor:
        cursor.execute(f"COMMENT ON TABLE {oldest.name} IS '{months.TO_GO}'")
        if is_detached:
            cursor.execute(f"ALTER TABLE {kept.EVENTS.table} DETACH PARTITION {oldest.name}")
    kept.make_months(month(6, day=10))
    parts = months.parts_of(kept.EVENTS.table)
    assert (parts[0].is_oldest, parts[0].until) == (True, oldest.until)
    assert InteractionFactory(received_at=EARLIER)


# --- An event id is unique over all months ---------------------------------------------------------------------------
def test_an_event_that_is_sent_again_in_another_month_counts_once(monkeypatch):
    buyer, event = BuyerFactory(), view("a")
    outcomes = []
    for moment in (NOW, NOW + timedelta(days=70)):
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        outcomes.append(record_interactions(buyer=buyer, events=[event]).results[0].outcome)
    assert outcomes == [recording.Outcome.RECORDED, recording.Outcome.REPEATED]
    assert Interaction.objects.count() == EventKey.objects.count() == 1


@pytest.mark.parametrize("n_others", [0, 2])
def test_two_requests_of_two_months_that_do_not_see_each_other_write_an_event_once(monkeypatch, n_others):
    """The other one writes between our look and our insert."""
    buyer, event = BuyerFactory(), view("a")
    others = [view(f"b{number}") for number in range(n_others)]
    turn = months.beginning_of_month(NOW, 3)
    attribute = recording.attribute

    def the_other_comes_first(rows):
        monkeypatch.setattr(recording, "attribute", attribute)
        monkeypatch.setattr(timezone, "now", lambda: turn - timedelta(seconds=1))
        record_interactions(buyer=buyer, events=[event])
        attribute(rows)

    monkeypatch.setattr(recording, "attribute", the_other_comes_first)
    monkeypatch.setattr(timezone, "now", lambda: turn + timedelta(seconds=1))
    recorded = record_interactions(buyer=buyer, events=[event, *others])
    assert recorded.results[0].outcome == recording.Outcome.REPEATED
    assert recorded.n_recorded == n_others
    assert LogPosition.of(buyer.pk).n_interactions == Interaction.objects.count() == 1 + n_others


def test_what_is_said_of_items_of_the_feed_twice_counts_once_over_months():
    item = ListingFactory(source="items")
    assert feed.write_actions("u", [item.pk], ["like"], ["feed-a"], EARLIER.timestamp()) == 1
    Interaction.objects.update(received_at=timezone.now() + timedelta(days=70))
    assert feed.write_actions("u", [item.pk, item.pk], ["like"] * 2, ["feed-a", "feed-b"], EARLIER.timestamp()) == 1


def test_a_key_goes_with_its_event_and_is_of_its_sender():
    event = InteractionFactory(event_id="a", sender="key:1")
    InteractionFactory(event_id="a", sender="key:2")
    impression(event_id="a", sender="key:1", buyer=event.buyer)
    assert EventKey.objects.count() == 3
    event.delete()
    assert EventKey.objects.count() == 2
    assert InteractionFactory(event_id="a", sender="key:1")


@pytest.mark.parametrize("later", [timedelta(), timedelta(days=70)])
def test_a_key_whose_event_is_gone_is_taken_by_the_next_event(later):
    event = InteractionFactory(event_id="a", sender="key:1")
    with connection.cursor() as cursor:
        for name in ("event_keys_forgotten", "event_keys_noted"):
            cursor.execute(f"ALTER TABLE {kept.EVENTS.table} DISABLE TRIGGER {name}")
        Interaction.objects.filter(pk=event.pk).delete()
        for name in ("event_keys_forgotten", "event_keys_noted"):
            cursor.execute(f"ALTER TABLE {kept.EVENTS.table} ENABLE TRIGGER {name}")
    assert EventKey.objects.count() == 1
    InteractionFactory(event_id="a", sender="key:1", received_at=timezone.now() + later)
    assert EventKey.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        InteractionFactory(event_id="a", sender="key:1", received_at=timezone.now() + timedelta(days=35))


def test_one_statement_can_not_write_an_id_in_two_months():
    rows = [
        InteractionFactory.build(
            event_id="a", sender="key:1", buyer=BuyerFactory(), listing=ListingFactory(), received_at=NOW + later
        )
        for later in (timedelta(), timedelta(days=70))
    ]
    with pytest.raises(IntegrityError), transaction.atomic():
        Interaction.objects.bulk_create(rows)
    assert not EventKey.objects.exists()


def test_of_two_requests_that_take_the_same_key_one_is_refused(reader):
    EventKey.objects.create(key=key_of(kept.EVENTS, "key:1", "a"))
    event = InteractionFactory(event_id="b", sender="key:1")
    columns = "sender, buyer_id, kind_id, listing_id, occurred_at, received_at"
    reader.execute("SET lock_timeout = '10s'; BEGIN")
    reader.execute(
        f"INSERT INTO {kept.EVENTS.table} (event_id, {columns}) SELECT 'a', {columns} FROM {kept.EVENTS.table}"
    )
    problems: list[Exception] = []
    with beside(lambda: write_in_another_month(event.buyer_id, event.listing_id), problems):
        wait_until_locked()
        reader.execute("COMMIT")
    assert [type(each) for each in problems] == [IntegrityError]
    assert Interaction.objects.filter(event_id="a").count() == 1


def write_in_another_month(buyer_id: int, listing_id: int) -> None:
    later = timezone.now() + timedelta(days=70)
    InteractionFactory(event_id="a", sender="key:1", buyer_id=buyer_id, listing_id=listing_id, received_at=later)


def key_of(monthly: months.Monthly, sender: str, event_id: str) -> uuid.UUID:
    with connection.cursor() as cursor:
        cursor.execute("SELECT recommendations_key_of_event(%s, %s, %s)", [monthly.table, sender, event_id])
        return cursor.fetchone()[0]


def test_an_event_that_is_removed_while_keys_are_noted_leaves_none(reader):
    gone, stays = InteractionFactory(), InteractionFactory()
    EventKey.objects.all().delete()
    reader.execute("BEGIN")
    reader.execute(f"DELETE FROM {kept.EVENTS.table} WHERE id = %s", [gone.pk])
    with beside(lambda: kept.note_keys(kept.EVENTS)):
        wait_until_locked()
        reader.execute("COMMIT")
    assert [each.key for each in EventKey.objects.all()] == [key_of(kept.EVENTS, stays.sender, stays.event_id)]


@pytest.mark.parametrize("emptied", [kept.EVENTS, kept.IMPRESSIONS])
def test_a_table_that_is_emptied_whole_leaves_no_key(emptied):
    one_of_each(EARLIER)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {emptied.table}")
    assert EventKey.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {kept.EVENTS.table}, {kept.IMPRESSIONS.table}")
    assert not EventKey.objects.exists()


def test_an_event_that_waited_and_is_in_the_log_of_another_month_keeps_no_other_waiting(monkeypatch):
    """The other process writes it between our look and our insert."""
    car = ListingFactory(source="shop", external_id="A-1")
    event = InteractionFactory(event_id="a", sender="key:1", received_at=timezone.now() + timedelta(days=70))
    for event_id in ("a", "b"):
        WaitingEvent.objects.create(
            event_id=event_id, sender="key:1", content_digest=1, buyer=event.buyer, kind_id="view",
            source="shop", external_id="A-1",
        )  # fmt: skip
    monkeypatch.setattr(waiting, "without_repeats", list)
    assert waiting.release_for([car.pk]) == 1
    assert sorted(Interaction.objects.values_list("event_id", flat=True)) == ["a", "b"]
    assert not WaitingEvent.objects.exists()


# --- Beside others ---------------------------------------------------------------------------------------------------
@contextmanager
def beside(work: Callable[[], object], problems: list[Exception] | None = None) -> Iterator[None]:
    """Does it in a thread, as another process would; raises what it raised, or appends that to ``problems``."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as problem:
            raised.append(problem)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if problems is None:
        assert raised == []
    else:
        problems.extend(raised)


def wait_until_locked() -> None:
    """Until a process waits for a lock, 10 seconds at most."""
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.005)
    raise AssertionError("none waits")


def keep_events(settings) -> None:
    kept.keep_by_month(kept.EVENTS, timezone.now())


def drop_the_oldest(settings) -> None:
    months.drop_parts(kept.EVENTS, months.parts_of(kept.EVENTS.table)[:1])


def make_another(settings) -> None:
    months.make_months(kept.EVENTS, months.parts_of(kept.EVENTS.table)[-1].until + timedelta(days=1))


@pytest.mark.parametrize("first", ["accounts_buyer", "catalog_listing", "recommendations_interaction"])
@pytest.mark.parametrize("work", [keep_events, drop_the_oldest, make_another])
def test_a_request_that_holds_one_table_and_needs_another_is_not_ended(reader, settings, monkeypatch, work, first):
    monkeypatch.setattr(months, "PAUSE_SECONDS", 0.1)
    if work is keep_events:
        as_one_table()
    others = sorted({"accounts_buyer", "catalog_listing", "recommendations_interaction"} - {first})
    reader.execute("SET lock_timeout = '3s'")
    reader.execute("BEGIN")
    reader.execute(f"DELETE FROM {first} WHERE id IS NULL")
    with beside(lambda: work(settings)):
        try:
            time.sleep(0.3)  # until it waits, where it has to
            for other in others:
                reader.execute(f"DELETE FROM {other} WHERE id IS NULL")
            time.sleep(1.2)  # longer than PostgreSQL waits before it looks for a deadlock
        finally:
            reader.execute("ROLLBACK")
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone()[0] == "0"
    assert months.parts_of(kept.EVENTS.table)[0].is_oldest


def test_where_the_exchange_gives_up_no_row_is_refused_later(reader, monkeypatch):
    monkeypatch.setattr(months, "ATTEMPTS", 1)
    as_one_table()
    reader.execute("BEGIN")
    reader.execute("DELETE FROM accounts_buyer WHERE id IS NULL")
    with pytest.raises(OperationalError):
        kept.keep_by_month(kept.EVENTS, timezone.now())
    reader.execute("COMMIT")
    assert not months.is_partitioned(kept.EVENTS.table)
    assert months.check_left(kept.EVENTS) is None
    assert InteractionFactory(received_at=timezone.now() + timedelta(days=365))


def test_doctor_names_the_check_that_a_killed_process_left():
    as_one_table()
    months.add_check(kept.EVENTS, months.beginning_of_month(timezone.now(), 2))
    [finding] = [each for each in look_at_months() if each.level == Level.PROBLEM]
    assert kept.EVENTS.table in finding.is_so
    assert months.check_of(kept.EVENTS.table) in finding.remedy
    kept.make_months(timezone.now())
    assert [each.level for each in look_at_months()] == [Level.OK]


def test_a_part_that_can_not_be_dropped_yet_leaves_no_moment_without_one(reader, monkeypatch):
    monkeypatch.setattr(months, "ATTEMPTS", 1)
    oldest = months.parts_of(kept.EVENTS.table)[0]
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM catalog_listing")
    with pytest.raises(OperationalError):
        months.drop_parts(kept.EVENTS, [oldest])
    assert InteractionFactory(received_at=EARLIER)
    reader.execute("COMMIT")
    months.finish(kept.EVENTS)
    parts = months.parts_of(kept.EVENTS.table)
    assert (parts[0].is_oldest, parts[0].until) == (True, oldest.until)
    assert months.left_over(kept.EVENTS.table) == []


def test_a_part_that_is_read_for_long_is_detached_once_it_is_not(reader, monkeypatch):
    monkeypatch.setattr(months, "PAUSE_SECONDS", 0.1)
    reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    reader.execute(f"SELECT count(*) FROM {kept.EVENTS.table}")
    oldest = months.parts_of(kept.EVENTS.table)[0]
    with beside(lambda: months.drop_parts(kept.EVENTS, [oldest])):
        time.sleep(1.5)
        reader.execute(f"SELECT count(*) FROM {kept.EVENTS.table}")
        reader.execute("COMMIT")
    assert months.parts_of(kept.EVENTS.table)[0].until == oldest.until
    assert months.left_over(kept.EVENTS.table) == []


def test_a_table_in_use_keeps_no_other_from_its_months(reader, monkeypatch):
    monkeypatch.setattr(months, "ATTEMPTS", 1)
    as_one_table()
    reader.execute("BEGIN")
    reader.execute("DELETE FROM catalog_listing WHERE id IS NULL")
    with pytest.raises(OperationalError):
        kept.make_months(timezone.now())
    reader.execute("COMMIT")
    assert [months.is_partitioned(each.table) for each in kept.TABLES] == [False, True, True]


def test_privileges_are_those_of_before_and_suffice_to_insert():
    as_one_table()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE months_writer")
        try:
            cursor.execute(f"GRANT SELECT, INSERT ON {kept.EVENTS.table} TO months_writer")
            cursor.execute(f"GRANT SELECT ON {kept.EVENTS.table} TO PUBLIC")
            before = set(months.rows(cursor, months.GRANTS, [kept.EVENTS.table]))
            kept.keep_by_month(kept.EVENTS, timezone.now())
            assert set(months.rows(cursor, months.GRANTS, [kept.EVENTS.table])) == before
            [(sequence,)] = months.rows(cursor, f"SELECT pg_get_serial_sequence('{kept.EVENTS.table}', 'id')")
            cursor.execute("SELECT has_sequence_privilege('months_writer', %s, 'USAGE')", [sequence])
            assert cursor.fetchone()[0]
        finally:
            cursor.execute(f"REVOKE ALL ON {kept.EVENTS.table} FROM PUBLIC")
            cursor.execute("DROP OWNED BY months_writer")
            cursor.execute("DROP ROLE months_writer")


def test_a_backup_that_begins_with_an_exchange_is_of_the_tables_after_it(tmp_path, monkeypatch):
    as_one_table()
    event = InteractionFactory()
    columns_by_table = schema.columns_by_table

    def exchanged_after_the_first_look(cursor):
        found = columns_by_table(cursor)
        monkeypatch.setattr(schema, "columns_by_table", columns_by_table)
        cursor.connection.rollback()
        kept.make_months(timezone.now())
        return found

    monkeypatch.setattr(schema, "columns_by_table", exchanged_after_the_first_look)
    contents = backup.back_up(str(tmp_path / "file"))
    assert contents.n_rows[part_of(event)] == 1
    assert kept.EVENTS.table not in contents.n_rows


def test_a_month_that_is_dropped_during_a_backup_waits_for_its_end(tmp_path, monkeypatch):
    for name in ("ATTEMPTS", "ATTEMPTS_TO_DETACH"):
        monkeypatch.setattr(months, name, 1)
    event = InteractionFactory(received_at=EARLIER, occurred_at=EARLIER)
    oldest = months.parts_of(kept.EVENTS.table)[0]
    assert part_of(event) == oldest.name
    rows_of = backup.rows_of

    def dropped_meanwhile(cursor, table, columns):
        monkeypatch.setattr(backup, "rows_of", rows_of)
        with pytest.raises(OperationalError):
            months.drop_parts(kept.EVENTS, [oldest])
        return rows_of(cursor, table, columns)

    monkeypatch.setattr(backup, "rows_of", dropped_meanwhile)
    assert backup.back_up(str(tmp_path / "file")).n_rows[oldest.name] == 1
    months.finish(kept.EVENTS)
    assert not Interaction.objects.exists()


# --- Beside it -------------------------------------------------------------------------------------------------------
def test_doctor_says_which_months_are_missing(monkeypatch):
    [finding] = look_at_months()
    assert finding.level == Level.OK
    last = months.parts_of(kept.EVENTS.table)[-1].until
    for days, level in ((40, Level.WARNING), (5, Level.PROBLEM)):
        monkeypatch.setattr(timezone, "now", lambda days=days: last - timedelta(days=days))
        assert {each.level for each in look_at_months()} == {level}


def test_the_rows_of_a_backup_from_before_there_were_months_have_parts_to_go_to():
    with transaction.atomic(), connection.cursor() as cursor:
        of_vectors = [each for each in schema.partitions(cursor) if each["parent"] == "recommendations_listingvector"]
        restore.make_partitions(cursor, of_vectors)
        assert all(months.parts_of(monthly.table) for monthly in kept.TABLES)
        assert {monthly.table for monthly in kept.TABLES} <= schema.partitioned_tables(cursor)


@pytest.mark.parametrize(
    ("moment", "later", "expected"),
    [
        (datetime(2026, 11, 30, 23, tzinfo=UTC), 0, datetime(2026, 11, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), 1, datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2026, 10, 5, tzinfo=UTC), 15, datetime(2028, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_beginning_of_a_month(moment, later, expected):
    assert months.beginning_of_month(moment, later) == expected
