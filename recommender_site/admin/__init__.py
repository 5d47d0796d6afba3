"""The pages of the packages we use, in the look of the others: beat's schedules, the results of jobs, the queues."""

from recommender_site.admin import results, schedules

__all__ = ["results", "schedules"]
