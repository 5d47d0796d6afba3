"""The rating model that this site serves: one per process, its data folder a setting."""

from functools import cache
from pathlib import Path

from django.conf import settings

from recommendations.ratings.model import RatingModel


def rating_model() -> RatingModel:
    """Nothing is loaded, and nothing ever trained, by asking for it."""
    return _model_in(Path(settings.RATINGS_DIR), settings.RATINGS_MODELS_KEPT)


@cache
def _model_in(folder: Path, n_kept: int) -> RatingModel:
    return RatingModel(folder, n_kept=n_kept)
