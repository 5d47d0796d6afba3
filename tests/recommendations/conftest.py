"""A trained market that the tests of one module share."""

import copy
from collections.abc import Iterator

import pytest
from django.db import transaction

from tests.markets import Market, trained_market


@pytest.fixture(scope="module")
def _trained_for_module(django_db_setup, django_db_blocker) -> Iterator[Market]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield trained_market()
        transaction.set_rollback(True)


@pytest.fixture
def market_of_module(_trained_for_module, db) -> Market:
    """One market for all tests of a module: each works within a savepoint of its transaction, and leaves nothing.

    Not for modules with tests that commit.
    """
    return copy.deepcopy(_trained_for_module)
