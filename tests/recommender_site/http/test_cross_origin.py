"""Pages of other origins: django-cors-headers around Django, and the fast lane before it, as one site."""

import json
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from recommender_site.http.fast_lane import with_fast_lane
from recommender_site.wsgi import application as as_served
from tests.recommender_site.test_closed import CLOSED as EVERY_ROUTE
from web.paths import is_api_path

PAGE = "https://www.example.com"
ELSEWHERE = "https://evil.example"
CONTRACT_ROUTES = ["/infer", "/batch", "/interact", "/add_items", "/recs/u1", "/healthcheck", "/cleanup"]
API = ["/api/v1/cars/search", "/api/predict", "/api/unknown", "/interact/", *CONTRACT_ROUTES]
METHODS = {method.upper() for _, method in EVERY_ROUTE}
FAST = ["/infer", "/batch", "/interact"]  # answered before Django when a server asks
CLOSED = ["/admin/", "/", "/metrics", "/healthz", "/readyz", "/static/x.css", "/infernal", "/api", "/x/api/"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _within_the_transaction_of_the_test():
    """As Django's test client has it: a request that ends does not close the connection."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def site(settings):
    """The site as it is served, open to the origins named."""

    def opened(*origins):
        settings.CORS_ALLOW_ALL_ORIGINS = "*" in origins
        settings.CORS_ALLOWED_ORIGINS = [origin for origin in origins if origin != "*"]
        return with_fast_lane(WSGIHandler())

    return opened


def ask(application, path, method="GET", origin=PAGE, preflight=False, body=b""):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(body), "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
    }  # fmt: skip
    if origin:
        environ["HTTP_ORIGIN"] = origin
    if preflight:
        environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"] = "POST"
        environ["HTTP_ACCESS_CONTROL_REQUEST_HEADERS"] = "authorization, content-type"
    started: list = []
    answer = b"".join(application(environ, lambda status, headers, *_: started.extend([status, headers])))
    return int(started[0].split()[0]), {name.lower(): value for name, value in started[1]}, answer


def is_named(headers) -> bool:
    return any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize("path", ["/healthcheck", "/infer", "/recs/u1", "/api/v1/cars/search"])
@pytest.mark.parametrize("preflight", [True, False])
def test_the_site_as_it_is_served_by_default_is_open_to_no_page(path, preflight):
    assert not is_named(ask(as_served, path, "OPTIONS" if preflight else "GET", preflight=preflight)[1])


@pytest.mark.parametrize("path", API)
def test_a_page_that_is_allowed_may_ask_the_api(site, path):
    status, headers, body = ask(site(PAGE), path, "OPTIONS", preflight=True)
    assert (status // 100, body) == (2, b"")
    assert headers["access-control-allow-origin"] == PAGE
    assert {"GET", *METHODS} <= set(headers["access-control-allow-methods"].split(", "))
    assert {"Authorization", "Content-Type", "X-Api-Key", "X-Visitor-Key"} <= set(
        headers["access-control-allow-headers"].split(", ")
    )
    assert headers["access-control-max-age"] == "600"
    _, headers, _ = ask(site(PAGE), path, "POST" if path in FAST else "GET", body=b"{}")
    assert headers["access-control-allow-origin"] == PAGE
    assert "Retry-After" in headers["access-control-expose-headers"]
    assert "origin" in headers["vary"].lower()


@pytest.mark.parametrize("path", API)
def test_other_pages_get_no_leave_and_caches_keep_them_apart(site, path):
    method = "POST" if path in FAST else "GET"
    for headers in (
        ask(site(PAGE), path, method, origin=ELSEWHERE, body=b"{}")[1],
        ask(site(PAGE), path, "OPTIONS", origin=ELSEWHERE, preflight=True)[1],
        ask(site(PAGE), path, method, origin="", body=b"{}")[1],
    ):
        assert not is_named(headers)
        assert "origin" in headers["vary"].lower()


@pytest.mark.parametrize("path", ["/infer", "/api/v1/cars/search"])
def test_origins_are_compared_whole(site, path):
    for origin in (f"{PAGE}.evil.example", PAGE.replace("https", "http"), f"{PAGE}:8443", "null", "https://["):
        assert not is_named(ask(site(PAGE), path, "POST", origin=origin, body=b"{}")[1])


@pytest.mark.parametrize("path", API)
def test_any_page_may_be_allowed_but_never_with_cookies(site, path):
    for method, preflight in (("POST" if path in FAST else "GET", False), ("OPTIONS", True)):
        _, headers, _ = ask(site("*"), path, method, origin=ELSEWHERE, preflight=preflight, body=b"{}")
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("path", CLOSED)
def test_what_is_no_api_stays_closed(site, path):
    assert not is_api_path(path)
    assert not is_named(ask(site("*"), path)[1])
    assert not is_named(ask(site("*"), path, "OPTIONS", preflight=True)[1])


def test_a_page_gets_the_same_answer_as_a_server(site):
    asked = {"path": "/interact", "method": "POST", "body": b'{"user_id": 1}'}
    status, _, body = ask(site(PAGE), origin="", **asked)
    assert ask(site(PAGE), **asked)[::2] == (status, body)
    assert "error" in json.loads(body)
