"""The JavaScript client against a running site, and what is built of its sources. Nothing is installed for it."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib.staticfiles import finders

from accounts.services import create_api_key

CLIENT = Path(site.BASE_DIR) / "sdk" / "javascript"
SOURCES = sorted(path.stem for path in (CLIENT / "src").glob("*.ts"))
NODE = shutil.which("node")
NO_NODE = "No node found: JavaScript is not run."
SCRIPTS = {"snippet": 3072, "widget": 4096}  # bytes at most
NO_BUILD = "node_modules is missing: `npm install` in sdk/javascript builds."


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(NODE is None, reason=NO_NODE)
def test_the_client_does_what_it_says(live_server, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    scopes = ["read", "ingest", "buyers"]
    key = create_api_key(name="the marketplace", scopes=scopes, created_by=None, source="shop")[1]
    environ = {**os.environ, "FORECOURT_URL": live_server.url, "FORECOURT_KEY": key}
    command = [NODE, "--test", "--test-concurrency=1", str(CLIENT / "test" / "client.test.mjs")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environ)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "types"])
def test_what_is_built_is_built_of_the_source_as_it_is(name):
    digest = hashlib.sha256((CLIENT / "src" / f"{name}.ts").read_bytes()).hexdigest()[:16]
    built = list((CLIENT / "dist").glob(f"{name}.*"))
    assert len(built) == (1 if name in SCRIPTS else 2)
    for path in built:
        assert path.read_text().startswith(f"/* forecourt {digest} */"), "npm run build"


def test_nothing_is_built_of_sources_that_are_gone():
    assert {path.name.split(".")[0] for path in (CLIENT / "dist").iterdir()} == set(SOURCES)


@pytest.mark.skipif(NODE is None or not (CLIENT / "node_modules").exists(), reason=NO_BUILD)
def test_building_the_scripts_again_changes_nothing():
    before = {name: (CLIENT / "dist" / f"{name}.js").read_bytes() for name in SCRIPTS}
    subprocess.run([NODE, "build.js", "--scripts"], cwd=CLIENT, check=True, timeout=60)
    assert {name: (CLIENT / "dist" / f"{name}.js").read_bytes() for name in SCRIPTS} == before


@pytest.mark.parametrize(("name", "at_most"), SCRIPTS.items())
def test_scripts_for_pages_are_small_and_served(name, at_most):
    path = CLIENT / "dist" / f"{name}.js"
    assert path.stat().st_size <= at_most
    assert finders.find(f"sdk/{name}.js") == str(path)


@pytest.mark.parametrize("name", [path.name for path in (CLIENT / "dist").glob("*.js")])
def test_what_is_served_needs_nothing_from_elsewhere(name):
    text = (CLIENT / "dist" / name).read_text()
    assert re.findall(r"https?://(?!site\b)[\w.]+", re.sub(r"(?m)^\s*(//|/?\*).*$", "", text)) == []
    assert {each for each in re.findall(r'from "([^"]+)"', text) if not each.startswith("./")} == set()


def test_no_lock_file_names_a_registry():
    assert not (CLIENT / "package-lock.json").exists()
