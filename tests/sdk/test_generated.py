"""What is made from the description of the API is made from the description as it is; and clients stand alone."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

SDK = Path(settings.BASE_DIR) / "sdk"
PYTHON = SDK / "python" / "src" / "forecourt"
RENEW = "`make sdk` makes it again"


def generator():
    spec = importlib.util.spec_from_file_location("sdk_generate", SDK / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()


@pytest.fixture(scope="module")
def description():
    return Client(SERVER_NAME="localhost").get("/api/schema?format=json").json()


@pytest.mark.parametrize("name", GENERATE.OUTPUTS)
def test_what_is_made_of_the_description_is_up_to_date(name, description):
    assert (SDK / name).read_text() == GENERATE.OUTPUTS[name](description), RENEW


def test_the_sync_client_is_made_of_the_async_one():
    made = GENERATE.sync_client((SDK / GENERATE.ASYNC_CLIENT).read_text())
    assert (SDK / GENERATE.SYNC_CLIENT).read_text() == made, RENEW
    assert "async" not in made
    assert "await" not in made


@pytest.mark.parametrize("path", sorted(PYTHON.glob("*.py")), ids=lambda path: path.stem)
def test_the_python_client_needs_httpx_and_nothing_else(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            imported.add(node.module.partition(".")[0])
    assert imported - sys.stdlib_module_names <= {"httpx", "forecourt"}


def test_every_route_of_clients_has_a_method(description):
    """Logins, what only a logged-in person may do, and what a page sends are not a client system's."""
    written = (PYTHON / "aio.py").read_text()
    people = ("/token", "/users/me/export", "/users/me/privacy", "/events/beacon")
    missing = []
    for method, route, _ in GENERATE.operations(description):
        fixed = [part for part in route.removeprefix("/api/v1").split("{")[0].rstrip("/").split("/") if part]
        path = "/" + "/".join(fixed)
        if not path.startswith(people) and path != "/users/me" and path not in written:
            missing.append(f"{method} {route}")
    assert missing == []
