"""Which language the API answers in, over HTTP: every status that refuses, lists, and what must not change."""

import io
import json

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils import translation
from rest_framework.test import APIClient

from accounts.services import create_api_key
from catalog.models import Listing
from recommender_site.http.fast_lane import with_fast_lane
from recommender_site.http.language import language_asked_for
from tests.factories import BuyerFactory, ListingFactory
from tests.markets import trained_market, view

API = "/api/v1"
RECOMMENDATIONS = f"{API}/cars/recommendations"
GERMAN = {"Accept-Language": "de"}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de", "de"), ("de-AT", "de"), ("DE-ch", "de"), ("de-DE,de;q=0.9,en;q=0.8", "de"), ("en;q=0.1, de;q=0.9", "de"),
        ("fr, de;q=0.5", "de"), ("", "en-gb"), ("fr", "en-gb"), ("en", "en-gb"), ("en-US, de;q=0.5", "en-gb"),
        ("*", "en-gb"), ("fr, *;q=0.5, de;q=0.1", "en-gb"), ("de;q=0, fr", "en-gb"), ("x" * 2000, "en-gb"),
        ("de;q=x,,;=", "en-gb"), ("ð, \N{SNOWMAN}", "en-gb"),
    ],
)  # fmt: skip
def test_the_best_language_that_there_is(header, language):
    assert language_asked_for(header) == language


@pytest.fixture
def garage(db) -> dict[str, str]:
    key = create_api_key(name="a garage", scopes=["read", "ingest", "admin"], created_by=None)[1]
    return {"X-Api-Key": key}


def refusals(garage) -> list[tuple[int, str, tuple]]:
    """What is refused, as status, method, and what the test client is called with."""
    draft = ListingFactory(status=Listing.Status.DRAFT)
    listing = f"{API}/listings/{draft.pk}"
    return [
        (400, "get", (f"{API}/cars/search?min_year=x&fuel=steam&lat=1&min_price=5&max_price=1", None, garage)),
        (400, "get", (f"{RECOMMENDATIONS}?placement=nowhere&k=0&source=magic", None, garage)),
        (400, "post", (f"{API}/events", {"events": []}, garage)),
        (400, "post", (f"{API}/events", {"kind": "nothing", "buyer": "b", "listing_id": 10**9}, garage)),
        (400, "post", (f"{API}/events", {"kind": "view"}, garage)),
        (400, "post", (f"{API}/listings", {"listings": [{"latitude": 1}]}, garage)),
        (400, "post", (f"{API}/users/me/preferences", {"budget_min": 5, "budget_max": 1}, garage)),
        (400, "post", (f"{API}/token", {}, {})),
        (401, "get", (RECOMMENDATIONS, None, {})),
        (401, "get", (RECOMMENDATIONS, None, {"X-Api-Key": "unknown"})),
        (401, "get", (RECOMMENDATIONS, None, {"Authorization": "Bearer nonsense"})),
        (401, "get", (RECOMMENDATIONS, None, {"X-Visitor-Key": "short"})),
        (401, "post", (f"{API}/token", {"email": "a@b.c", "password": "x"}, {})),
        (403, "get", (f"{API}/users/me", None, {"X-Visitor-Key": "the-browser-of-gus"})),
        (403, "get", (f"{RECOMMENDATIONS}?buyer=other", None, {"X-Visitor-Key": "the-browser-of-gus"})),
        (404, "get", (f"{API}/cars/detail/123456789", None, garage)),
        (404, "get", (f"{API}/nothing/here", None, {})),
        (405, "delete", (f"{API}/token", None, {})),
        (409, "patch", (listing, {"status": "sold"}, garage)),
        (409, "patch", (listing, {"status": "reserved"}, garage)),
        (415, "post", (f"{API}/token", "text", {})),
        (422, "post", ("/interact", {"user_id": 1, "item_ids": "x"}, garage)),
        (422, "post", ("/add_items", {"item_ids": ["a"], "genres": [[1]]}, garage)),
        (400, "post", ("/infer", {"name": 1, "vector": [1]}, garage)),
        (400, "post", ("/api/predict", [["a"], ["b"]], garage)),
        (503, "post", ("/api/predict", [["a"], [5]], garage)),
    ]


def answer_to(method: str, asked: tuple, language: str):
    path, body, headers = asked
    content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    if body == "text":
        content = {"data": "text", "content_type": "text/plain"}
    return getattr(Client(), method)(path, **content, headers={**headers, "Accept-Language": language})


def messages_of(error: dict) -> list[str]:
    """Of the fields; where there are none, the message itself, which otherwise repeats the first of them."""
    return [reason for reasons in error["fields"].values() for reason in reasons] or [error["message"]]


