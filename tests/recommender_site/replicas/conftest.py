"""Servers beside the primary know only what was committed: the tests here share one world, and write for good."""

import pytest

from tests.standby import market, replica, standby  # noqa: F401


@pytest.fixture
def _django_db_helper(market):  # noqa: F811
    """In place of pytest-django's, which would roll everything back, or empty every table after each test."""
