"""Every route with every kind of credential, in demo mode and outside of it: who gets in, and who does not.

A new route fails here until it is in the table. Refused means 401 or 403; 404 where a route exists in demo mode only.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import Buyer, User
from catalog.models import Listing
from recommendations.models import Interaction
from recommender_site.http.fast_lane import with_fast_lane
from tests.factories import ApiKeyFactory, ListingFactory, UserFactory

NOTHING, VISITOR, USER, SESSION, READ, INGEST, ADMIN = CALLERS = (
    "nothing", "visitor", "user", "session", "read", "ingest", "admin",
)  # fmt: skip
EVERYONE = set(CALLERS)
PERSONS = {USER, SESSION}
BUYERS = {VISITOR, *PERSONS}
READERS, WRITERS, ADMINS = {READ, ADMIN}, {INGEST, ADMIN}, {ADMIN}

# Of one's own account, by settings that are off by default; tests/accounts try them when on.
ACCOUNT_PAGES = {
    "account_reauthenticate", "mfa_activate_totp", "mfa_add_webauthn", "mfa_authenticate", "mfa_deactivate_totp",
    "mfa_download_recovery_codes", "mfa_edit_webauthn", "mfa_generate_recovery_codes", "mfa_index", "mfa_list_webauthn",
    "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "mfa_remove_webauthn", "mfa_view_recovery_codes",
    "openid_connect_callback", "openid_connect_login", "password_reset", "password_reset_complete",
    "password_reset_confirm", "password_reset_done",
}  # fmt: skip
# (route, method): who gets in outside demo mode.
CLOSED: dict[tuple[str, str], set[str]] = {
    ("home", "get"): EVERYONE,
    ("api-root", "get"): EVERYONE,
    **{(name, "get"): set() for name in ("shop", "shop-car", "shop-act", "shop-visitor", "shop-searches")},  # staff
    ("schema", "get"): EVERYONE,
    ("docs", "get"): EVERYONE,
    ("redoc", "get"): EVERYONE,
    ("redocs", "get"): EVERYONE,
    ("healthz", "get"): EVERYONE,
    ("readyz", "get"): EVERYONE,
    ("metrics", "get"): set(),  # by METRICS_TOKEN
    ("healthcheck", "get"): EVERYONE,
    ("login", "get"): EVERYONE,
    ("account_login", "get"): EVERYONE,
    ("account_logout", "get"): EVERYONE,  # by POST only
    **{(name, "get"): set() for name in sorted(ACCOUNT_PAGES)},
    ("token", "post"): EVERYONE,  # by password
    ("token-refresh", "post"): EVERYONE,  # by refresh token
    ("token-revoke", "post"): EVERYONE,
    ("token-revoke-all", "post"): PERSONS,
    ("token-fake", "post"): set(),
    ("me", "get"): PERSONS,
    ("me", "delete"): PERSONS | ADMINS,
    ("me-export", "get"): PERSONS | ADMINS,
    ("alert-unsubscribe", "get"): EVERYONE,  # by the signed link
    ("saved-searches", "get"): PERSONS | WRITERS,
    ("saved-searches", "post"): PERSONS | WRITERS,
    ("saved-search", "get"): PERSONS | WRITERS,
    ("saved-search", "patch"): PERSONS | WRITERS,
    ("saved-search", "delete"): PERSONS | WRITERS,
    ("alert-settings", "get"): PERSONS | WRITERS,
    ("alert-settings", "patch"): PERSONS | WRITERS,
    ("me-privacy", "get"): PERSONS | WRITERS,
    ("me-privacy", "patch"): PERSONS | WRITERS,
    ("me-preferences", "get"): BUYERS | WRITERS,
    ("me-preferences", "post"): BUYERS | WRITERS,
    ("listing-buyers", "get"): ADMINS,  # and the scope "buyers", which has a test of its own
    ("listings", "post"): WRITERS,
    ("listings", "patch"): WRITERS,
    ("listings", "get"): WRITERS,
    **{
        (name, method): WRITERS
        for name in ("listing", "listing-by-external-id")
        for method in ("get", "patch", "delete")
    },
    ("listing-by-external-id", "put"): WRITERS,
    ("listings-complete", "post"): WRITERS,
    ("car-search", "get"): BUYERS | READERS,
    ("car-completions", "get"): BUYERS | READERS,
    ("car-detail", "get"): BUYERS | READERS,
    ("car-detail-by-reference", "get"): BUYERS | READERS,
    ("car-similar-by-reference", "get"): BUYERS | READERS,
    ("car-recommendations", "get"): BUYERS | READERS,
    ("car-recommendations", "post"): BUYERS | READERS,
    ("car-placements", "post"): BUYERS | READERS,
    ("car-rank", "post"): BUYERS | READERS,
    ("car-similar", "get"): BUYERS | READERS,
    ("buyer", "get"): WRITERS,
    ("buyer", "put"): WRITERS,
    ("buyer", "patch"): WRITERS,
    ("buyer", "delete"): ADMINS,
    ("buyer-export", "get"): ADMINS,
    ("buyer-merge", "post"): WRITERS,
    ("blocked-sellers", "get"): WRITERS,
    ("blocked-sellers", "post"): WRITERS,
    ("blocked-sellers", "delete"): WRITERS,
    ("hidden-cars", "get"): WRITERS,
    ("hidden-cars", "post"): WRITERS,
    ("hidden-cars", "delete"): WRITERS,
    **{
        (name, method): WRITERS
        for name, methods in {
            "saved-searches-of-buyer": ("get", "post"),
            "saved-search-of-buyer": ("get", "patch", "delete"),
            "alerts-of-buyer": ("get", "patch"),
            "answers-of-buyer": ("get", "post"),
        }.items()
        for method in methods
    },
    ("events", "post"): BUYERS | WRITERS,
    ("events-beacon", "post"): EVERYONE,  # by the visitor key in the body
    ("infer", "post"): READERS,
    ("batch", "post"): READERS,
    ("interact", "post"): WRITERS,
    ("add-items", "post"): WRITERS,
    ("recs", "get"): READERS,
    ("cleanup", "get"): ADMINS,
    ("cleanup", "post"): ADMINS,
    ("predict", "post"): READERS,
    ("similar-titles", "post"): READERS,
    ("info", "get"): READERS,
    ("reload", "get"): ADMINS,
    ("reload", "post"): ADMINS,
    ("log", "get"): ADMINS,
}
OPEN_IN_DEMO_MODE = {
    "token-fake", "infer", "batch", "interact", "add-items", "recs", "cleanup", "predict", "similar-titles", "info",
    "reload", "log", "metrics", "shop", "shop-car", "shop-act", "shop-visitor", "shop-searches",
}  # fmt: skip
LOGOUT = "logout"  # ends the session it is asked with, and nothing else
HIDDEN_WHERE_CLOSED = {"token-fake", "cleanup", *ACCOUNT_PAGES}  # these answer 404 there
PATHS = {
    "car-detail": "/api/v1/cars/detail/1", "car-similar": "/api/v1/cars/1/similar", "listing": "/api/v1/listings/1",
    "listing-buyers": "/api/v1/listings/1/buyers",
    "listing-by-external-id": "/api/v1/listings/by-external-id/7",
    "recs": "/recs/u", "buyer": "/api/v1/buyers/u", "buyer-export": "/api/v1/buyers/u/export",
    "buyer-merge": "/api/v1/buyers/u/merge", "blocked-sellers": "/api/v1/buyers/u/blocked-sellers",
    "hidden-cars": "/api/v1/buyers/u/hidden-cars", "saved-search": "/api/v1/users/me/saved-searches/1",
    "saved-searches-of-buyer": "/api/v1/buyers/u/saved-searches", "alerts-of-buyer": "/api/v1/buyers/u/alerts",
    "saved-search-of-buyer": "/api/v1/buyers/u/saved-searches/1", "answers-of-buyer": "/api/v1/buyers/u/preferences",
    "alert-unsubscribe": "/alerts/unsubscribe/x", "shop-car": "/shop/cars/1/",
    "mfa_edit_webauthn": "/admin/account/2fa/webauthn/keys/1/edit/",
    "mfa_remove_webauthn": "/admin/account/2fa/webauthn/keys/1/remove/",
    "openid_connect_login": "/admin/account/oidc/sso/login/",
    "openid_connect_callback": "/admin/account/oidc/sso/login/callback/",
}  # fmt: skip


def routes() -> Iterator[tuple[str, URLPattern, str]]:
    """(name, pattern, path with what is fixed of it) of every route outside of the admin."""
    yield from _below(get_resolver().url_patterns, "")


def _below(patterns: list[Any], prefix: str) -> Iterator[tuple[str, URLPattern, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern).removeprefix("^").removesuffix("?").removesuffix("/?$").removesuffix("$")
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin":
                yield from _below(pattern.url_patterns, path)
        elif pattern.name != LOGOUT:
            yield pattern.name, pattern, f"/{path}"


def path_of(name: str) -> str:
    return PATHS.get(name) or next(path for found, _, path in routes() if found == name).removesuffix("/?")


def methods_of(pattern: URLPattern) -> list[str]:
    view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
    if view is None or not issubclass(view, APIView):
        return ["get"]  # a page
    return [method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)]


@pytest.fixture
def callers(db) -> dict[str, Client]:
    user = UserFactory()
    with_session = Client()
    with_session.force_login(user)
    keys = {scope: ApiKeyFactory(secret=f"fc_{scope}", scopes=[scope]) and f"fc_{scope}" for scope in READERS | WRITERS}
    return {
        NOTHING: Client(),
        VISITOR: Client(headers={"X-Visitor-Key": "the-browser-of-gus"}),
        USER: Client(headers={"Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}),
        SESSION: with_session,
        **{scope: Client(headers={"X-Api-Key": secret}) for scope, secret in keys.items()},
    }


def test_every_route_is_in_the_table():
    found = {(name, method) for name, pattern, _ in routes() for method in methods_of(pattern)}
    assert found == set(CLOSED)


@pytest.mark.parametrize("is_demo", [False, True], ids=["production", "demo"])
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("name", "method"), CLOSED, ids="-".join)
def test_who_gets_in(name, method, caller, is_demo, callers, settings):
    settings.DEMO_MODE = is_demo
    settings.RATINGS_DIR = settings.BASE_DIR / "nonexistent"
    ListingFactory(pk=1)
    answer = getattr(callers[caller], method)(path_of(name), content_type="application/json")
    gets_in = caller in CLOSED[name, method] or (is_demo and name in OPEN_IN_DEMO_MODE)
    refusals = {404} if name in HIDDEN_WHERE_CLOSED else {401, 403}
    if name.startswith("shop"):
        refusals = {302}  # to the login of staff
    if name in (
        "token",
        "token-refresh",
        "token-revoke",
        "token-fake",
    ):  # what is asked with is in the body: an empty one is wrong, not refused
        refusals, gets_in = {404}, gets_in
    assert (answer.status_code not in refusals) == gets_in, answer.content
    assert answer.status_code not in (500, 502)


@pytest.mark.parametrize("caller", [VISITOR, USER, READ, INGEST, NOTHING])
@pytest.mark.parametrize("name", ["infer", "batch", "interact", "recs"])
def test_the_short_way_is_as_closed_as_the_usual_one(name, caller, callers, settings):
    settings.DEMO_MODE = False
    asked = []
    environ = {"REQUEST_METHOD": "GET" if name == "recs" else "POST", "PATH_INFO": path_of(name)}
    with_fast_lane(lambda environ, start: asked.append(name) or [])(environ, None)
    assert asked == [name]


@pytest.mark.parametrize("needs_key", [False, True])
@pytest.mark.parametrize("is_demo", [False, True])
@pytest.mark.parametrize(
    ("setting", "name", "method"),
    [("FEED_NEEDS_KEY", "interact", "post"), ("FEED_NEEDS_KEY", "add-items", "post"), ("FEED_NEEDS_KEY", "recs", "get"),
     ("INFERENCE_NEEDS_KEY", "infer", "post"), ("INFERENCE_NEEDS_KEY", "batch", "post"),
     ("RATINGS_NEED_KEY", "predict", "post"), ("RATINGS_NEED_KEY", "info", "get"),
     ("RATINGS_NEED_KEY", "reload", "post")],
)  # fmt: skip
def test_a_named_setting_decides_in_either_mode(setting, name, method, needs_key, is_demo, callers, settings):
    settings.DEMO_MODE = is_demo
    setattr(settings, setting, needs_key)
    answer = getattr(callers[NOTHING], method)(path_of(name), content_type="application/json")
    assert (answer.status_code in (401, 403)) == needs_key


def admin_paths() -> Iterator[str]:
    resolver = next(pattern for pattern in get_resolver().url_patterns if getattr(pattern, "app_name", "") == "admin")
    yield from _admin_below(resolver.url_patterns, "/admin/")


def _admin_below(patterns: list[Any], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _admin_below(pattern.url_patterns, prefix + route)
        elif "(?P<" not in route and pattern.name not in ("login", LOGOUT):
            yield prefix + route.replace("<path:object_id>", "1").replace("<str:object_id>", "1")


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_page_of_the_admin_is_for_those_who_are_not_staff(caller, method, callers):
    paths = [path for path in admin_paths() if "<" not in path]
    assert len(paths) > 50
    for path in paths:
        answer = getattr(callers[caller], method)(path)
        is_sent_to_login = answer.status_code == 302 and "/admin/login/" in answer["Location"]
        assert is_sent_to_login or answer.status_code in (401, 403, 404) or path == "/admin/jsi18n/", path


@pytest.mark.parametrize(("name", "method"), list(CLOSED), ids="-".join)
def test_every_route_of_the_api_is_throttled(name, method):
    view = view_of(name)
    if view is not None and issubclass(view, APIView):
        assert view.throttle_classes


def view_of(name: str) -> Any:
    pattern = next(pattern for found, pattern, _ in routes() if found == name)
    return getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)


PROBES = {"healthz", "readyz", "metrics"}  # asked from inside, and cheap
LOGINS = {"login", "account_login", "account_logout", *ACCOUNT_PAGES}  # what is tried there is counted, not who looks


@pytest.mark.parametrize("method", ["get", "post", "head", "options"])
@pytest.mark.parametrize("caller", [NOTHING, VISITOR, USER, SESSION])
@pytest.mark.parametrize("is_demo", [False, True], ids=["production", "demo"])
def test_every_page_is_throttled_for_all_who_ask(is_demo, caller, method, callers, settings, monkeypatch):
    settings.DEMO_MODE = is_demo
    pages = [name for name, _, _ in routes() if not issubclass(view_of(name) or object, APIView)]
    counted = set(pages) - PROBES - LOGINS
    assert {"home", "shop", "shop-act"} <= counted
    for throttle in ("UserThrottle", "GuestThrottle"):
        monkeypatch.setattr(f"accounts.api.throttles.{throttle}.rate", "1/day", raising=False)
    for number, name in enumerate(sorted(counted)):
        answer = getattr(callers[caller], method)(path_of(name))
        assert (answer.status_code == 429) == (number > 0), name
        assert number == 0 or int(answer["Retry-After"]) > 0


# --- Credentials that are over ----------------------------------------------------------------------------------------
def by_token(token: object) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def expired_token(user: User) -> Client:
    token = RefreshToken.for_user(user).access_token
    token.set_exp(lifetime=-timedelta(seconds=1))
    return by_token(token)


def logged_in(user: User) -> dict[str, str]:
    given = {"email": user.email, "password": "password"}
    return Client().post("/api/v1/token", given, content_type="application/json").json()


def refresh_token_spent_twice(user: User) -> Client:
    pair = logged_in(user)
    for _ in range(2):
        Client().post("/api/v1/token/refresh", {"refresh": pair["refresh"]}, content_type="application/json")
    return by_token(pair["access"])


def logged_out_everywhere(user: User) -> Client:
    client = by_token(logged_in(user)["access"])
    assert client.post("/api/v1/token/revoke-all", content_type="application/json").status_code == 204
    return client


def closed_account(user: User) -> Client:
    client = by_token(logged_in(user)["access"])
    User.objects.filter(pk=user.pk).update(is_active=False)  # by hand, past all that saving a user does
    return client


def session_of_a_closed_account(user: User) -> Client:
    client = Client()
    client.force_login(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return client


def another_password(user: User) -> Client:
    client = by_token(logged_in(user)["access"])
    user.set_password("another")
    user.save()
    return client


def revoked_key(user: User) -> Client:
    ApiKeyFactory(secret="fc_revoked", scopes=["admin"], revoked_at=timezone.now())
    return Client(headers={"X-Api-Key": "fc_revoked"})


def expired_key(user: User) -> Client:
    ApiKeyFactory(secret="fc_expired", scopes=["admin"], expires_at=timezone.now())
    return Client(headers={"Authorization": "Api-Key fc_expired"})


def refresh_token_as_access_token(user: User) -> Client:
    return by_token(RefreshToken.for_user(user))


OVER = [
    expired_token, refresh_token_as_access_token, refresh_token_spent_twice, logged_out_everywhere, closed_account,
    session_of_a_closed_account, another_password, revoked_key, expired_key,
]  # fmt: skip


@pytest.mark.parametrize("way", OVER)
def test_a_credential_that_is_over_opens_nothing(way, settings, db):
    settings.DEMO_MODE = False
    client = way(UserFactory())
    ListingFactory(pk=1)
    n_buyers = Buyer.objects.count()
    for (name, method), gets_in in CLOSED.items():
        if NOTHING not in gets_in and name not in {"metrics", *HIDDEN_WHERE_CLOSED}:
            answer = getattr(client, method)(path_of(name), content_type="application/json")
            assert answer.status_code in ({302} if name.startswith("shop") else {401, 403}), name
    assert Buyer.objects.count() == n_buyers
    assert not Interaction.objects.exists()
    assert Listing.objects.filter(status="live").exists()


@pytest.mark.parametrize("is_demo", [False, True], ids=["production", "demo"])
def test_a_session_writes_nothing_without_the_token_of_a_page(is_demo, settings, db):
    settings.DEMO_MODE = is_demo
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory(operator=True))
    ListingFactory(pk=1)
    asked = [(name, method) for (name, method), callers in CLOSED.items()
             if method != "get" and SESSION in callers and NOTHING not in callers]  # fmt: skip
    assert len(asked) > 4
    for name, method in [*asked, *((name, "post") for name in ("shop-act", "shop-visitor", "shop-searches"))]:
        assert getattr(client, method)(path_of(name), content_type="application/json").status_code == 403, name


# --- Emptying the site -----------------------------------------------------------------------------------------------
OWN = {"Origin": "http://testserver", "Referer": "http://testserver/api/docs"}
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Referer": "https://evil.example/page"},
    {"Referer": "http://testserver.evil.example/"},
    {"Referer": "http://testserver@evil.example/"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {**OWN, "Origin": "https://evil.example"},
    {"Origin": "http://testserver:8001"},
]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_cannot_empty_a_demo(headers, method, settings, db):
    settings.DEMO_MODE = True
    ListingFactory()
    assert getattr(Client(headers=headers), method)("/cleanup").status_code == 403
    assert Listing.objects.exists()


@pytest.mark.parametrize("caller", [NOTHING, ADMIN])
@pytest.mark.parametrize("method", ["head", "options", "put", "delete"])
def test_only_a_get_and_a_post_empty_a_site(method, caller, callers, settings):
    settings.DEMO_MODE = True
    ListingFactory()
    getattr(callers[caller], method)("/cleanup")
    assert Listing.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("headers", [{}, OWN, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
def test_a_program_and_a_page_of_this_site_can(headers, method, settings, db):
    settings.DEMO_MODE = True
    ListingFactory()
    assert getattr(Client(headers=headers), method)("/cleanup").status_code == 200
    assert not Listing.objects.exists()
