"""Paths that earlier clients know, at the root of the site; each answers with and without a slash at its end."""

from django.urls import re_path

from recommendations.api import feed, inference

urlpatterns = [
    re_path(r"^infer/?$", inference.InferView.as_view(), name="infer"),
    re_path(r"^batch/?$", inference.BatchView.as_view(), name="batch"),
    re_path(r"^interact/?$", feed.InteractView.as_view(), name="interact"),
    re_path(r"^add_items/?$", feed.AddItemsView.as_view(), name="add-items"),
    re_path(r"^recs/(?P<user_id>[\s\S]+?)/?\Z", feed.RecsView.as_view(), name="recs"),
    re_path(r"^healthcheck/?$", feed.HealthView.as_view(), name="healthcheck"),
    re_path(r"^cleanup/?$", feed.CleanUpView.as_view(), name="cleanup"),
]
