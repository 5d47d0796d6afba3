"""On /api/v1 what a route does not know is refused by name; the routes of earlier systems ignore it."""

import pytest
from django.test import Client
from django.urls import resolve

from accounts.models import ApiKey
from accounts.services import create_api_key
from catalog.models import Listing
from recommendations.models import Interaction
from tests.described_fields import bodies, operations
from tests.factories import CarModelFactory, ListingFactory, PlacementFactory, UserFactory
from tests.markets import start_from_the_same_ids
from web.strict import StrictView

pytestmark = pytest.mark.django_db
V1 = "/api/v1/"
OF_V1 = [f"{method} {route}" for method, route, _ in operations() if route.startswith(V1)]
OF_EARLIER_SYSTEMS = [
    ("/interact", {"user_id": "u", "item_ids": ["1"], "actions": ["like"]}),
    ("/add_items", {"item_ids": ["1"]}),
    ("/api/predict", [["a"], [1]]),
]


@pytest.fixture
def callers(db, settings) -> list[Client]:
    """A client system, and a user for the routes where a client system has no say."""
    settings.DEMO_MODE = True
    PlacementFactory()
    ListingFactory(pk=1)
    start_from_the_same_ids()  # the next listing has another id
    user = Client()
    user.force_login(UserFactory())
    secret = create_api_key(name="a client", scopes=[ApiKey.Scope.ADMIN], created_by=None)[1]
    return [Client(headers={"X-Api-Key": secret}), user]


def described(operation: str) -> dict:
    return next(each for method, route, each in operations() if f"{method} {route}" == operation)


def path_of(route: str) -> str:
    return route.replace("{listing_id}", "1").replace("{external_id}", "customer-1").replace("{search_id}", "1")


def ask(callers, operation: str, query: str = "", body=None):
    method, route = operation.split()
    for client in callers:
        path = path_of(route) + "?" + query
        answer = getattr(client, method)(
            path, data=body, **({} if method == "get" else {"content_type": "application/json"})
        )
        if answer.status_code not in (401, 403):
            break
    return answer


def fields_of(answer) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    return answer.json()["error"]["fields"]


# --- Parameters ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("operation", OF_V1)
def test_an_unknown_parameter_is_refused_by_name(operation, callers):
    known = [each["name"] for each in described(operation).get("parameters", []) if each["in"] == "query"]
    answer = fields_of(
        ask(callers, operation, "no_such_thing=1&buyer=x&format=json" if "buyer" in known else "no_such_thing=1")
    )
    assert list(answer) == ["no_such_thing"]
    assert ("nearest known one" in answer["no_such_thing"][0]) == bool(known)


@pytest.mark.parametrize("operation", OF_V1)
def test_every_parameter_that_is_described_is_known(operation, callers):
    for parameter in described(operation).get("parameters", []):
        if parameter["in"] == "query":
            answer = ask(callers, operation, f"{parameter['name']}=1")
            reasons = answer.json()["error"]["fields"].get(parameter["name"], []) if answer.status_code == 400 else []
            assert not any(reason.startswith("Unknown") for reason in reasons), parameter["name"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("max_prize", "max_price"), ("Brand", "brand"), ("colour_", "colour"), ("minyear", "min_year"),
     ("pagesize", "page_size"), ("order", "ordering")],
)  # fmt: skip
def test_the_nearest_known_parameter_is_named(wrong, right, callers):
    answer = fields_of(ask(callers, "get /api/v1/cars/search", f"{wrong}=1"))
    assert f"“{right}”" in answer[wrong][0]


def test_several_unknown_names_are_all_named_but_not_without_end(callers):
    names = "&".join(f"unknown{n}=1" for n in range(300))
    assert len(fields_of(ask(callers, "get /api/v1/cars/search", names))) == 20
    assert "x" * 5_000 in fields_of(ask(callers, "get /api/v1/cars/search", "x" * 5_000 + "=1"))


