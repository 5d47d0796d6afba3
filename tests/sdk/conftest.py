"""Both Python clients on the real application, in the test's own process and transaction."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from accounts.services import create_api_key
from forecourt import AsyncClient, Client, ForecourtError, QueueOptions, Retries, core
from recommender_site.wsgi import application
from tests.recommendations.conftest import _trained_for_module, market_of_module  # noqa: F401

HOST = "http://localhost"
SCOPES = ["read", "ingest", "buyers", "admin"]
Fault = Exception | int | tuple[int, dict[str, str]]


def served(environ: dict[str, Any], start_response: Any) -> Any:
    """As a server hands a path over: its bytes, as latin-1 (PEP 3333), where httpx hands over text."""
    return application({**environ, "PATH_INFO": environ["PATH_INFO"].encode().decode("latin-1")}, start_response)


class Wire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The way to the application, with faults that a test puts on it, the next request first.

    A fault is a status (with headers), which the application never sees; an exception, which is raised in place of a
    request; or, where its name is in ``lost``, in place of an answer that the application has given.
    """

    def __init__(self) -> None:
        self._application = httpx.WSGITransport(app=served)
        self.faults: list[Fault] = []
        self.lost: list[Exception] = []
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.faults:
            return self._fail(self.faults.pop(0))
        answer = self._application.handle_request(request)
        if self.lost:
            raise self.lost.pop(0)
        return answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        plain = httpx.Request(request.method, request.url, headers=request.headers, content=await request.aread())
        with no_loop():
            answer = self.handle_request(plain)
        return httpx.Response(answer.status_code, headers=answer.headers, content=b"".join(answer.stream))

    def _fail(self, fault: Fault) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        status, headers = fault if isinstance(fault, tuple) else (fault, {})
        return httpx.Response(status, headers=headers, text="<html>a proxy</html>")


@contextlib.contextmanager
def no_loop() -> Iterator[None]:
    """As in another thread, but in this one, whose database connection holds the test's transaction: a coroutine would
    be given a connection of its own."""
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


class Awaited:
    """An async client whose methods a test calls as those of the sync one."""

    def __init__(self, part: object, runner: asyncio.Runner) -> None:
        self._part, self._runner = part, runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if callable(found):
            return lambda *args, **named: self._result(found(*args, **named))
        return Awaited(found, self._runner) if type(found).__module__.startswith("forecourt") else found

    def _result(self, result: Any) -> Any:
        if hasattr(result, "__anext__"):
            return self._runner.run(_listed(result))
        return self._runner.run(_done(result))


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]


async def _done(waiting: Any) -> Any:
    return await waiting


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Seconds that clients waited before they asked again, without the time passing."""
    seconds: list[float] = []

    async def waited(each: float) -> None:
        seconds.append(each)

    monkeypatch.setattr(core, "pause", seconds.append)
    monkeypatch.setattr(core, "async_pause", waited)
    return seconds


@pytest.fixture
def key(db) -> str:
    return create_api_key(name="the marketplace", scopes=SCOPES, created_by=None, source="shop")[1]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture(params=["sync", "async"])
def connect(request, wire, one_connection, waits, settings) -> Iterator[Callable[..., Any]]:
    """Makes a client of either kind; all are closed at the end."""
    settings.WINDOW_STALENESS_SECONDS = 0
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def client(**options: Any) -> Any:
            options = {"retries": Retries(attempts=3), "transport": wire, **options}
            new = Client(HOST, **options) if request.param == "sync" else Awaited(_in(runner, options), runner)
            made.append(new)
            return new

        yield client
        wire.faults, wire.lost = [], []
        for each in made:
            with contextlib.suppress(ForecourtError):  # of a test whose events cannot be sent
                each.close()


def _in(runner: asyncio.Runner, options: dict[str, Any]) -> AsyncClient:
    async def make() -> AsyncClient:
        return AsyncClient(HOST, **options)

    return runner.run(make())


@pytest.fixture
def forecourt(connect, key) -> Any:
    """A client system that may do everything, of the source “shop”, whose events wait until a test flushes."""
    return connect(api_key=key, queue=QueueOptions(seconds=3600))
