"""A second, empty database of the test server, that the site can be moved to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection

from recommendations.listings.index import drop_index
from recommendations.listings.market_statistics import forget_market_statistics
from web.servers import connection_parameters

numbers = itertools.count(1)


def forget_memory() -> None:
    drop_index()
    forget_market_statistics()


def move_to(database: str) -> None:
    """Have this process work on another database of the same server."""
    connection.close()
    connection.close_pool()
    connection.settings_dict["NAME"] = database
    forget_memory()


@pytest.fixture
def empty_database(transactional_db) -> Iterator[Callable[[], str]]:
    """Makes empty databases; each is dropped, and the site is back on its own, after the test."""
    at_home, made = connection.settings_dict["NAME"], []
    server = psycopg.connect(**{**connection_parameters(), "dbname": "postgres"}, autocommit=True)

    def make() -> str:
        made.append(f"{at_home}_{next(numbers)}")
        server.execute(f'DROP DATABASE IF EXISTS "{made[-1]}"')
        server.execute(f'CREATE DATABASE "{made[-1]}"')
        return made[-1]

    yield make
    move_to(at_home)
    for name in made:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    server.close()
