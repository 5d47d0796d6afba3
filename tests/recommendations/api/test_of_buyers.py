"""What a user has below ``/users/me``, a client system has for its customers below ``/buyers/{external_id}``."""

import re
from urllib.parse import quote

import pytest

from accounts.models import Buyer
from accounts.services import create_api_key
from recommendations.models import AlertSettings, SavedSearch
from tests.described_fields import description
from tests.recommendations.api.conftest import client_with
from tests.recommendations.api.test_buyers import BUYERS, ODD_IDS

pytestmark = pytest.mark.django_db
SEARCH = {"name": "Estates", "query": {"body": "Kombi", "make": "vw", "max_price": 9000}}
ANSWERS = {"budget_max": 15000, "bodies": ["estate"], "use": "family"}
QUIET = {"quiet_from": 22, "quiet_until": 7, "time_zone": "Europe/Berlin", "frequency": "daily"}
OTHERWISE = {  # what is below /users/me and reached in another way below /buyers/{external_id}, or not at all
    ("get", ""): "GET of the buyer; an account belongs to this site",
    ("delete", ""): "DELETE of the buyer",
    ("get", "/privacy"): "is_personalised of the buyer",
    ("patch", "/privacy"): "is_personalised of the buyer",
}


@pytest.fixture
def shop(db):
    return client_with(x_api_key=create_api_key(name="s", scopes=["ingest"], created_by=None, source="shop")[1])


def path_to(external_id, below):
    return f"{BUYERS}/{quote(external_id, safe='')}/{below}"


def test_all_that_a_user_has_a_client_system_has_for_its_customers():
    paths = description()["paths"]
    own = {
        (method, route.removeprefix("/api/v1/users/me"))
        for route, methods in paths.items() if route.startswith("/api/v1/users/me") for method in methods
    }  # fmt: skip
    theirs = {
        (method, re.sub(r"^/api/v1/buyers/\{external_id\}", "", route))
        for route, methods in paths.items() if route.startswith("/api/v1/buyers") for method in methods
    }  # fmt: skip
    assert len(own) > 10
    assert own - theirs - OTHERWISE.keys() == set()
    operations = [each for route in paths if route.startswith("/api/v1/buyers") for each in paths[route].values()]
    assert [each["operationId"] for each in operations if "buyer" in {p["name"] for p in each["parameters"]}] == []


@pytest.mark.parametrize("external_id", ODD_IDS)
def test_searches_of_a_customer_are_saved_read_changed_and_removed(shop, external_id):
    searches = path_to(external_id, "saved-searches")
    made = shop.post(searches, SEARCH)
    assert made.status_code == 201, made.json()
    stored = made.json()
    assert stored["query"] == {"makes": ["volkswagen"], "bodies": ["estate"], "max_price": 9000.0}
    assert shop.post(searches, SEARCH).status_code == 200
    assert [each["id"] for each in shop.get(searches).json()["searches"]] == [stored["id"]]
    one = f"{searches}/{stored['id']}"
    assert shop.patch(one, {"alerts": False}).json() == stored | {"alerts": False}
    assert (
        shop.get(one).json()
        == shop.get(f"/api/v1/users/me/saved-searches/{stored['id']}?buyer={quote(external_id)}").json()
    )
    others = path_to("another", "saved-searches")
    shop.post(others, {"query": {"colour": "red"}})
    for method in ("get", "delete"):
        assert getattr(shop, method)(f"{others}/{stored['id']}").status_code == 404
    assert shop.patch(f"{others}/{stored['id']}", {"alerts": True}).status_code == 404
    assert shop.delete(one).status_code == 204
    assert (shop.get(one).status_code, shop.get(searches).json()) == (404, {"searches": []})
    assert SavedSearch.objects.get().buyer.external_id == "another"


def test_alerts_and_answers_of_a_customer_are_read_and_changed(shop):
    changed = shop.patch(path_to("c", "alerts"), QUIET)
    assert changed.status_code == 200
    assert (
        shop.get(path_to("c", "alerts")).json() == changed.json() == shop.get("/api/v1/users/me/alerts?buyer=c").json()
    )
    answered = shop.post(path_to("c", "preferences"), ANSWERS)
    assert answered.status_code == 200
    own = shop.get("/api/v1/users/me/preferences?buyer=c").json()
    assert shop.get(path_to("c", "preferences")).json() == answered.json() == own
    assert (own["budget_max"], own["bodies"]) == (15000, ["estate"])
    assert AlertSettings.objects.get().buyer == Buyer.objects.get()


@pytest.mark.parametrize("below", ["saved-searches", "saved-searches/1", "alerts", "preferences"])
def test_reading_of_an_unknown_customer_makes_none(shop, below):
    assert shop.get(path_to("unknown", below)).status_code == 404
    assert not Buyer.objects.exists()


@pytest.mark.parametrize(
    ("method", "below", "wrong"),
    [
        ("post", "saved-searches", {"query": {"fuel": "water"}}), ("post", "saved-searches", {"query": {}}),
        ("post", "saved-searches", {}), ("patch", "alerts", {"quiet_from": 3}), ("patch", "alerts", {"loud": 1}),
        ("post", "preferences", {"bodies": ["boat"]}), ("get", "alerts?buyer=c", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_as_below_users_me(shop, method, below, wrong):
    shop.post(path_to("c", "preferences"), ANSWERS)
    answer = getattr(shop, method)(path_to("c", below), *([wrong] if wrong is not None else []))
    assert answer.status_code == 400
    assert not SavedSearch.objects.exists()
    assert not AlertSettings.objects.exists()
