"""Every page of the console, and /infer, in a process whose database refuses it: 503 soon, and never a crash."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from recommendations.models import VECTOR_DIMENSIONS
from tests.markets import trained_market
from tests.recommender_site.test_closed import methods_of, path_of, routes
from tests.recommender_site.test_every_form import PATHS

PROJECT = Path(__file__).resolve().parents[3]
REFUSING = "postgres://app@127.0.0.1:1/app"
SESSION = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz123456; csrftoken=" + "a" * 32, "X-CSRFToken": "a" * 32,
           "Referer": "https://testserver/"}  # fmt: skip
KEY = {"X-Api-Key": "fc_nothing.of-the-kind"}
SECONDS = 5.0  # one on a machine that is not busy; a server that is waited for costs ten

# As gunicorn asks: the whole application, with the short way around Django, and the watch that each process has.
SCRIPT = """
import io, json, sys, time
from recommender_site.wsgi import application
from django.test import RequestFactory
from web.outage import database_watch
from web.servers import watch_database

watch_database()
while not database_watch.is_away:
    time.sleep(0.02)
for method, path, headers in json.load(sys.stdin):
    request = RequestFactory(headers=headers).generic(method, path, b"{}", "application/json", secure=True)
    request.environ["wsgi.input"] = io.BytesIO(b"{}")
    started = []
    began_at = time.monotonic()
    chunks = application(request.environ, lambda status, headers, *_: started.append((status, dict(headers))))
    content = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    status, got = started[-1]
    print(json.dumps([method, path, int(status.split()[0]), got, content.decode(errors="replace")[:300],
                      time.monotonic() - began_at]))
"""


def ask_without_database(questions: list[tuple[str, str, dict[str, str]]]) -> list[tuple[Any, ...]]:
    """Method, path, status, headers, the beginning of the body and seconds of each answer."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "recommender_site.settings_test",
             "SECRET_KEY": settings.SECRET_KEY,
             "ALLOWED_HOSTS": "testserver", "DATABASE_URL": REFUSING, "DEBUG": "False", "DEMO_MODE": "True"},
        input=json.dumps(questions), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]


def check(answers: list[tuple[Any, ...]], n_asked: int) -> list[str]:
    """What is wrong with any of them."""
    assert len(answers) == n_asked
    wrong = []
    for method, path, status, headers, _, seconds in answers:
        if status >= 500 and (status != 503 or headers.get("Retry-After") != "5"):
            wrong.append(f"{method} {path}: {status}, Retry-After {headers.get('Retry-After')}")
        if seconds > SECONDS:
            wrong.append(f"{method} {path}: {seconds:.1f} s")
    return wrong


def test_every_page_with_a_session_is_a_503():
    paths = ["/admin/login/", *(re.sub(r"<[^>]+>", "1", path) for path in PATHS)]
    questions = [("GET", path, SESSION) for path in paths]
    answers = ask_without_database(questions)
    assert check(answers, len(questions)) == []
    unavailable = [answer for answer in answers if answer[2] == 503]
    assert len(unavailable) > 0.9 * len(answers)
    assert all(answer[3]["Content-Type"].startswith("text/html") for answer in unavailable)
    assert {answer[2] for answer in answers if answer[1] == "/admin/login/"} == {503}


def test_pages_without_a_session_are_no_crash():
    questions = [
        (method, path, {})
        for path in ("/", "/admin/", "/admin/login/", "/admin/account/", "/api/session/login/", "/nothing", "/metrics")
        for method in ("GET", "POST", "HEAD", "OPTIONS")
    ]
    assert check(ask_without_database(questions), len(questions)) == []


@pytest.mark.parametrize(
    "headers", [{}, KEY, {"X-Visitor-Key": "the-browser-of-gus"}], ids=["nothing", "key", "visitor"]
)
def test_no_route_of_the_api_is_a_crash_or_waits(headers):
    questions = [
        (method.upper(), f"{path_of(name)}{'?buyer=b1' if headers else ''}", headers)
        for name, pattern, _ in routes()
        for method in methods_of(pattern)
        if path_of(name) != "/api/reload"  # reads files; without any, it is a 503 at all times
    ]
    answers = ask_without_database(questions)
    assert check(answers, len(questions)) == []
    if headers == KEY:  # the others are refused before anything is read, where they may not enter
        assert sum(answer[2] == 503 for answer in answers) > len(answers) / 2


@contextmanager
def refused() -> Iterator[None]:
    """This process's database at an address where nothing listens; what it had open is closed."""
    own = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}

    def move_to(place: dict[str, Any]) -> None:
        connection.close()
        connection.close_pool()
        connection.settings_dict.update(place)

    move_to({"HOST": "127.0.0.1", "PORT": "1"})
    pool = connection.settings_dict["OPTIONS"].pop("pool", None)
    try:
        yield
    finally:
        if pool:
            connection.settings_dict["OPTIONS"]["pool"] = pool
        move_to(own)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/admin/", "/api/v1/me"])
def test_a_session_that_cannot_be_saved_because_the_database_went_away_is_a_503(path):
    session = SessionStore()
    session.create()
    request = RequestFactory().get(path)
    request.COOKIES["sessionid"] = str(session.session_key)

    def view(request: HttpRequest) -> HttpResponse:
        request.session["seen"] = not request.session.get("seen")  # read while the database is there
        goes_away.enter_context(refused())
        return HttpResponse()

    with ExitStack() as goes_away:
        answer = convert_exception_to_response(SessionMiddleware(view))(request)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.django_db(transaction=True)
def test_infer_goes_on_with_the_listings_in_memory(settings):
    settings.DEMO_MODE = True
    settings.WINDOW_STALENESS_SECONDS = 0
    trained_market(6)
    question = json.dumps({"name": "a question", "vector": [0.1] * VECTOR_DIMENSIONS})
    client = Client()

    def ask() -> tuple[int, Any]:
        answer = client.post("/infer", question, content_type="application/json")
        return answer.status_code, answer.json()

    before = ask()
    assert before[0] == 200
    with refused():
        assert ask() == before
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/cars/search", headers=KEY).status_code == 503
    assert ask() == before
