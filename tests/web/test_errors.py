"""Whatever goes wrong, the answer has one shape."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import OperationalError, connection
from django.db.transaction import TransactionManagementError
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.translation import override
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.test import APIClient

from web.errors import MESSAGES, PayloadTooLarge, error_page, exception_handler, flattened, handler400, handler500
from web.parsers import JSONParser

PROJECT = Path(__file__).resolve().parent.parent.parent


def parsed(body: bytes):
    return JSONParser().parse(io.BytesIO(body))


def test_problems_are_flattened_to_paths():
    detail = {"events": [{}, {"listing_id": ["missing"]}, {"query": {"min_year": ["no number", "too small"]}}]}
    assert list(flattened(detail)) == [
        ("events[1].listing_id", "missing"),
        ("events[2].query.min_year", "no number"),
        ("events[2].query.min_year", "too small"),
    ]


def test_the_message_names_the_first_field():
    body = exception_handler(ValidationError({"k": ["Too large."], "source": ["Unknown."]}), {}).data
    assert body == {
        "error": {
            "code": "invalid",
            "message": "k: Too large.",
            "fields": {"k": ["Too large."], "source": ["Unknown."]},
        }
    }


@pytest.mark.parametrize("outage", [OperationalError("gone"), RedisConnectionError("gone"), BrokerError("gone")])
def test_a_server_that_is_down_is_a_503_with_a_hint_when_to_come_back(outage):
    response = exception_handler(outage, {})
    assert (response.status_code, response.data["error"]["code"]) == (503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    assert "gone" not in str(response.data)


def test_a_crash_stays_a_crash_so_that_it_is_noticed():
    assert exception_handler(KeyError("oops"), {}) is None


def test_words_about_tables_are_not_shown_to_people():
    assert "Listing" not in str(exception_handler(Http404("No Listing matches the given query."), {}).data)


def test_the_last_resort_knows_an_outage_from_a_crash():
    request = RequestFactory().get("/api/v1/cars/search")
    for error, status in [(OperationalError("gone"), 503), (ValueError("oops"), 500)]:
        try:
            raise error
        except Exception:
            response = handler500(request)
        assert response.status_code == status
        assert set(json.loads(response.content)["error"]) == {"code", "message", "fields"}


def raised_for(cause: Exception, error: Exception, *, is_named: bool) -> Exception:
    try:
        try:
            raise cause
        except Exception as known:
            if is_named:
                raise error from known
            raise error  # noqa: B904 (as Django's sessions do)
    except Exception as raised:
        return raised


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("error", [TransactionManagementError("broken"), SessionInterrupted("gone"), KeyError("oops")])
def test_an_error_that_an_outage_caused_is_a_503_and_another_is_not(error, is_named):
    outage = raised_for(OperationalError("gone"), error, is_named=is_named)
    assert exception_handler(outage, {}).status_code == 503
    for path in ("/admin/", "/api/v1/me"):
        answer = handler400(RequestFactory().get(path), outage)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    other = raised_for(ValueError("no server"), type(error)("oops"), is_named=is_named)
    assert exception_handler(other, {}) is None or isinstance(error, SessionInterrupted)
    assert handler400(RequestFactory().get("/admin/"), other).status_code == 400


def test_an_answer_that_was_chosen_stays_one_although_a_server_is_away():
    chosen = raised_for(OperationalError("gone"), ParseError("not this"), is_named=True)
    assert exception_handler(chosen, {}).status_code == 400


def test_only_the_api_answers_in_json():
    assert handler400(RequestFactory().get("/admin/x"), Exception())["Content-Type"].startswith("text/html")
    assert handler400(RequestFactory().get("/api/x"), Exception())["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_people_read_what_is_so_and_where_to_go_on(status):
    """A page without a landmark, a style or a link was all that a wrong address of the shop had."""
    page = error_page(status)
    assert page.status_code == status
    text = page.content.decode()
    assert f"<h1>{MESSAGES[status]}</h1>" in text
    assert "<main>" in text
    assert {reverse("shop"), reverse("admin:index")} <= set(re.findall(r'href="([^"]+)"', text))
    with override("de"):
        german = error_page(status).content.decode()
    assert 'lang="de"' in german
    assert f"<h1>{MESSAGES[status]}</h1>" not in german


def test_an_unknown_path_of_the_api_is_a_404_in_json():
    assert Client().get("/api/v1/nothing/here").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'"\xff\xfe"', "utf-8"),
        (b'"\\u0000"', "NUL"),
        (b'{"a\\u0000": 1}', "NUL"),
        (b'[["\\ud800"]]', "surrogates"),
        (b"[" * 200_000, "nested"),
        (b"1" + b"0" * 5000, "digits"),
    ],
)
def test_a_body_that_is_not_json_is_refused(body, reason):
    with pytest.raises(ParseError, match=reason):
        parsed(body)


def test_text_that_only_looks_suspicious_is_kept():
    assert parsed(rb'["\\u0000", "\ud83d\ude97", "\u00e9"]') == ["\\u0000", "\U0001f697", "é"]


def test_a_body_that_is_too_large_is_refused_before_it_is_parsed(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert parsed(b'"1234567"') == "1234567"
    with pytest.raises(PayloadTooLarge):
        parsed(b'"123456789"')


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'"text"', 400),
        ("application/json", b"null", 400),
        ("application/json; charset=hex", b"{}", 400),
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"email=a", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("nonsense", b"{}", 415),
    ],
)
def test_bodies_of_every_kind_get_an_answer_in_the_one_shape(content_type, body, status):
    got = Client().generic("POST", "/api/v1/token", body, content_type)
    assert got.status_code == status
    assert set(got.json()["error"]) == {"code", "message", "fields"}


def test_a_method_that_does_not_exist_is_a_405_that_names_those_that_do():
    got = APIClient().delete("/api/v1/token")
    assert (got.status_code, got.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in got["Allow"]


SCRIPT = """
import django; django.setup()
from django.test import Client
answer = Client().post("/api/v1/token", {"email": "a@b.c", "password": "x"}, content_type="application/json")
print(answer.status_code, answer.content.decode())
"""


def answer_with(**environment):
    """What a process answers whose servers are these."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "recommender_site.settings", "DATABASE_POOL_SIZE": "0",
             "SECRET_KEY": settings.SECRET_KEY, "ALLOWED_HOSTS": "testserver", **environment},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    status, _, body = done.stdout.strip().splitlines()[-1].partition(" ")
    return int(status), json.loads(body)


def test_without_a_database_the_api_says_so_and_shows_no_trace():
    status, body = answer_with(DATABASE_URL="postgres://unknown@%2Fnowhere/none")
    assert (status, body["error"]["code"]) == (503, "unavailable")


@pytest.mark.django_db
def test_without_cache_and_broker_the_api_works_on():
    database = connection.settings_dict
    test_database = f"postgres://{database['USER']}@{quote(database['HOST'], safe='')}/{database['NAME']}"
    status, body = answer_with(
        DATABASE_URL=test_database,
        REDIS_URL="unix:///nowhere/redis.sock",
        CELERY_BROKER_URL="redis+socket:///nowhere/redis.sock",
    )
    assert (status, body["error"]["code"]) == (401, "not_authenticated")
