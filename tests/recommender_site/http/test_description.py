"""The description of the API is true: whatever it allows to be sent is answered as it says.

Schemathesis makes up questions from the description, sensible and otherwise, and compares the answers with it.
Two of its checks are left out. That everything the description allows is accepted: no schema can say that
``min_year`` must not exceed ``max_year``. And that keys it makes up are refused: a visitor key is one that is made up.
"""

import re
from inspect import cleandoc

import pytest
import schemathesis
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from accounts.services import create_api_key
from catalog.api.fields import QuestionSerializer
from recommender_site.wsgi import application
from tests.factories import ListingFactory, UserFactory
from tests.markets import trained_market
from web.strict import KnownFieldsSerializer, StrictView

EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NEEDS_A_LIVE_RANKER = ("/infer", "/batch")  # 503 without
# tests/ratings asks these, of a trained model: without one they answer 503, which here counts as a fault
STAR_RATINGS = r"^/api/(predict|similar|log|info|reload)$"
schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application).exclude(path_regex=STAR_RATINGS)


@pytest.fixture
def callers(one_connection, request):
    """Headers by caller: a user who logged in, and a client system that may do everything."""
    if any(path in request.node.name for path in NEEDS_A_LIVE_RANKER):
        trained_market(3)
    ListingFactory()
    token = AccessToken.for_user(UserFactory())
    _, secret = create_api_key(name="a client", scopes=["admin"], created_by=None)
    return [{"Authorization": f"Bearer {token}"}, {"X-Api-Key": secret}]


@schema.parametrize()
@EXAMPLES
def test_every_answer_is_one_that_the_description_announces(case, callers):
    for headers in callers:
        response = case.call(headers={**headers, "Accept-Encoding": "identity"})  # what checks it decompresses nothing
        case.validate_response(response, excluded_checks=[ignored_auth, positive_data_acceptance, *of_partial(case)])


def of_partial(case) -> list:
    """Asked for a part, the answer says of each wrong event why it is not recorded, in place of a refusal."""
    body = case.body if isinstance(case.body, dict) else {}
    is_partial = "partial" in (case.query or {}) or "partial" in body or case.path.endswith("/events/beacon")
    return [negative_data_rejection] if is_partial else []


def test_the_description_is_complete_and_names_nothing_twice(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_default_is_a_value_that_may_be_sent(client):
    """Generators of clients fail on an empty default beside choices."""
    schemas = client.get("/api/schema?format=json").json()["components"]["schemas"]
    for name, described in schemas.items():
        for field, about in described.get("properties", {}).items():
            assert about.get("default") != "", f"{name}.{field}"


def test_descriptions_are_of_what_they_stand_at_and_not_of_the_code(client):
    """A class without a docstring would be described as the class it inherits from."""
    inherited = {cleandoc(base.__doc__) for base in (KnownFieldsSerializer, QuestionSerializer, StrictView)}
    description = client.get("/api/schema?format=json").json()
    operations = [each for methods in description["paths"].values() for each in methods.values()]
    for described in [*description["components"]["schemas"].values(), *operations]:
        text = described.get("description", "")
        assert text not in inherited, described
        assert "``" not in text, text


def test_what_may_be_null_says_so_as_its_version_of_openapi_has_it(client):
    """A nullable schema names its type, and each operation says which credentials it needs, none included."""

    def objects_in(value):
        if isinstance(value, dict):
            yield value
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from objects_in(each)

    description = client.get("/api/schema?format=json").json()
    assert [each for each in objects_in(description) if each.get("nullable") and "type" not in each] == []
    operations = [each for methods in description["paths"].values() for each in methods.values()]
    assert [each["operationId"] for each in operations if "security" not in each] == []
    assert description["servers"]


def test_operations_have_names_of_their_own(client):
    """They become the functions of a generated client."""
    paths = client.get("/api/schema?format=json").json()["paths"]
    names = [operation["operationId"] for operations in paths.values() for operation in operations.values()]
    assert len(names) == len(set(names))
    assert [name for name in names if name.endswith(("_retrieve", "_create", "_destroy", "_partial_update"))] == []


@pytest.mark.django_db
def test_a_body_that_is_needed_may_not_be_left_out(client, settings):
    settings.DEMO_MODE = True
    _, secret = create_api_key(name="a client", scopes=["admin"], created_by=None)
    paths = client.get("/api/schema?format=json").json()["paths"]
    asked = [
        (method, re.sub(r"\{\w+\}", "1", path))
        for path, operations in paths.items() for method, operation in operations.items()
        if operation.get("requestBody", {}).get("required")
    ]  # fmt: skip
    assert len(asked) > 15
    answers = {each: client.generic(each[0], each[1], headers={"X-Api-Key": secret}) for each in asked}
    assert {each: answer.status_code for each, answer in answers.items() if not 400 <= answer.status_code < 500} == {}


@pytest.mark.parametrize(
    "path", ["/api/docs", "/api/docs/", "/api/redoc", "/api/redoc/", "/api/redocs", "/api/schema", "/api/schema/"]
)
def test_the_descriptions_need_no_login(client, path):
    assert client.get(path).status_code == 200


def test_every_operation_shows_its_errors_in_the_one_shape(client):
    description = client.get("/api/schema?format=json").json()
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            assert {"429", "503"} <= errors.keys(), f"{method} {path}"
            for answer in errors.values():
                content = answer["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Error"}
                assert set(content["example"]["error"]) == {"code", "message", "fields"}


@pytest.mark.django_db
@pytest.mark.parametrize("format_name", ["json", "yaml"])
def test_the_description_is_made_once_and_not_sent_again(format_name, client, monkeypatch):
    address = f"/api/schema?format={format_name}"
    first = client.get(address)
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *args, **kwargs: pytest.fail("it is made again"))
    for more in ("", "&lang=en", "&lang=xx", "&lang=" + "y" * 1000, "&page=2"):
        assert client.get(address + more, HTTP_HOST="localhost").content == first.content
    assert "public" in first["Cache-Control"]
    assert client.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    assert client.head(address)["ETag"] == first["ETag"]
