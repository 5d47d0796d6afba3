"""Paths below ``/api/v1/``; each answers with and without a slash at its end."""

from django.urls import re_path

from accounts.api import views

urlpatterns = [
    re_path(r"^token/?$", views.TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", views.TokenRefreshView.as_view(), name="token-refresh"),
    re_path(r"^token/revoke/?$", views.TokenRevokeView.as_view(), name="token-revoke"),
    re_path(r"^token/revoke-all/?$", views.LogOutEverywhereView.as_view(), name="token-revoke-all"),
    re_path(r"^token/fake-token/?$", views.FakeTokenView.as_view(), name="token-fake"),
    re_path(r"^users/me/?$", views.MeView.as_view(), name="me"),
    re_path(r"^users/me/export/?$", views.ExportView.as_view(), name="me-export"),
    re_path(r"^users/me/privacy/?$", views.PrivacyView.as_view(), name="me-privacy"),
]
