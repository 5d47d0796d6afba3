import json
from io import BytesIO

import pytest

from recommender_site.http.cross_origin import with_cross_origin
from recommender_site.wsgi import application as as_served

PAGE = "https://www.example.com"
ELSEWHERE = "https://evil.example"


def an_application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("Vary", "Accept")])
    return [json.dumps({"method": environ["REQUEST_METHOD"]}).encode()]


def ask(application, path="/api/v1/cars/search", method="GET", origin=PAGE, preflight=False):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if origin:
        environ["HTTP_ORIGIN"] = origin
    if preflight:
        environ["HTTP_ACCESS_CONTROL_REQUEST_METHOD"] = "POST"
        environ["HTTP_ACCESS_CONTROL_REQUEST_HEADERS"] = "authorization, content-type"
    told: list = []
    body = b"".join(application(environ, lambda status, headers: told.extend([status, dict(headers)])))
    return int(told[0].split()[0]), told[1], body


def test_without_a_setting_nothing_is_added():
    assert with_cross_origin(an_application, []) is an_application
    _, headers, _ = ask(an_application)
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_the_site_as_it_is_served_by_default_is_open_to_nobody():
    told: dict[str, str] = {}
    environ = {
        "REQUEST_METHOD": "OPTIONS", "PATH_INFO": "/healthz", "HTTP_ORIGIN": PAGE, "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": BytesIO(),
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET",
    }  # fmt: skip
    as_served(environ, lambda status, headers: told.update(headers))  # type: ignore[arg-type]
    assert told
    assert not [name for name in told if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "path", ["/api/v1/cars/search", "/api/predict", "/infer", "/interact/", "/recs/u1", "/add_items"]
)
def test_a_page_that_is_allowed_may_ask_the_api(path):
    site = with_cross_origin(an_application, [PAGE])
    status, headers, body = ask(site, path, "OPTIONS", preflight=True)
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert {"Authorization", "Content-Type", "X-Api-Key"} <= set(headers["Access-Control-Allow-Headers"].split(", "))
    status, headers, body = ask(site, path)
    assert (status, json.loads(body)) == (200, {"method": "GET"})
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in headers["Access-Control-Expose-Headers"]
    assert headers["Vary"] == "Accept, Origin"


def test_other_pages_are_told_nothing_and_caches_keep_them_apart():
    site = with_cross_origin(an_application, [PAGE])
    for headers in (ask(site, origin=ELSEWHERE)[1], ask(site, method="OPTIONS", origin=ELSEWHERE, preflight=True)[1]):
        assert not [name for name in headers if name.startswith("Access-Control")]
        assert "Origin" in headers["Vary"]


def test_origins_are_compared_whole():
    site = with_cross_origin(an_application, [PAGE])
    for origin in (f"{PAGE}.evil.example", PAGE.replace("https", "http"), f"{PAGE}:8443", "null"):
        assert "Access-Control-Allow-Origin" not in ask(site, origin=origin)[1]


def test_anybody_may_be_allowed_but_never_with_cookies():
    _, headers, _ = ask(with_cross_origin(an_application, ["*"]), origin=ELSEWHERE)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", ["/admin/", "/", "/metrics", "/static/x.css"])
def test_what_is_no_api_stays_closed(path):
    status, headers, _ = ask(with_cross_origin(an_application, ["*"]), path, "OPTIONS", preflight=True)
    assert status == 200, "the application was asked"
    assert not [name for name in headers if name.startswith("Access-Control")]


def test_options_that_no_browser_asks_go_to_the_application():
    site = with_cross_origin(an_application, [PAGE])
    assert json.loads(ask(site, method="OPTIONS")[2]) == {"method": "OPTIONS"}
    assert json.loads(ask(site, method="OPTIONS", origin="", preflight=True)[2]) == {"method": "OPTIONS"}
