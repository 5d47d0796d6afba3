"""What the dashboard shows: apps add their cards and panels here, so that the console imports none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.http import HttpRequest

from console.dashboard.cards import Card, Panel
from console.dashboard.period import Period

Reader = Callable[[datetime], Iterable[Card | Panel]]
PeriodReader = Callable[[Period], Iterable[Card | Panel]]
NextSteps = Callable[[], Iterable[dict[str, str]]]
Jobs = Callable[[HttpRequest], list[dict[str, Any]]]

_readers: list[tuple[int, Reader]] = []
_period_readers: list[tuple[int, PeriodReader]] = []
next_steps_readers: list[NextSteps] = []
running_jobs_readers: list[Jobs] = []


def show(order: int) -> Callable[[Reader], Reader]:
    """Register a function that reads cards or panels; those with a lower ``order`` come first. Called every 10 s."""

    def register(read: Reader) -> Reader:
        _readers.append((order, read))
        return read

    return register


def show_for_period(order: int) -> Callable[[PeriodReader], PeriodReader]:
    """Register a function that reads panels of the chosen period; called once each 10 s for the same days."""

    def register(read: PeriodReader) -> PeriodReader:
        _period_readers.append((order, read))
        return read

    return register


def propose_next_steps(read: NextSteps) -> NextSteps:
    """Register a function that returns the steps an empty site needs: text, label, href, permission."""
    next_steps_readers.append(read)
    return read


def list_running_jobs(read: Jobs) -> Jobs:
    """Register a function that returns the queued and running jobs: name, href, step and percent of each."""
    running_jobs_readers.append(read)
    return read


def read_all(now: datetime) -> list[Card | Panel]:
    """Every card and panel, in order."""
    return [each for _, read in sorted(_readers, key=itemgetter(0)) for each in read(now)]


def read_period(period: Period) -> list[Card | Panel]:
    """Every panel about some days, in order."""
    return [each for _, read in sorted(_period_readers, key=itemgetter(0)) for each in read(period)]
