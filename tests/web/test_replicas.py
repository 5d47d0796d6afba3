"""Which reads may leave the primary, and how old a replica is; tests with a server are in recommender_site/replicas."""

import time

import pytest
from django.apps import apps
from django.db import router

from web import replicas
from web.replicas import Positions, Replica, before_header

ALIAS = "replica1"
WHO_MAY_DO_WHAT = ("auth", "sessions", "token_blacklist", "mfa", "account", "socialaccount", "admin", "contenttypes")


@pytest.mark.parametrize("model", apps.get_models(), ids=lambda model: model._meta.label)
def test_who_may_do_what_is_never_read_from_a_replica_and_cars_events_and_lists_are(model):
    with replicas.reading_from(ALIAS):
        reads, writes = router.db_for_read(model), router.db_for_write(model)
    label, app = model._meta.label_lower, model._meta.app_label
    assert writes == "default"
    if app in WHO_MAY_DO_WHAT or (app == "accounts" and label not in ("accounts.buyer", "accounts.auditentry")):
        assert reads == "default"
    if app in ("catalog", "recommendations"):
        assert reads == ALIAS
    assert router.db_for_read(model) == "default"


def test_a_server_that_takes_writes_is_no_replica():
    positions = Positions()
    positions.hear(time.monotonic(), [b"1", b"16777216", b"7"])
    known = Replica(ALIAS, positions)
    assert "not been looked at" in known.why_left_out()
    known.hear(time.monotonic(), [b"t", b"1", b"7"])
    assert known.why_left_out() == ""
    known.hear(time.monotonic(), [b"f", None, b"1"])
    assert "no replica" in known.why_left_out()
    known.hear(time.monotonic(), [b"t", b"1", b"1"])
    assert "another server" in known.why_left_out()
    known.hear(time.monotonic(), [])
    assert "does not say" in known.why_left_out()


def test_a_replica_is_as_old_as_the_last_position_that_it_has_reached():
    positions = Positions()
    assert positions.complete_as_of(10**9) == float("-inf")
    for moment, position in [(1.0, 100), (2.0, 100), (3.0, 250), (4.0, 260)]:
        positions.hear(moment, [str(position).encode(), b"16777216", b"7"])
    positions.hear(5.0, [])
    reached = {99: float("-inf"), 100: 2.0, 249: 2.0, 250: 3.0, 259: 3.0, 260: 4.0, 10**9: 4.0}
    assert {position: positions.complete_as_of(position) for position in reached} == reached
    positions.hear(6.0, [b"90", b"16777216", b"7"])  # another server took over
    assert positions.complete_as_of(90) == positions.complete_as_of(260) == 6.0


@pytest.mark.parametrize(
    ("position", "last_record_ends"),
    [(8192 * 5 + 24, 8192 * 5), (8192 * 5 + 40, 8192 * 5 + 40), (2**24 * 3 + 40, 2**24 * 3), (8192 * 5 + 25, 40985)],
)
def test_the_header_of_an_empty_page_is_not_waited_for(position, last_record_ends):
    assert before_header(position, 2**24) == last_record_ends
