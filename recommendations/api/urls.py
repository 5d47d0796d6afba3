"""Paths below ``/api/v1/``; each answers with and without a slash at its end."""

from django.urls import re_path

from recommendations.api import (
    alerts,
    beacon,
    buyers,
    cars,
    events,
    listing_buyers,
    lists,
    of_buyers,
    questionnaire,
    search,
)

LISTING_ID = r"(?P<listing_id>[0-9]{1,18})"  # what fits the key's column
SEARCH_ID = r"(?P<search_id>[0-9]{1,18})"
BUYER_ID = r"(?P<external_id>[\s\S]+?)"  # an id of another system: anything

urlpatterns = [
    re_path(r"^cars/search/?$", search.SearchView.as_view(), name="car-search"),
    re_path(r"^cars/detail/?$", cars.DetailByReferenceView.as_view(), name="car-detail-by-reference"),
    re_path(r"^cars/similar/?$", cars.SimilarByReferenceView.as_view(), name="car-similar-by-reference"),
    re_path(r"^cars/completions/?$", search.CompletionsView.as_view(), name="car-completions"),
    re_path(rf"^cars/detail/{LISTING_ID}/?$", cars.DetailView.as_view(), name="car-detail"),
    re_path(r"^cars/recommendations/?$", lists.RecommendationsView.as_view(), name="car-recommendations"),
    re_path(r"^cars/recommendations/placements/?$", lists.PlacementsView.as_view(), name="car-placements"),
    re_path(r"^cars/rank/?$", lists.RankView.as_view(), name="car-rank"),
    re_path(rf"^listings/{LISTING_ID}/buyers/?$", listing_buyers.ListingBuyersView.as_view(), name="listing-buyers"),
    re_path(rf"^cars/{LISTING_ID}/similar/?$", cars.SimilarView.as_view(), name="car-similar"),
    re_path(rf"^buyers/{BUYER_ID}/export/?\Z", buyers.BuyerExportView.as_view(), name="buyer-export"),
    re_path(rf"^buyers/{BUYER_ID}/merge/?\Z", buyers.BuyerMergeView.as_view(), name="buyer-merge"),
    re_path(rf"^buyers/{BUYER_ID}/blocked-sellers/?\Z", buyers.BlockedSellersView.as_view(), name="blocked-sellers"),
    re_path(rf"^buyers/{BUYER_ID}/hidden-cars/?\Z", buyers.HiddenCarsView.as_view(), name="hidden-cars"),
    re_path(
        rf"^buyers/{BUYER_ID}/saved-searches/?\Z",
        of_buyers.SavedSearchesOfBuyerView.as_view(),
        name="saved-searches-of-buyer",
    ),
    re_path(
        rf"^buyers/{BUYER_ID}/saved-searches/{SEARCH_ID}/?\Z",
        of_buyers.SavedSearchOfBuyerView.as_view(),
        name="saved-search-of-buyer",
    ),
    re_path(rf"^buyers/{BUYER_ID}/alerts/?\Z", of_buyers.AlertSettingsOfBuyerView.as_view(), name="alerts-of-buyer"),
    re_path(
        rf"^buyers/{BUYER_ID}/preferences/?\Z", of_buyers.QuestionnaireOfBuyerView.as_view(), name="answers-of-buyer"
    ),
    re_path(rf"^buyers/{BUYER_ID}/?\Z", buyers.BuyerView.as_view(), name="buyer"),
    re_path(r"^users/me/saved-searches/?$", alerts.SavedSearchesView.as_view(), name="saved-searches"),
    re_path(rf"^users/me/saved-searches/{SEARCH_ID}/?$", alerts.SavedSearchView.as_view(), name="saved-search"),
    re_path(r"^users/me/alerts/?$", alerts.AlertSettingsView.as_view(), name="alert-settings"),
    re_path(r"^events/?$", events.EventsView.as_view(), name="events"),
    re_path(r"^events/beacon/?$", beacon.BeaconView.as_view(), name="events-beacon"),
    re_path(r"^users/me/preferences/?$", questionnaire.QuestionnaireView.as_view(), name="me-preferences"),
]
