"""Pages about one's own account, below the admin: second factors, single sign-on, new passwords.

The views are django-allauth's and Django's, which know their pages by name: the names are theirs. Only what we use is
here: no sign-up, and no second way to log in or to change an address.
"""

from allauth.account.views import reauthenticate
from allauth.socialaccount.providers.openid_connect import views as openid_connect
from django.conf import settings
from django.urls import include, path

from accounts.login.resets import ForgottenView, NewPasswordDoneView, NewPasswordView, SentView
from accounts.login.sign_on import as_a_sentence
from accounts.login.two_factor import OFF
from accounts.login.views import Patterns, give_up, hidden_unless, to_login


def has_second_factors() -> bool:
    return bool(settings.TWO_FACTOR != OFF)


def has_sign_on() -> bool:
    return bool(settings.OIDC_ISSUER)


def has_email() -> bool:
    return bool(settings.SENDS_EMAIL)


second_factors: Patterns = [
    path("confirm/", reauthenticate, name="account_reauthenticate"),
    path("2fa/", include("allauth.mfa.urls")),
]
sign_on: Patterns = [
    path("oidc/<slug:provider_id>/login/", as_a_sentence(openid_connect.login), name="openid_connect_login"),
    path(
        "oidc/<slug:provider_id>/login/callback/",
        as_a_sentence(openid_connect.callback),
        name="openid_connect_callback",
    ),
]
resets: Patterns = [
    path("forgotten/", ForgottenView.as_view(), name="password_reset"),
    path("forgotten/sent/", SentView.as_view(), name="password_reset_done"),
    path("forgotten/done/", NewPasswordDoneView.as_view(), name="password_reset_complete"),
    path("forgotten/<uidb64>/<token>/", NewPasswordView.as_view(), name="password_reset_confirm"),
]
urlpatterns: Patterns = [
    path("login/", to_login, name="account_login"),
    path("leave/", give_up, name="account_logout"),
    *hidden_unless(has_second_factors, second_factors),
    *hidden_unless(has_sign_on, sign_on),
    *hidden_unless(has_email, resets),
]
