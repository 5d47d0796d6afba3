"""No secret reaches the log, wherever it stands and whatever it is made of.

Each secret is arbitrary text between two marks; neither mark may be left.
"""

import base64
import json
import logging
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.logs import JSONFormatter, RedactingFormatter
from web.redaction import redact, redact_values, spellings_of

BEGIN, END = "Zq7Begin", "Zq7End"
MARK = "Zq7"
secrets = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: f"{BEGIN}{text}{END}")
no_newline = secrets.filter(lambda text: not set(text) & set("\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))
visible = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map(lambda t: f"{BEGIN}{t}{END}")
plain = st.text("abcXYZ019-._~+/", max_size=30).map(lambda text: f"{BEGIN}{text}{END}")
NAMES = [
    "password", "Password", "new_password2", "passwd", "pwd", "client_secret", "SECRET_KEY", "token", "refresh_token",
    "csrfmiddlewaretoken", "api_key", "X-Api-Key", "visitor_key", "sessionid", "csrftoken", "authorization", "Cookie",
]  # fmt: skip
names = st.sampled_from(NAMES)


def assert_gone(text: str) -> None:
    assert MARK not in redact(text), redact(text)


@given(names, secrets, st.booleans(), st.integers(0, 2), st.sampled_from([None, 2]))
def test_in_json_and_in_json_within_json(name, secret, ascii_only, depth, indent):
    text = json.dumps({"email": "ann@example.com", name: secret, "n": 1}, ensure_ascii=ascii_only, indent=indent)
    for _ in range(depth):
        text = json.dumps({"body": text}, ensure_ascii=ascii_only)
    assert_gone(f"the body was {text}, and refused")
    assert_gone(f"the body was {text!r}, and refused")
    assert_gone(f"the body was {text.encode()!r}, and refused")


@given(names, secrets)
def test_in_python(name, secret):
    for value in ({name: secret}, [{"deep": {name: secret}}], {name: secret.encode()}):
        assert_gone(f"given {value!r}")


@given(names, secrets)
def test_in_forms_and_queries(name, secret):
    assert_gone(f"POST /login {urlencode({'user': 'ann', name: secret, 'next': '/'})}")
    assert_gone(f"GET /?{quote(name)}={quote(secret)}&next=/ HTTP/1.1")


@given(names, secrets)
def test_in_json_that_was_cut_off(name, secret):
    assert_gone(json.dumps({name: secret + "more"})[:-4])


@given(st.text(max_size=10), secrets)
def test_in_basic_auth(user, password):
    value = base64.b64encode(f"{user.encode('utf-8', 'ignore').decode()}:{password}".encode()).decode()
    for form in (
        "Basic {}",
        "Authorization: basic {}",
        "{{'Authorization': 'BASIC  {}'}}",
        "-H 'authorization:Basic {}'",
    ):
        assert value not in redact(form.format(value))


@given(plain, st.sampled_from(["Bearer", "bearer", "BEARER", "Api-Key"]))
def test_in_bearer_auth(token, scheme):
    forms = ["{}", "Authorization:  {}", '{{"Authorization": "{}"}}', "-H 'authorization:{}'"]
    for form in forms:
        assert_gone(form.format(f"{scheme} {token}"))


@given(visible, st.sampled_from(["Cookie: {}", "Set-Cookie: {}; Path=/; HttpOnly", "cookie: a=b; sessionid={}; c=d",
                                 "'HTTP_COOKIE': {!r}", "Authorization: Digest {}", "Authorization: {}"]))  # fmt: skip
def test_in_headers(value, form):
    assert_gone(form.format(value))


@given(no_newline, st.sampled_from(["postgres", "postgresql", "redis", "rediss", "amqp", "amqps"]))
def test_in_the_address_of_a_server(password, scheme):
    assert_gone(f"cannot reach {scheme}://forecourt:{password}@database:5432/app: refused")
    assert_gone(f"cannot reach {scheme}://forecourt:{quote(password, safe='')}@database/app")
    assert_gone(f"cannot reach {scheme}://:{password}@host/1")


@given(
    visible.filter(lambda text: not set(text) & set("?#")),
    st.sampled_from(["https", "http", "ftp", "sftp", "socks5", "git+https"]),
)
def test_in_the_address_of_a_feed(password, scheme):
    assert_gone(f"fetching {scheme}://ann:{password}@feeds.example/stock.csv failed")
    assert_gone(f"fetching {scheme}://ann:{quote(password, safe='')}@feeds.example:8443/a?b=c failed")
    assert_gone(f"{{'address': '{scheme}://:{quote(password, safe='')}@feeds.example'}}")


@given(
    plain,
    st.sampled_from(["key", "access_key", "apikey", "sig", "signature", "X-Amz-Signature", "auth", "code", "hmac",
                     "token", "client_secret", "webhook_secret"]),
)  # fmt: skip
def test_in_the_query_of_an_address(secret, name):
    assert_gone(f"GET https://feeds.example/stock.csv?a=1&{name}={quote(secret)}&b=2 answered 403")
    assert_gone(f"'https://feeds.example/?{name}={quote(secret)}'")
    assert_gone(f"https://{'x' * 20}{MARK}@feeds.example/1")


@given(secrets)
def test_in_a_connection_string_of_libpq(password):
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    assert_gone(f"connecting to host=db user=ann password='{escaped}' dbname=app failed")
    assert_gone(f"connecting to host=db password = '{escaped}'")


@given(secrets, st.sampled_from([str, repr, json.dumps, quote, quote_plus, lambda text: quote(text, safe="")]))
def test_what_the_settings_hold_is_removed_wherever_it_stands(secret, spelling):
    line = f"nothing says what {spelling(secret)} is"
    assert secret not in redact(line, spellings_of([secret]))
    assert MARK not in redact(line, spellings_of([secret]))


@given(names, secrets)
def test_in_lines_of_json_and_in_plain_ones(name, secret):
    body = json.dumps({name: secret})
    for formatter in (JSONFormatter(), RedactingFormatter("%(message)s%(context)s")):
        for record in (
            logging.makeLogRecord({"msg": "body %s", "args": (body,), "levelname": "INFO"}),
            logging.makeLogRecord({"msg": f"body {body}", "levelname": "INFO", name: secret, "data": {name: [secret]}}),
        ):
            assert MARK not in formatter.format(record)


@given(secrets)
def test_a_line_of_json_stays_json(secret):
    record = logging.makeLogRecord({"msg": f'{{"password": "{secret}', "levelname": "INFO", "name": "x"})
    assert json.loads(JSONFormatter().format(record))["event"].startswith('{"password": ')


def test_tracebacks_are_without_secrets_in_json_too():
    try:
        raise ValueError(f"redis://:{BEGIN} x@y{END}@host does not answer")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
        line = JSONFormatter().format(logging.makeLogRecord({"msg": "oops", "exc_info": info, "levelname": "ERROR"}))
    assert MARK not in line
    assert "Traceback" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    "text",
    [
        "12 listings, basic settings, the basic idea",
        "password authentication failed for user ann",
        "GET /api/v1/cars?max_price=9000 https://example.com/a@b",
        "https://example.com:8443/a@b answers, https://example.com:80 does not",
        "GET https://example.com/?keyword=estate&decode=1&author=ann, see https://ann@example.com/",
        "worker@host ready, 3 tasks",
        "Task recommendations.refresh_preferences[2b0f] succeeded in 0.01s: None",
        "postgres://forecourt@database:5432/app does not answer",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_values_keep_their_kind():
    assert redact_values({"n": 1, "ok": True, "none": None, "share": 0.5}) == {
        "n": 1,
        "ok": True,
        "none": None,
        "share": 0.5,
    }
