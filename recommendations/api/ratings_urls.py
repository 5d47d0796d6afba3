"""Paths of the star ratings, below ``/api/``; each answers with and without a slash at its end."""

from django.urls import re_path

from recommendations.api import ratings

urlpatterns = [
    re_path(r"^predict/?$", ratings.PredictView.as_view(), name="predict"),
    re_path(r"^similar/?$", ratings.SimilarTitlesView.as_view(), name="similar-titles"),
    re_path(r"^log/?$", ratings.LogView.as_view(), name="log"),
    re_path(r"^info/?$", ratings.InfoView.as_view(), name="info"),
    re_path(r"^reload/?$", ratings.ReloadView.as_view(), name="reload"),
]
