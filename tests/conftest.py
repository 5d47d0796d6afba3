"""What every test starts from: nothing remembered in memory from the test before."""

from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

from accounts.roles import VIEWER
from jobs import queue
from recommendations.feed.fitting import clear_log
from recommendations.feed.memory import memory
from recommendations.listings.index import drop_index
from recommendations.listings.market_statistics import forget_market_statistics
from recommendations.merchandising.rules import forget_rules
from recommender_site.celery import app
from tests.factories import UserFactory, user_of_role
from tests.migrated_rows import _tests_that_commit_put_rows_back, django_db_setup  # noqa: F401

# Files that take longest. Were one of them begun last, it would run while the other processes have nothing to do.
FIRST = (
    "browser/test_operators_day.py",
    "browser/test_thirteen.py",
    "recommender_site/test_any_text.py",
    "recommender_site/test_every_form.py",
    "browser/test_pages.py",
    "recommender_site/test_stored_text.py",
    "recommender_site/operations/test_backup.py",
    "recommendations/training/test_cluster.py",
    "recommendations/training/test_promotion_everywhere.py",
    "recommender_site/http/test_without_database.py",
    "recommendations/serving/test_reasons_against_the_log.py",
    "browser/test_shop.py",
    "recommender_site/test_closed.py",
    "accounts/test_second_factors.py",
    "recommendations/api/test_stated_wishes.py",
    "recommender_site/test_permissions.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))


@pytest.fixture(autouse=True)
def _nothing_remembered(request):
    drop_index()
    forget_market_statistics()
    forget_rules()
    memory.forget()
    clear_log()
    if "django_db_setup" in request.fixturenames:
        cache.breaker.close()
        cache.empty()  # of this process alone: others may run tests beside it


@pytest.fixture(autouse=True)
def _settings_are_put_back():
    """A test that leaves a setting changed fails by itself, rather than one that runs after it."""
    before = dict(vars(site._wrapped))
    yield
    assert vars(site._wrapped) == before


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What would go to the broker, as (task name, *arguments): the outer edge, where the test stands in for it."""
    queue.breaker.close()
    handed: list[tuple] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **how: handed.append((name, *args)))
    return handed


@pytest.fixture
def one_connection(db):
    """As Django's own test client does: a request does not close the connection that holds the test's transaction."""
    request_signals = (request_started, request_finished)
    for signal in request_signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in request_signals:
        signal.connect(close_old_connections)


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(UserFactory(operator=True))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    """Staff who may look at everything and change nothing."""
    client.force_login(user_of_role(VIEWER))
    return client


@pytest.fixture
def always_in_step(settings):
    """The listing index looks for what changed before each use."""
    settings.WINDOW_STALENESS_SECONDS = 0
