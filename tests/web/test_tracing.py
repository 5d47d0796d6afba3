"""One id finds everything that came of a request: in its answer, in the log, and with the tasks it enqueued."""

import json
import logging
import re
from types import SimpleNamespace

import pytest
from django.test import Client
from structlog.contextvars import get_contextvars

from jobs.tracing import REQUEST_ID, bind_ids, release_ids, send_request_id
from recommender_site.http.fast_lane import with_fast_lane
from web.logs import JSONFormatter, RedactingFormatter
from web.tracing import current_request_id, request_id_in, traced

GOOD = ["a", "42", "req-1.2_3:4", "0" * 128, "4bf92f3577b34da6a3ce929d0e0e4736", "Root=1-67891233-abcdef012345"]
BAD = ["", " ", "a b", "a\nb", "a\r\nX: y", "é", "<script>", '"', "0" * 129, "-a", "\0", "{}", "%0a"]


@pytest.mark.parametrize("given", GOOD)
def test_a_plain_id_is_kept(given):
    assert request_id_in({"HTTP_X_REQUEST_ID": given}) == given


@pytest.mark.parametrize("given", BAD)
def test_anything_else_is_replaced(given):
    assert re.fullmatch("[0-9a-f]{32}", request_id_in({"HTTP_X_REQUEST_ID": given}))


@pytest.mark.parametrize("path", ["/", "/healthz", "/no/such/page", "/api/v1", "/api/v1/nothing", "/infer", "/admin/"])
def test_every_answer_carries_the_id(path, db):
    assert Client().get(path, headers={"X-Request-ID": "from-the-proxy"})["X-Request-ID"] == "from-the-proxy"
    assert re.fullmatch("[0-9a-f]{32}", Client().get(path)["X-Request-ID"])


def test_the_short_way_carries_it_too(db):
    sent: list[list[tuple[str, str]]] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/recs/u", "HTTP_X_REQUEST_ID": "abc", "REMOTE_ADDR": "127.0.0.1"}
    with_fast_lane(lambda *args: pytest.fail("it goes the usual way"))(
        environ, lambda status, headers: sent.append(headers)
    )
    assert ("X-Request-ID", "abc") in sent[0]
    assert current_request_id() == ""


def task(name: str = "recommendations.refresh_preferences", **headers: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, request=SimpleNamespace(**headers))


def test_the_id_goes_with_a_task_through_the_worker_and_to_what_it_enqueues():
    headers: dict[str, str] = {}
    with traced({"HTTP_X_REQUEST_ID": "abc"}):
        send_request_id(headers=headers)
    assert headers == {REQUEST_ID: "abc"}
    bind_ids(task_id="7", task=task(**headers))
    line = json.loads(JSONFormatter().format(logging.makeLogRecord({"msg": "done", "levelname": "INFO", "name": "x"})))
    assert (line["request_id"], line["task_id"], line["task"]) == ("abc", "7", "recommendations.refresh_preferences")
    plain = RedactingFormatter("%(message)s%(context)s").format(logging.makeLogRecord({"msg": "done"}))
    assert plain == "done request_id=abc task_id=7"
    onwards: dict[str, str] = {}
    send_request_id(headers=onwards)
    assert onwards == headers
    release_ids(task_id="7")
    assert get_contextvars() == {}


def test_a_task_that_no_request_asked_for_has_an_id_of_its_own_only():
    headers: dict[str, str] = {}
    send_request_id(headers=headers)
    assert headers == {}
    bind_ids(task_id="8", task=task())
    assert "request_id" not in get_contextvars()
    release_ids(task_id="8")


def test_a_request_is_one_line_where_that_is_asked_for_and_probes_are_none(settings, caplog):
    caplog.set_level(logging.INFO, "forecourt.requests")
    settings.LOG_REQUESTS = True
    Client().get("/api/docs?token=hush")
    Client().get("/healthz")
    [record] = [record for record in caplog.records if record.name == "forecourt.requests"]
    assert (record.method, record.path, record.status) == ("GET", "/api/docs", 200)
    assert "hush" not in record.getMessage()
