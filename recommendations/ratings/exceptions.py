"""Refusals of the rating model, in words fit to show a person."""

from collections.abc import Sequence

from recommendations.exceptions import RecommendationsError

TRAIN_COMMAND = "python manage.py ratings train --dataset=PATH"


class RatingsError(RecommendationsError):
    """Something was asked of the rating model that it refuses, and the message says why."""


class DatasetRefused(RatingsError):
    """A file that holds no ratings, or no titles, that can be read."""


class NoRatingModel(RatingsError):
    """Nothing was trained yet, or nothing that was trained can be read."""

    def __init__(self, why: str = "no rating model has been trained yet") -> None:
        super().__init__(f"{why}; run: {TRAIN_COMMAND}")


class NoReadableModel(NoRatingModel):
    """Something was trained, but nothing of it can be read."""

    def __init__(self) -> None:
        super().__init__("no stored rating model can be read, see the log")


class ArtefactRefused(RatingsError):
    """A stored model that is incomplete, damaged or of another format."""


class UnknownItems(RatingsError):
    """Ids that the model has not seen."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self.item_ids = list(item_ids)
        super().__init__(f"no ratings of {', '.join(self.item_ids)} were trained on")
