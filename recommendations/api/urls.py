"""Paths below ``/api/v1/``; each answers with and without a slash at its end."""

from django.urls import re_path

from recommendations.api import events, views

LISTING_ID = r"(?P<listing_id>[0-9]{1,18})"  # what fits the key's column

urlpatterns = [
    re_path(r"^cars/search/?$", views.SearchView.as_view(), name="car-search"),
    re_path(r"^cars/detail/?$", views.DetailByReferenceView.as_view(), name="car-detail-by-reference"),
    re_path(r"^cars/similar/?$", views.SimilarByReferenceView.as_view(), name="car-similar-by-reference"),
    re_path(rf"^cars/detail/{LISTING_ID}/?$", views.DetailView.as_view(), name="car-detail"),
    re_path(r"^cars/recommendations/?$", views.RecommendationsView.as_view(), name="car-recommendations"),
    re_path(rf"^cars/{LISTING_ID}/similar/?$", views.SimilarView.as_view(), name="car-similar"),
    re_path(r"^events/?$", events.EventsView.as_view(), name="events"),
    re_path(r"^users/me/preferences/?$", views.QuestionnaireView.as_view(), name="me-preferences"),
]
