"""Whatever text comes in, at any field of any route or page, nothing breaks: not now, and not when it is read again.

Fields and routes come from the description of the API, pages and filters from the admin, so a new one is asked too.
"""

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.services import create_api_key
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.text_search import beginnings_query, web_query
from tests.described_fields import Field, all_fields, operations, send
from tests.factories import ListingFactory, PlacementFactory, UserFactory
from tests.markets import start_from_the_same_ids

pytestmark = pytest.mark.django_db
TEXTS = [
    "-" * 40, '-"' * 50, "a\0b", "\ud800", "x" * 5_000, "'", "", "NaN", "9" * 400, "😀" * 300, "٣", "a\n%_\\",
]  # fmt: skip
OTHER_VALUES = [None, True, 10**30, 1e308, [], {}, ["-" * 40]]
MORE_TEXTS = [
    "- " * 300, "-a " * 300, '"' * 77, "\0", "x\udc00", "a " * 2_000, "%", "\\" * 99, "a & | ! ( : *", "<->" * 40,
    "('" * 40, "\u202e", "ﷺ" * 99, " ", "1e400", "-Infinity", "-1", "0", "[]", "{}", "null", "²", "true", ",,,",
    "{{7*7}}", "../" * 20, "\uffff", "a/b/c", "%00", "%ed%a0%80", "a%", "select 1", "or or or", "-or", "\x1f", "\x7f",
]  # fmt: skip
alphabet = st.one_of(st.characters(), st.sampled_from("-\"'!&|()<>:* \0\ud800\\%_aor,"))
texts = st.text(alphabet, max_size=120)
quickly = settings(
    deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def callers(db) -> list[Client]:
    PlacementFactory()
    ListingFactory(pk=1)
    start_from_the_same_ids()  # the next listing has another id
    UserFactory(email="john0@example.com")
    logged_in = Client(raise_request_exception=False)
    logged_in.force_login(UserFactory())
    _, secret = create_api_key(name="a client", scopes=["admin"], created_by=None)
    return [Client(raise_request_exception=False, headers={"X-Api-Key": secret}), logged_in]


def ask(callers: list[Client], field: Field, value: object) -> None:
    """By the client system, or by the user where a client system has no say."""
    for client in callers:
        status = send(client, field, value).status_code
        without_ranker = field.route in ("/infer", "/batch") and status == 503
        assert status < 500 or without_ranker, f"{field}: {value!r:.60} -> {status}"
        if status not in (401, 403):
            return


@pytest.mark.parametrize("operation", [f"{method} {route}" for method, route, _ in operations()])
def test_no_field_of_a_route_breaks_it(operation, callers, settings):
    settings.DEMO_MODE = True
    for field in all_fields():
        if f"{field.method} {field.route}" == operation:
            for value in TEXTS if field.where != "body" else [*TEXTS, *OTHER_VALUES]:
                ask(callers, field, value)


@quickly
@given(field=st.sampled_from(all_fields()), text=st.one_of(texts, st.sampled_from(MORE_TEXTS)))
def test_no_text_at_all_breaks_a_route(field, text, callers):
    ask(callers, field, text)


@pytest.mark.parametrize("text", [text for text in TEXTS + MORE_TEXTS if not {"\0", "\n"} & {*text}])
@pytest.mark.parametrize(
    "header", ["Authorization", "X-Api-Key", "X-Visitor-Key", "Cookie", "Accept", "Content-Type", "Accept-Language"]
)
def test_no_header_breaks_a_route(header, text):
    sent = text.encode("utf-8", "surrogatepass").decode("latin-1")
    prefixes = {"Authorization": ["", "Bearer ", "Api-Key ", "Basic "], "Cookie": ["", "sessionid=", "csrftoken="]}
    for prefix in prefixes.get(header, [""]):
        client = Client(raise_request_exception=False, headers={header: prefix + sent})
        for path in ("/api/v1/users/me", "/admin/", "/api/v1/cars/search"):
            assert client.get(path).status_code < 500, (path, prefix)


@pytest.mark.parametrize("path", ["/admin/", "/api/v1/users/me"])
def test_a_session_that_no_column_could_hold_is_no_session(path):
    client = Client(raise_request_exception=False, headers={"Cookie": 'sessionid="\\000abcdefghijk"'})
    assert client.get(path).status_code < 500


# --- Full-text search ------------------------------------------------------------------------------------------------
@quickly
@given(text=st.text(alphabet, max_size=2_000))
def test_every_text_is_a_query(text):
    assert Listing.objects.matching(ListingFilters(text=text)).count() >= 0
    if query := beginnings_query(text):
        assert Listing.objects.filter(search_text=query).count() >= 0


@pytest.mark.parametrize(
    ("text", "is_found"),
    [("skoda octavia", True), ('"octavia estate"', True), ('"estate octavia"', False), ("skoda -estate", False),
     ("skoda -bmw", True), ("skoda --bmw", True), ("bmw or skoda", True), ("skoda - - -estate", False),
     ("-" * 40, False), ('skoda -"octavia estate"', False), ('skoda -"estate octavia"', True), ("e-tron", True),
     ("-", False)],
)  # fmt: skip
def test_searches_read_as_on_the_web(text, is_found):
    ListingFactory(title="Škoda Octavia estate e-tron")
    assert Listing.objects.filter(search_text=web_query(text)).exists() == is_found
