"""Clients that others generate of the description compile, and every documented call has its place in their types.

The calls are those of the description's own examples, of every operation, and the commands of docs/. A description that
is narrower than what is documented fails here; tests/recommender_site/http/test_description.py fails where it is wider
than what is answered.
"""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.sdk import typed_typescript
from tests.sdk.documented_calls import Description
from tests.sdk.typed_python import DoesNotFit, GeneratedClient

JAVASCRIPT = Path(settings.BASE_DIR) / "sdk" / "javascript"
NODE = shutil.which("node")
GENERATOR = JAVASCRIPT / "node_modules" / "openapi-typescript" / "bin" / "cli.js"
COMPILER = JAVASCRIPT / "node_modules" / "typescript" / "bin" / "tsc"
NO_GENERATOR = "openapi-typescript is missing: `npm install` in sdk/javascript brings it."
OF_MYPY = "[mypy]\nstrict = true\n[mypy-httpx.*]\nfollow_imports = skip\n"  # what httpx does is none of ours


@pytest.fixture(scope="module")
def description():
    return Client(SERVER_NAME="localhost").get("/api/schema?format=json").json()


@pytest.fixture(scope="module")
def documented(description):
    known = Description(description)
    return [*known.calls(), *known.calls_of_pages()], list(known.answers())


def test_every_operation_is_called(description, documented):
    operations = {each["operationId"] for methods in description["paths"].values() for each in methods.values()}
    assert {call.operation for call in documented[0]} == operations


def test_every_documented_call_of_the_python_client_type_checks(description, documented, tmp_path, request):
    client = GeneratedClient(description, tmp_path)
    assert client.problems == []
    (tmp_path / "calls.py").write_text(client.program(*documented))
    (tmp_path / "mypy.ini").write_text(OF_MYPY)
    cache = request.config.cache.mkdir("generated_clients")
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", f"--cache-dir={cache}", "calls.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(NODE is None or not GENERATOR.exists(), reason=NO_GENERATOR)
def test_every_documented_call_in_typescript_type_checks(description, documented, tmp_path):
    (tmp_path / "description.json").write_text(json.dumps(description))
    subprocess.run(
        [NODE, str(GENERATOR), "description.json", "-o", f"{typed_typescript.TYPES}.ts"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (tmp_path / "calls.ts").write_text(typed_typescript.program(*documented))
    command = [NODE, str(COMPILER), "--noEmit", "--strict", "--target", "es2022", "--skipLibCheck", "calls.ts"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def of_one_operation(description, route: str, method: str):
    """The description with one operation, and the components that it may change."""
    small = copy.deepcopy({**description, "paths": {}})
    small["paths"][route] = {method: copy.deepcopy(description["paths"][route][method])}
    return small


def forget(name):
    return lambda schema: schema["properties"].pop(name)


WRONG = {
    "a field is missing": forget("price"),
    "a type is narrower": lambda schema: schema["properties"].update(price={"type": "number"}),
    "a choice is missing": lambda schema: schema["properties"].update(status={"type": "string", "enum": ["draft"]}),
    "a field is required": lambda schema: schema.update(required=["price", "status"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_description_fails(name, description, tmp_path):
    small = of_one_operation(description, "/api/v1/listings/{listing_id}", "patch")
    needed = {"Error", "Car", "PatchedListingChange", "ListingStatusToSet", "ListingStatus"}
    schemas = {each: small["components"]["schemas"][each] for each in needed}
    WRONG[name](schemas["PatchedListingChange"])
    small["components"]["schemas"] = schemas
    client = GeneratedClient(small, tmp_path)
    with pytest.raises(DoesNotFit):
        client.program(Description(small).calls(), [])
