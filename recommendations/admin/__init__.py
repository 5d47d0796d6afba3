"""The recommender's pages in the admin, one module per part of an operator's day."""

from recommendations.admin import evaluations, feed, jobs, lists, log, people, rankers, stock, taste_map, trials

__all__ = ["evaluations", "feed", "jobs", "lists", "log", "people", "rankers", "stock", "taste_map", "trials"]
