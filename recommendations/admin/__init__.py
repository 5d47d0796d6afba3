"""The recommender's pages in the admin, one module per part of an operator's day."""

from recommendations.admin import (
    evaluations,
    feed,
    jobs,
    lists,
    log,
    people,
    rankers,
    ranking_cards,
    stock,
    taste_map,
    traffic_cards,
    trials,
)

__all__ = [
    "evaluations",
    "feed",
    "jobs",
    "lists",
    "log",
    "people",
    "rankers",
    "ranking_cards",
    "stock",
    "taste_map",
    "traffic_cards",
    "trials",
]
