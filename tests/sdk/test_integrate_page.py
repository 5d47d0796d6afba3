"""docs/integrate.md does what it says, block by block, in Python, in JavaScript and with curl."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings as site

from accounts.services import create_api_key
from catalog.models import Listing
from recommendations.models import Interaction
from tests.factories import BuyerFactory
from tests.markets import trained_market, view
from tests.recommender_site.http.test_api_page import run

PAGE = Path(site.BASE_DIR) / "docs" / "integrate.md"
CLIENT = Path(site.BASE_DIR) / "sdk" / "javascript"
NODE = shutil.which("node")
NO_NODE = "No node found: JavaScript is not run."


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def at_home(monkeypatch, live_server, settings):
    """The two variables of the page, on a site that has been trained."""
    settings.WINDOW_STALENESS_SECONDS = 0
    key = create_api_key(name="the page", scopes=["ingest", "read"], created_by=None, source="garage")[1]
    monkeypatch.setenv("FORECOURT_URL", live_server.url)
    monkeypatch.setenv("FORECOURT_KEY", key)
    market = trained_market(3)
    for guest in re.findall(r"the-key-of-[\w-]+", PAGE.read_text()):  # whom the page merges
        view(BuyerFactory(user=None, visitor_key=guest), market.skodas[0])
    return {"FORECOURT_URL": "http://localhost", "FORECOURT_KEY": key}


def attributed(buyer: str) -> list[str]:
    """The kinds of the buyer's events that are known to come from a list, oldest first."""
    events = Interaction.objects.filter(buyer__external_id=buyer, attribution="checked").order_by("pk")
    return list(events.values_list("kind__slug", flat=True))


def on_sale(prefix: str) -> list[str]:
    live = Listing.objects.available().filter(external_id__startswith=prefix)
    return sorted(live.values_list("external_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_the_python_and_the_commands_of_the_page_work(at_home):
    exec(compile("\n".join(blocks("python")), str(PAGE), "exec"), {"__name__": "the page"})  # noqa: S102
    assert attributed("customer-42") == ["view", "contact"]
    assert Interaction.objects.filter(buyer__external_id="customer-42").count() == 3, "with what the guest did"
    assert on_sale("PY-") == [f"PY-{number}" for number in range(1, 6)]
    commands = [
        command.replace("\\\n", " ")
        for block in blocks("sh")
        for command in re.findall(r"^curl .*?(?=^curl |\Z)", block, re.DOTALL | re.MULTILINE)
    ]
    answers = [run(command, at_home) for command in commands]
    assert len(answers) >= 6
    assert [answer.content for answer in answers if answer.status_code >= 400] == []
    assert json.loads(answers[0].content)["refused"] == []
    assert on_sale("SH-") == ["SH-1"]
    assert (
        Interaction.objects.filter(buyer__external_id="customer-44", kind__slug="view").count() == 2
    )  # one of them as a guest


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(NODE is None, reason=NO_NODE)
def test_the_javascript_of_the_page_works(at_home, tmp_path):
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "forecourt").symlink_to(CLIENT, target_is_directory=True)
    program = tmp_path / "page.mjs"
    imports = "\n".join(line for block in blocks("js") for line in re.findall(r"(?m)^import .*$", block))
    rest = "\n".join(re.sub(r"(?m)^import .*$", "", block) for block in blocks("js"))
    program.write_text(f"{imports}\nconsole.assert = (is, ...said) => {{ if (!is) throw new Error(said); }};\n{rest}")
    ran = subprocess.run([NODE, str(program)], capture_output=True, text=True, timeout=60, env={**os.environ})
    assert ran.returncode == 0, ran.stderr
    assert attributed("customer-43") == ["view", "contact"]
    assert on_sale("JS-") == [f"JS-{number}" for number in range(1, 6)]


def test_every_step_is_there_in_all_three_languages():
    sections = re.split(r"(?m)^## ", PAGE.read_text())[1:7]
    for section in sections:
        assert {"python", "js", "sh"} <= set(re.findall(r"```(\w+)\n", section)), section[:30]


def test_what_the_page_says_of_the_scripts_is_in_them():
    script = (CLIENT / "src" / "snippet.ts").read_text() + (CLIENT / "src" / "widget.ts").read_text()
    for name in re.findall(r"data-[\w-]+", PAGE.read_text()):
        camel = re.sub(r"-(\w)", lambda each: each[1].upper(), name.removeprefix("data-"))
        assert name in script or camel in script, name
