"""Paths below ``/api/v1/``; each answers with and without a slash at its end."""

from django.urls import re_path

from catalog.api import views

urlpatterns = [
    re_path(r"^listings/?$", views.ListingsView.as_view(), name="listings"),
    re_path(r"^listings/complete/?$", views.CompleteSetView.as_view(), name="listings-complete"),
    re_path(
        r"^listings/by-external-id/(?P<external_id>[\s\S]+?)/?\Z",
        views.ListingByExternalIdView.as_view(),
        name="listing-by-external-id",
    ),
    re_path(r"^listings/(?P<listing_id>[0-9]{1,18})/?$", views.ListingView.as_view(), name="listing"),
]
