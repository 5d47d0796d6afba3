"""A few questions for a buyer with no history, and what the answers mean as filters.

Answers are kept in the names of ``ListingFilters``, with one more: ``use``, which stands for the bodies and other
traits that people who say so usually look for. What was answered outright always goes before what a use implies.
"""

from typing import Any

from accounts.models import Buyer
from recommendations.events.signals import events_recorded

IMPLIED_BY_USE: dict[str, dict[str, Any]] = {
    "city": {"bodies": ["hatchback"], "max_power_kw": 90},
    "commuting": {"bodies": ["hatchback", "saloon", "estate"], "fuels": ["hybrid", "plugin_hybrid", "electric"]},
    "family": {"bodies": ["estate", "mpv", "suv"]},
    "long_distance": {"bodies": ["saloon", "estate"], "fuels": ["diesel", "hybrid"]},
    "towing": {"bodies": ["suv", "pickup", "estate"], "min_power_kw": 100},
    "leisure": {"bodies": ["coupe", "convertible"]},
    "work": {"bodies": ["van", "pickup"]},
}


def answers_in(stored: object) -> dict[str, Any]:
    """The answers of a buyer; none where what is stored is no set of answers."""
    return stored if isinstance(stored, dict) else {}


def wishes_in(stored: object) -> dict[str, Any]:
    """The answers as a query of ``ListingFilters``, what the use implies included."""
    answers = answers_in(stored)
    use = answers.get("use")
    implied = IMPLIED_BY_USE.get(use, {}) if isinstance(use, str) else {}
    return implied | {name: value for name, value in answers.items() if name != "use"}


def save_questionnaire(*, buyer: Buyer, answers: dict[str, Any]) -> None:
    """Store a buyer's answers. A preference computed from other answers is stale by that alone."""
    buyer.questionnaire = answers
    buyer.save(update_fields=["questionnaire"])
    events_recorded.send(sender=Buyer, buyer_ids=[buyer.pk])