@pytest.mark.django_db
def test_every_refusal_is_in_the_language_asked_for_with_the_same_code_and_fields(garage):
    for status, method, asked in refusals(garage):
        english, german, austrian, french = (answer_to(method, asked, each) for each in ("en", "de", "de-AT", "fr"))
        assert english.status_code == german.status_code == status, (asked, english.content)
        plain, said = english.json()["error"], german.json()["error"]
        assert (said["code"], list(said["fields"])) == (plain["code"], list(plain["fields"])), asked
        for one, other in zip(messages_of(plain), messages_of(said), strict=True):
            assert one != other, asked
        assert austrian.json() == german.json()
        assert french.json() == english.json()
        assert (german["Content-Language"], french["Content-Language"]) == ("de", "en-gb")
        assert "Accept-Language" in german["Vary"]


@pytest.mark.django_db
def test_too_many_requests_are_refused_in_german(monkeypatch):
    monkeypatch.setattr("accounts.api.throttles.GuestThrottle.rate", "1/day", raising=False)
    answers = [APIClient().get(f"{API}/", headers=GERMAN) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["error"]["message"].startswith("Die Anfrage wurde gedrosselt.")


def test_each_language_is_forgotten_with_its_answer():
    assert "gibt es nichts" in Client().get(f"{API}/nothing/here", headers=GERMAN).json()["error"]["message"]
    assert translation.get_language() == site.LANGUAGE_CODE
    assert Client().get(f"{API}/nothing/here").json()["error"]["message"] == "There is nothing here."


@pytest.fixture
def market(settings, db):
    settings.WINDOW_STALENESS_SECONDS = 0
    return trained_market()


def test_a_list_asked_for_in_two_languages_in_turn_has_each_in_its_own(market, garage, settings):
    settings.LIST_CACHE_SECONDS = 60
    buyer = BuyerFactory(external=True)
    view(buyer, *market.skodas[:4])
    question = {"k": 10, "buyer": buyer.external_id}
    lists = {
        language: APIClient().get(RECOMMENDATIONS, question, headers={**garage, "Accept-Language": language})
        for language in ("en", "de", "de-AT", "fr", "en-GB")
    }
    cars = {language: answer.json()["recommended"] for language, answer in lists.items()}
    reasons = {language: [car["reason"] for car in each] for language, each in cars.items()}
    assert len({tuple(car["id"] for car in each) for each in cars.values()}) == 1
    assert reasons["de"] == reasons["de-AT"]
    assert reasons["en"] == reasons["fr"] == reasons["en-GB"]
    assert not set(reasons["de"]) & set(reasons["en"])
    for answer in lists.values():
        assert {"accept-language", "x-api-key", "cookie"} <= set(answer["Vary"].lower().replace(" ", "").split(","))


def test_similar_cars_have_their_reason_in_german(market, garage):
    got = APIClient().get(f"{API}/cars/{market.bmws[0].pk}/similar", headers={**garage, **GERMAN}).json()["similar"]
    assert {car["reason"] for car in got} == {"Sehr ähnlich wie das Auto, das Sie gerade ansehen."}


# --- Around Django's middleware --------------------------------------------------------------------------------------


def ask_the_short_way(path: str, body: bytes, language: str | None) -> tuple[dict, dict]:
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_LENGTH": str(len(body)),
               "wsgi.input": io.BytesIO(body)}  # fmt: skip
    if language:
        environ["HTTP_ACCEPT_LANGUAGE"] = language
    sent: list[dict] = []
    chunks = with_fast_lane(lambda *_: [])(environ, lambda status, headers: sent.append(dict(headers)))
    return json.loads(b"".join(chunks)), sent[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [("/interact", b"{}"), ("/interact", b"{"), ("/interact", b'"\xff"'), ("/infer", b'{"name": 1}'), ("/batch", b"1")],
)
def test_the_short_way_speaks_the_same_languages(settings, path, body):
    settings.DEMO_MODE = True
    for language in ("de", None, "de-AT", "fr"):
        said, headers = ask_the_short_way(path, body, language)
        usual = Client().post(path, body, content_type="application/json",
                              headers={"Accept-Language": language} if language else {})  # fmt: skip
        assert said == usual.json()
        assert headers["Content-Language"] == usual["Content-Language"] == ("de" if language in GERMANS else "en-gb")
        assert "Accept-Language" in headers["Vary"]
    assert translation.get_language() == site.LANGUAGE_CODE


GERMANS = ("de", "de-AT")


# --- What stays in English -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_admin_and_the_description_of_the_api_stay_in_english():
    for path in ("/admin/login/", "/api/schema", "/api/docs"):
        english, german = (Client().get(path, headers={"Accept-Language": each}) for each in ("en", "de"))
        assert "Content-Language" not in german.headers
        assert "Accept-Language" not in german.get("Vary", "")
        if path != "/admin/login/":  # its form has a token of its own each time
            assert german.content == english.content
        assert b"Passwort" not in german.content


@pytest.mark.parametrize("route", ["/listings/by-external-id/A-1", "/users/me/preferences?buyer=7"])
def test_a_body_that_is_null_is_refused_in_german(garage, route):
    send = APIClient().put if "listings" in route else APIClient().post
    answer = send(f"{API}{route}", data="null", content_type="application/json", headers={**garage, **GERMAN})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
    assert "null" in answer.json()["error"]["message"].lower() or "leer" in answer.json()["error"]["message"].lower()
    assert "provided" not in answer.json()["error"]["message"]
