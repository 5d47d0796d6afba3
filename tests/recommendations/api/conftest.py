"""A small cast: Alice acts, Carol must not notice; a garage calls by key; Gus has not logged in."""

import pytest
from rest_framework.test import APIClient

from accounts.services import buyer_for_user, create_api_key
from tests.factories import UserFactory


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def client_with(**headers: str) -> APIClient:
    client = APIClient()
    client.credentials(**{f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return client


@pytest.fixture
def alice(db):
    return buyer_for_user(UserFactory(email="alice@example.com"))


@pytest.fixture
def carol(db):
    return buyer_for_user(UserFactory(email="carol@example.com"))


@pytest.fixture
def as_alice(alice) -> APIClient:
    return client_of(alice.user)


@pytest.fixture
def as_carol(carol) -> APIClient:
    return client_of(carol.user)


@pytest.fixture
def as_gus(db) -> APIClient:
    return client_with(x_visitor_key="the-browser-of-gus")


@pytest.fixture
def as_garage(db) -> APIClient:
    """A client system that may read and tell."""
    return client_with(x_api_key=create_api_key(name="a garage", scopes=["read", "ingest"], created_by=None)[1])


@pytest.fixture
def as_reader(db) -> APIClient:
    """A client system that may only read."""
    return client_with(x_api_key=create_api_key(name="a reader", scopes=["read"], created_by=None)[1])
