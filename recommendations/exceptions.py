"""Refusals of this app, in words fit to show a person."""

from collections.abc import Sequence
from dataclasses import dataclass


class RecommendationsError(Exception):
    """Something was asked that we refuse, and the message says why."""


@dataclass(frozen=True)
class EventProblem:
    """What is wrong with one event of a request: its place in the request (0 is the first), the field, the reason."""

    index: int
    field: str
    reason: str


class EventsRefused(RecommendationsError):
    """Nothing of the request was recorded, because some of it cannot be."""

    def __init__(self, problems: Sequence[EventProblem]) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        super().__init__(f"event {first.index}: {first.field}: {first.reason}")


class EventsConflict(EventsRefused):
    """Nothing was recorded: some event ids are those of other events of the same sender."""


class NoSuchList(RecommendationsError):
    """A list that does not exist, was another buyer's, or does not go on."""


class OtherQuestion(RecommendationsError):
    """A next page that was asked for with another question than that of its list."""


class RankerRefused(RecommendationsError):
    """A ranker version that cannot be promoted, rolled back to, or loaded."""


class TrainingRefused(RecommendationsError):
    """A training that cannot start, or was stopped."""


class EvaluationRefused(RecommendationsError):
    """An evaluation that cannot be made: the parameters make no sense, or there is nothing to test on."""


class TasteMapRefused(RecommendationsError):
    """A map of the stock that cannot be drawn, or was stopped."""


class NoLiveRanker(RecommendationsError):
    """There is no vector space to answer in yet."""
