"""A few questions for a buyer with no history, and what the answers mean as filters.

Answers are kept in the names of ``ListingFilters``, with one more: ``use``, which stands for the bodies and other
traits that people who say so usually look for. What was answered outright always goes before what a use implies.
"""

from typing import Any

IMPLIED_BY_USE: dict[str, dict[str, Any]] = {
    "city": {"bodies": ["hatchback"], "max_power_kw": 90},
    "commuting": {"bodies": ["hatchback", "saloon", "estate"], "fuels": ["hybrid", "plugin_hybrid", "electric"]},
    "family": {"bodies": ["estate", "mpv", "suv"]},
    "long_distance": {"bodies": ["saloon", "estate"], "fuels": ["diesel", "hybrid"]},
    "towing": {"bodies": ["suv", "pickup", "estate"], "min_power_kw": 100},
    "leisure": {"bodies": ["coupe", "convertible"]},
    "work": {"bodies": ["van", "pickup"]},
}


def wishes_in(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers as a query of ``ListingFilters``, what the use implies included."""
    implied = IMPLIED_BY_USE.get(answers.get("use", ""), {})
    return implied | {name: value for name, value in answers.items() if name != "use"}
