"""What is about a person is kept by no cache: every route, page and error, for every caller."""

import io

import pytest
from django.test import Client

from recommender_site.http.fast_lane import with_fast_lane
from tests.factories import ListingFactory, UserFactory
from tests.recommender_site.test_closed import (
    CALLERS,
    CLOSED,
    callers,  # noqa: F401
    path_of,
)

pytestmark = pytest.mark.django_db
SAME_FOR_EVERYONE = {"home", "schema", "docs", "redoc", "redocs", "healthz", "readyz", "metrics"}
NAMED_BY = {"authorization", "x-api-key", "x-visitor-key", "cookie"}
OTHER_PATHS = ["/api/v1/nothing", "/api/v1/users/me/nothing", "/recs/u/", "/api/v1/cars/detail/999999", "/api/v1/"]
PAGES_ABOUT_PEOPLE = ["/admin/accounts/buyer/", "/admin/accounts/user/", "/admin/recommendations/interaction/",
                      "/admin/recommendations/servedlist/", "/admin/accounts/erasedid/"]  # fmt: skip


def assert_private(answer, what: object) -> None:
    kept = {each.strip() for each in answer.headers.get("Cache-Control", "").split(",")}
    assert {"private", "no-store"} <= kept, (what, answer.headers.get("Cache-Control"))


def assert_of_the_caller(answer, what: object) -> None:
    assert_private(answer, what)
    assert {each.strip().lower() for each in answer.headers["Vary"].split(",")} >= NAMED_BY, what


@pytest.mark.parametrize("is_demo", [True, False], ids=["demo", "production"])
@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_answers_for_the_caller_alone(caller, is_demo, callers, settings):  # noqa: F811
    settings.DEMO_MODE, settings.RATINGS_DIR = is_demo, settings.BASE_DIR / "nonexistent"
    ListingFactory(pk=1)
    for name, method in CLOSED:
        if name in SAME_FOR_EVERYONE | {"cleanup"}:
            continue
        for query in ("", "?buyer=customer-7&no_such_thing=1"):
            answer = getattr(callers[caller], method)(path_of(name) + query, content_type="application/json")
            assert_of_the_caller(answer, (name, method, answer.status_code))
    for path in OTHER_PATHS:
        assert_of_the_caller(callers[caller].get(path), path)


def test_a_crash_is_private_too(callers, monkeypatch):  # noqa: F811
    callers["user"].raise_request_exception = False
    monkeypatch.setattr("accounts.api.views.MeSerializer", None)
    answer = callers["user"].get("/api/v1/users/me")
    assert answer.status_code == 500
    assert_of_the_caller(answer, "a crash")


@pytest.mark.parametrize("path", ["/infer", "/batch", "/interact", "/recs/u"])
def test_the_short_way_answers_likewise(path, settings):
    settings.DEMO_MODE = True
    started = []
    environ = {
        "REQUEST_METHOD": "GET" if path.startswith("/recs") else "POST", "PATH_INFO": path, "REMOTE_ADDR": "10.0.0.1",
        "CONTENT_LENGTH": "2", "wsgi.input": io.BytesIO(b"{}"),
    }  # fmt: skip
    with_fast_lane(None)(environ, lambda status, headers: started.append(dict(headers)))
    assert started[0]["Cache-Control"] == "private, no-store"
    assert {each.strip().lower() for each in started[0]["Vary"].split(",")} >= NAMED_BY


@pytest.mark.parametrize("path", PAGES_ABOUT_PEOPLE)
def test_pages_of_the_console_are_private(path):
    client = Client()
    client.force_login(UserFactory(operator=True))
    answer = client.get(path)
    assert answer.status_code == 200
    assert_private(answer, path)
    assert "cookie" in answer.headers["Vary"].lower()
