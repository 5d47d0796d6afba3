"""What every test starts from: nothing remembered in memory from the test before."""

import pytest
from django.core.cache import cache

from recommendations.feed.fitting import forget_log
from recommendations.feed.memory import memory
from recommendations.listings.demand import forget_demand
from recommendations.listings.window import forget_window


@pytest.fixture(autouse=True)
def _nothing_remembered(request):
    forget_window()
    forget_demand()
    memory.forget()
    forget_log()
    if "django_db_setup" in request.fixturenames:
        cache.clear()
