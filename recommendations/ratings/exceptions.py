"""Errors of the rating model, with messages to show to people."""

from collections.abc import Sequence

from recommendations.exceptions import RecommendationsError

TRAIN_COMMAND = "python manage.py ratings train --dataset=PATH"


class RatingsError(RecommendationsError):
    """The rating model refuses a request; the message is the reason."""


class DatasetRefused(RatingsError):
    """A file that holds no ratings, or no titles, that can be read."""


class NoRatingModel(RatingsError):
    """No model was trained, or none can be read."""

    def __init__(self, why: str = "no rating model has been trained yet") -> None:
        super().__init__(f"{why}; run: {TRAIN_COMMAND}")


class NoReadableModel(NoRatingModel):
    """A model was trained, but none can be read."""

    def __init__(self) -> None:
        super().__init__("no stored rating model can be read, see the log")


class ArtefactRefused(RatingsError):
    """A stored model that is incomplete, damaged or of another format."""


class UnknownItems(RatingsError):
    """Ids of items without a rating in the training."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self.item_ids = list(item_ids)
        super().__init__(f"no ratings of {', '.join(self.item_ids)} were trained on")
