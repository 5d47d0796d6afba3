"""What every test starts from: nothing remembered in memory from the test before."""

import pytest
from django.conf import settings as site
from django.core.cache import cache

from jobs import queue
from recommendations.feed.fitting import forget_log
from recommendations.feed.memory import memory
from recommendations.listings.index import drop_index
from recommendations.listings.market_statistics import forget_market_statistics
from recommendations.merchandising.rules import forget_rules
from recommender_site.celery import app
from tests.migrated_rows import _tests_that_commit_put_rows_back, django_db_setup  # noqa: F401


@pytest.fixture(autouse=True)
def _nothing_remembered(request):
    drop_index()
    forget_market_statistics()
    forget_rules()
    memory.forget()
    forget_log()
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
    queue.resume()
    handed: list[tuple] = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **how: handed.append((name, *args)))
    return handed
