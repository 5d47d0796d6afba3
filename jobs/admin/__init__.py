"""Pages of background work: results, queues, schedules, and the base of the pages of jobs."""

from jobs.admin import cards, results, schedules

__all__ = ["cards", "results", "schedules"]
