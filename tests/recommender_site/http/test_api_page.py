"""The examples of docs/api.md do what the page says, in its order, on one small market."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings as site
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from accounts.services import create_api_key
from recommendations.models import VECTOR_DIMENSIONS
from tests.factories import UserFactory
from tests.markets import trained_market

PAGE = (Path(site.BASE_DIR) / "docs" / "api.md").read_text()
FLAGS_WITH_VALUE = {"-X": "method", "-H": "headers", "-d": "body", "-o": "file"}


def commands():
    """Every curl command of the page as a list of words, variables not yet filled in."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for command in re.findall(r"^curl .*?(?=^curl |\Z)", block, re.DOTALL | re.MULTILINE):
            yield command.replace("\\\n", " ")


def run(command: str, variables: dict[str, str]):
    """What curl would do, through Django's client, since a machine need not have curl."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    options: dict[str, list[str]] = {"method": [], "headers": [], "body": [], "file": [], "url": []}
    words = iter(shlex.split(command)[1:])
    for word in words:
        option = FLAGS_WITH_VALUE.get(word, "url")
        options[option].append(next(words) if option != "url" else word)
    headers = dict(header.split(": ", 1) for header in options["headers"])
    url = urlsplit(options["url"][0])
    return Client().generic(
        (options["method"] or ["GET"])[0],
        f"{url.path}?{url.query}",
        "".join(options["body"]),
        headers.pop("Content-Type", "application/octet-stream"),
        headers=headers,
    )


@pytest.mark.django_db
def test_every_example_of_the_page_works(settings):
    settings.DEMO_MODE = True
    john = UserFactory(email="john0@example.com", password="demo")
    variables = {
        "HOST": "http://localhost:8000",
        "TOKEN": str(AccessToken.for_user(john)),
        "API_KEY": create_api_key(name="the page", scopes=["ingest", "read"], created_by=None)[1],
        "CAR": str(trained_market(3).skodas[0].pk),
        "VECTOR": ",".join(["0.1"] * VECTOR_DIMENSIONS),
        "VISITOR": "a-visitor-of-the-page",
    }
    shown = Client().get("/api/v1/cars/recommendations", headers={"X-Visitor-Key": variables["VISITOR"]})
    variables["LIST"] = shown.json()["list_id"]
    answers = {command: run(command, variables) for command in commands()}
    assert len(answers) >= 18
    assert {command: answer.content for command, answer in answers.items() if answer.status_code >= 400} == {}


def test_every_status_of_the_page_is_one_we_give():
    from web.errors import CODES

    documented = {int(status): code for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE)}
    assert documented == {status: code for status, code in CODES.items() if status != 500}
