"""Which events, which vectors, which versions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Count, Max
from django.utils import timezone

from catalog.querysets import ITEMS

if TYPE_CHECKING:
    from recommendations.models import Interaction, ListingVector, RankerVersion, ServedList  # noqa: F401 (named in strings)

LATELY = timedelta(days=30)


class InteractionQuerySet(models.QuerySet["Interaction"]):
    def about_cars(self) -> InteractionQuerySet:
        """Events that say something about cars: searches too, but none about the items of the feed."""
        return self.exclude(listing__source=ITEMS)

    def of_people(self) -> InteractionQuerySet:
        """Without the events of buyers who are marked as bots: what is learned from, and what figures count."""
        return self.exclude(buyer__bot_mark__is_bot=True)

    def since(self, moment: datetime) -> InteractionQuerySet:
        return self.filter(occurred_at__gte=moment)

    def log_position(self) -> tuple[int, int]:
        """The newest id and the number of rows: together they tell whether a reader has seen everything.

        The id alone would not: ids are given out before commit, so a lower one can become visible later.
        """
        position = self.aggregate(last=Max("id"), n=Count("id"))
        return position["last"] or 0, position["n"]


class ServedListQuerySet(models.QuerySet["ServedList"]):
    def lately(self) -> ServedListQuerySet:
        """The rows of the last weeks, so that the database reads few of the monthly partitions."""
        return self.filter(served_at__gte=timezone.now() - LATELY)


class ListingVectorQuerySet(models.QuerySet["ListingVector"]):
    def of(self, version: RankerVersion | int) -> ListingVectorQuerySet:
        """Vectors of one space. Always say which: vectors of two versions never meet."""
        return self.filter(version_id=version if isinstance(version, int) else version.pk)


class RankerVersionQuerySet(models.QuerySet["RankerVersion"]):
    def live(self) -> RankerVersion | None:
        """The version that answers now, or None before the first training."""
        return self.filter(status=self.model.Status.LIVE).first()

    def usable(self) -> RankerVersionQuerySet:
        """Versions whose vectors exist: the live one and those that could take over."""
        return self.filter(status__in=[self.model.Status.LIVE, self.model.Status.READY])
