"""Paths below ``/api/v1/``; each answers with and without a slash at its end."""

from django.urls import re_path

from catalog.api import views

urlpatterns = [
    re_path(r"^listings/?$", views.ListingsView.as_view(), name="listings"),
    re_path(r"^listings/(?P<listing_id>[0-9]{1,18})/?$", views.ListingView.as_view(), name="listing"),
]
