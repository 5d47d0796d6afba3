"""The rating model of this site: one per process, in the data folder of a setting."""

from functools import cache
from pathlib import Path

from django.conf import settings

from recommendations.ratings.model import RatingModel


def rating_model() -> RatingModel:
    """Return the model; this neither loads nor trains anything."""
    return _model_in(Path(settings.RATINGS_DIR), settings.RATINGS_MODELS_KEPT)


@cache
def _model_in(folder: Path, n_kept: int) -> RatingModel:
    return RatingModel(folder, n_kept=n_kept)
