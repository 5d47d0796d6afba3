"""A real browser on a real server: headless Chromium, the live site, a worker that takes the jobs."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from urllib.parse import urlsplit

import pytest
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging, task_postrun
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import connections

from recommender_site.celery import app

BROWSER = next(filter(None, map(shutil.which, [os.environ.get("CHROMIUM", ""), "chromium", "google-chrome"])), None)
NO_BROWSER = "No Chromium found: install one (Debian: apt-get install chromium), or name it in CHROMIUM."
MUST_RUN = bool(os.environ.get("REQUIRE_BROWSER"))  # where a browser is installed for the tests, none is a failure


@pytest.fixture
def browser(site: str, monkeypatch: pytest.MonkeyPatch):
    """Headless Chromium, as the system installed it; started late, since its driver keeps an event loop running."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    if BROWSER is None:
        (pytest.fail if MUST_RUN else pytest.skip)(NO_BROWSER)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def site(transactional_db, live_server) -> str:
    """The address of a running site with what every migration puts into the database."""
    cache.empty()
    defaults = import_module("recommendations.migrations.0003_defaults")  # an earlier test may have emptied the tables
    defaults.create_defaults(apps, None)
    return str(live_server.url)


@pytest.fixture
def worker(site: str) -> Iterator[None]:
    """One worker, in a thread, for all queues; it leaves logging, and no connection, behind as it found them."""
    app.control.purge()  # what earlier tests handed over concerns rows that are gone
    setup_logging.connect(leave_logging_alone)
    task_postrun.connect(close_connections)
    with start_worker(app, pool="solo", perform_ping_check=False, queues=list(settings.QUEUES)):
        yield
    task_postrun.disconnect(close_connections)
    setup_logging.disconnect(leave_logging_alone)


def leave_logging_alone(**kwargs) -> None:
    """With a receiver connected to the signal, Celery does not set logging up by itself."""


def close_connections(**kwargs) -> None:
    connections.close_all()  # of the worker's thread, or the test database could not be dropped


@pytest.fixture
def page(site: str, browser) -> Iterator:
    """A page 1,280 pixels wide, whose test fails when a script does, or anything is fetched from elsewhere."""
    context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 860})
    context.set_default_timeout(60_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda sent: wrong.append(sent.url) if urlsplit(sent.url).netloc not in home(site) else None)
    yield page
    context.close()
    assert wrong == []


def home(site: str) -> tuple[str, ...]:
    """Where a page may fetch from: this site, and itself (data: and blob: have no host)."""
    return urlsplit(site).netloc, ""
