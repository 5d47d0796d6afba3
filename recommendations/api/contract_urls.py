"""Paths that earlier clients know, at the root of the site; each answers with and without a slash at its end."""

from django.urls import re_path

from recommendations.api import inference

urlpatterns = [
    re_path(r"^infer/?$", inference.InferView.as_view(), name="infer"),
    re_path(r"^batch/?$", inference.BatchView.as_view(), name="batch"),
]
