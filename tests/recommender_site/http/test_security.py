import base64
import hashlib
import re
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from rest_framework.templatetags.rest_framework import optional_logout

from recommender_site.http.security import policy_for, read_as_utf8


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/v1/cars/search", "/healthz"])
def test_no_page_but_the_admin_runs_inline_scripts(path):
    scripts = policy_for(path).partition("script-src")[2].partition(";")[0]
    assert "unsafe-inline" not in scripts
    assert "unsafe-eval" not in scripts


@pytest.mark.parametrize("path", ["/", "/api/docs", "/api/redoc", "/admin/"])
def test_nothing_is_loaded_from_elsewhere_and_no_page_frames_us(path):
    assert policy_for(path).startswith("default-src 'self'; object-src 'none'; frame-ancestors 'none'")


def test_every_page_carries_its_policy(client):
    assert client.get("/healthz")["Content-Security-Policy"] == policy_for("/healthz")


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_the_descriptions_fetch_nothing_from_elsewhere(client, path):
    page = client.get(path).content.decode()
    assert "//" not in page.replace("http://www.w3.org/", "").replace("http://testserver/", "")


@pytest.mark.parametrize("charset", ["hex", "idna", "rot13", '"base64"', "utf-16", "no-such-thing", "utf-8"])
def test_a_charset_decides_nothing_and_crashes_nothing(charset):
    environ = {
        "QUERY_STRING": "q=%C5%A0koda",
        "CONTENT_TYPE": f"application/json; charset={charset}; boundary=x",
        "wsgi.input": BytesIO(),
    }
    setup_testing_defaults(environ)

    def show_query(environ, start_response):
        request = WSGIRequest(environ)
        assert request.META["CONTENT_TYPE"] == "application/json; boundary=x"
        return [request.GET["q"].encode()]

    assert read_as_utf8(show_query)(environ, lambda *answer: None) == ["Škoda".encode()]


def test_the_page_s_own_log_out_is_the_one_inline_handler_that_is_allowed():
    link = optional_logout(RequestFactory().get("/"), "Pat", "token")
    (handler,) = re.findall(r"onclick='(.*?)'", link)
    digest = base64.b64encode(hashlib.sha256(handler.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy_for("/api/v1/")
