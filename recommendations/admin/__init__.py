"""The recommender's pages in the admin, one module per part of an operator's day."""

from recommendations.admin import (
    buyers,
    dealers,
    evaluations,
    experiments,
    feed,
    health,
    jobs,
    lists,
    log,
    merchandising,
    offline_tests,
    rankers,
    ranking_cards,
    stock,
    taste_map,
    traffic_cards,
)

__all__ = [
    "buyers",
    "dealers",
    "evaluations",
    "experiments",
    "feed",
    "health",
    "jobs",
    "lists",
    "log",
    "merchandising",
    "offline_tests",
    "rankers",
    "ranking_cards",
    "stock",
    "taste_map",
    "traffic_cards",
]
