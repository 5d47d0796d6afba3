"""The statements that write lists and events down, on a database."""

from uuid import UUID

import pytest
from django.db import connection

from catalog.items import store_items
from recommendations.feed.log import RECORD, SERVE, write_actions
from recommendations.feed.memory import memory
from recommendations.models import EventKey, Interaction

pytestmark = pytest.mark.django_db


@pytest.fixture
def listing_id() -> int:
    store_items({"item"})
    memory.forget()
    return memory.items().listing_id_of["item"]


def cost_of(statement: str, n: int) -> float:
    """What PostgreSQL expects of writing down ``n`` events, or a list of ``n`` items, that it is shown."""
    values = {"event_ids": "x", "kinds": "like", "listing_ids": "1", "sources": "top", "scores": "0.5"}
    arrays = {name: "{" + ",".join([value] * n) + "}" for name, value in values.items()}
    others = {"user_id": "user", "creates_buyer": True, "occurred_at": 1e9, "length": 10}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", {**others, **arrays})
        return cursor.fetchone()[0][0]["Plan"]["Total Cost"]


@pytest.mark.parametrize("statement", [RECORD, SERVE], ids=["events", "lists"])
def test_no_plan_for_so_many_rows_looks_cheaper_than_the_plan_that_is_kept(statement):
    assert cost_of(statement, 1) == cost_of(statement, 4) == cost_of(statement, 1000)


def scans_of_keys() -> int:
    """How often the whole table of keys was read in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'recommendations_eventkey'")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("n_keys", [0, 1, 500])
def test_ids_are_looked_up_one_by_one_by_a_plan_made_while_there_are_few(listing_id, n_keys):
    """However few keys there were when PostgreSQL last counted them: on one page it would read them all instead."""
    EventKey.objects.bulk_create(EventKey(key=UUID(int=key)) for key in range(n_keys))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE recommendations_eventkey")
        cursor.execute("DEALLOCATE ALL")
    before = scans_of_keys()
    for n in range(8):
        assert write_actions("user", [listing_id], ["like"], [f"event {n}"], 1e9) == 1
        assert write_actions("user", [listing_id], ["like"], [f"event {n}"], 1e9) == 0
    assert scans_of_keys() == before
    arrays = {"event_ids": "{x}", "kinds": "{like}", "listing_ids": "{1}"}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {RECORD}", {"user_id": "user", "creates_buyer": True, "occurred_at": 1e9, **arrays})
        assert "hashed" not in "\n".join(line for (line,) in cursor.fetchall())


def test_an_event_is_written_once_and_a_key_that_outlived_its_event_is_no_obstacle(listing_id):
    assert write_actions("user", [listing_id], ["like"], ["one"], 1e9) == 1
    assert write_actions("user", [listing_id, listing_id], ["like"] * 2, ["one", "another"], 1e9) == 1
    with connection.cursor() as cursor:  # as a month that is dropped: no trigger of the log sees that
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM recommendations_interaction WHERE event_id = 'one'")
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert EventKey.objects.count() == 2
    assert write_actions("user", [listing_id], ["like"], ["one"], 1e9) == 1
    assert sorted(Interaction.objects.values_list("event_id", flat=True)) == ["another", "one"]