def test_every_route_of_v1_is_strict():
    for operation in OF_V1:
        route = operation.split()[1]
        assert issubclass(resolve(path_of(route)).func.cls, StrictView), route


# --- Bodies ----------------------------------------------------------------------------------------------------------
def objects_in(value, path=()):
    """Paths of every object within a body."""
    if isinstance(value, dict):
        yield path
        for name, each in value.items():
            yield from objects_in(each, (*path, name))
    elif isinstance(value, list) and value:
        yield from objects_in(value[0], (*path, 0))


def with_unknown(body, path):
    if not path:
        return {**body, "no_such_field": 1}
    if isinstance(body, list):
        return [with_unknown(body[0], path[1:]), *body[1:]]
    return {**body, "partial": False, path[0]: with_unknown(body[path[0]], path[1:])} if path[0] == "events" else {
        **body, path[0]: with_unknown(body[path[0]], path[1:])
    }  # fmt: skip


@pytest.mark.parametrize("operation", [each for each in OF_V1 if "requestBody" in described(each)])
def test_an_unknown_field_is_refused_by_name_wherever_it_is(operation, callers):
    for body in bodies(described(operation)):
        for path in objects_in(body):
            query = (
                "buyer=x" if any(each["name"] == "buyer" for each in described(operation).get("parameters", [])) else ""
            )
            fields = fields_of(ask(callers, operation, query, with_unknown(body, path)))
            named = [reason for name, reasons in fields.items() if name.endswith("no_such_field") for reason in reasons]
            assert named, (path, fields)
            assert "nearest known one" in named[0]
    assert not Interaction.objects.exists()


@pytest.mark.parametrize("operation", [each for each in OF_V1 if "requestBody" not in described(each)])
def test_a_body_is_refused_where_none_is_expected(operation, callers):
    if not operation.startswith("get"):
        query = "buyer=x" if "me" in operation else ""
        assert "anything" in fields_of(ask(callers, operation, query, {"anything": 1}))


def test_what_is_wrong_beside_an_unknown_field_is_named_too(callers):
    body = {"kind": "like", "listing_id": "x", "lisitng_id": 1, "query": {"brnd": "bmw"}}
    fields = fields_of(ask(callers, "post /api/v1/events", "", body))
    assert {"listing_id", "lisitng_id", "query.brnd"} <= fields.keys()
    assert "“listing_id”" in fields["lisitng_id"][0]


# --- Other words for a make ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["brand", "make"])
def test_make_works_beside_brand(name, callers):
    bmw = ListingFactory(car_model=CarModelFactory(make__name="BMW", name="3 Series"))
    found = ask(callers, "get /api/v1/cars/search", f"{name}=bmw").json()["listings"]
    assert [car["id"] for car in found] == [bmw.pk]
    both = ask(callers, "get /api/v1/cars/search", "brand=bmw&make=skoda").json()
    assert both["count"] == 2
    body = {"kind": "search", "buyer": "b", "query": {name: ["bmw"]}}
    assert ask(callers, "post /api/v1/events", "", body).status_code == 201
    assert Interaction.objects.get().query == {"makes": ["bmw"]}
    answers = ask(callers, "post /api/v1/users/me/preferences", "buyer=b", {name: "bmw"}).json()
    assert answers["brands"] == ["bmw"]
    listing = {"external_id": "1", name: "Audi", "model": "A4", "price": 9000}
    assert ask(callers, "post /api/v1/listings", "", {"listings": [listing]}).status_code == 200
    assert Listing.objects.get(source="api").make.name == "Audi"


# --- Earlier systems -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("path", "body"), OF_EARLIER_SYSTEMS)
def test_routes_of_earlier_systems_ignore_what_they_do_not_know(path, body, settings):
    settings.DEMO_MODE = True
    extra = {**body, "no_such_field": 1} if isinstance(body, dict) else body
    plain = Client().post(path, body, content_type="application/json").status_code
    assert Client().post(f"{path}?no_such_thing=1", extra, content_type="application/json").status_code == plain
    assert plain in (200, 503)
