"""Whether the servers this stands on answer: PostgreSQL, the cache, the broker.

Each is asked over a connection of its own with a short patience, so that a busy pool is not taken for a dead server.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import psycopg
import redis
from celery import current_app
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from kombu.connection import Connection
from kombu.exceptions import KombuError

from web.outage import database_watch
from web.replicas import PRIMARY_QUESTION, aliases, watch_replicas

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2
PROBE_PATIENCE_SECONDS = 0.8  # for all of them, who are asked at once; psycopg itself waits for 2 s at least


def database_problem() -> str:
    """Why PostgreSQL cannot be used, or nothing."""
    if database_watch.is_away:
        return "PostgreSQL does not answer"
    try:
        psycopg.connect(**connection_parameters()).close()  # a handshake is enough: the server takes part in it
    except psycopg.Error as error:
        return str(error)
    return ""


def connection_parameters(alias: str = DEFAULT_DB_ALIAS) -> dict[str, Any]:
    """What psycopg needs for a connection that no pool looks after."""
    parameters = {**connections[alias].get_connection_params(), "connect_timeout": PATIENCE_SECONDS}
    parameters.pop("pool", None)
    return parameters


def watch_database() -> None:
    """For a web process, whose callers get a 503 within a second rather than wait for a server that is away.

    With replicas, each is watched too, and the primary is asked how far it is.
    """
    if aliases():
        database_watch.start(connection_parameters, PRIMARY_QUESTION, watch_replicas(connection_parameters).hear)
    else:
        database_watch.start(connection_parameters)


def cache_problem() -> str:
    """Why the cache cannot be used, or nothing. Asks Redis itself, since the cache forgives its absence."""
    options = {"socket_connect_timeout": PATIENCE_SECONDS, "socket_timeout": PATIENCE_SECONDS}
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **options) as probe:
            probe.ping()
    except (redis.RedisError, OSError) as error:
        return str(error)
    return ""


@contextmanager
def broker_connection() -> Iterator[Connection]:
    """A connection that is tried once and not again, as kombu would for ever; raises kombu's OperationalError."""
    with current_app.connection_for_write(connect_timeout=PATIENCE_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE_SECONDS)
        yield connection


def broker_problem() -> str:
    """Why tasks cannot be handed over, or nothing."""
    try:
        with broker_connection():
            return ""
    except (KombuError, OSError) as error:
        return str(error)


CHECKS = {"database": database_problem, "cache": cache_problem, "broker": broker_problem}


def problems_found() -> dict[str, str]:
    """Why each server cannot be used, or nothing, within a second; what is found goes to the log."""
    pool = ThreadPoolExecutor(max_workers=len(CHECKS), thread_name_prefix="probe")
    asked = {name: pool.submit(check) for name, check in CHECKS.items()}
    wait(asked.values(), timeout=PROBE_PATIENCE_SECONDS)
    pool.shutdown(wait=False)  # one that still waits gives up by itself
    problems = {name: each.result() if each.done() else "it is silent" for name, each in asked.items()}
    for name, problem in problems.items():
        if problem:
            logger.warning("%s does not answer: %s", name, problem)
    return problems
