"""Every form, action and button of the console, posted by every role: allowed, refused or wrong, and never a crash.

Each place is posted by a superuser with everything that may be wrong with it. Where roles differ in nothing but whether
they are refused (test_permissions.py asks that of all of them), one other role posts as well, another in each place.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import AuditEntry, User
from accounts.roles import ROLES
from tests import factories
from tests.admin_rows import ROW_OF
from tests.html_forms import fields_of

pytestmark = pytest.mark.django_db

NO_ROLE, SUPERUSER = "staff without a role", "superuser"
OTHERS = (*ROLES, NO_ROLE)
CAST = (*OTHERS, SUPERUSER)
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
LABELS = [model._meta.label for model in MODELS]
BUTTON_PLACES = ("actions_list", "actions_detail", "actions_row", "actions_submit_line")
HOSTILE = "' \" <b>\u202e {{ 7 }} -- " + "-" * 40
NONSENSE = {"name": HOSTILE, "action": HOSTILE, "q": HOSTILE}


class Cast(dict[str, Client]):
    """A client of each role, logged in when it is first asked for."""

    def __missing__(self, role: str) -> Client:
        self[role] = client_of(role)
        return self[role]


@pytest.fixture
def cast(db, queued) -> Cast:
    return Cast()


def other_role(*place: str) -> str:
    """The role that posts beside the superuser in a place: the same one in every run, spread over the places."""
    return OTHERS[zlib.crc32(" ".join(place).encode()) % len(OTHERS)]


def client_of(role: str) -> Client:
    person = factories.UserFactory(is_staff=True, is_superuser=role == SUPERUSER)
    if role in ROLES:
        person.groups.add(Group.objects.get(name=role))
    client = Client(raise_request_exception=False)
    client.force_login(person)
    return client


def url(model: type, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def post(client: Client, address: str, given: Any) -> int:
    answer = client.post(address, given)
    assert answer.status_code < 500, (address, given)
    return answer.status_code


def hostile(given: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same names, each with a text that fits nowhere; what frames a set of rows stays."""
    return {name: value if "_FORMS" in name else [HOSTILE] for name, value in given.items()}


def names_of_buttons(pages: Any) -> Iterator[str]:
    for place in BUTTON_PLACES:
        yield from _flattened(getattr(pages, place, None) or [])


def _flattened(names: Any) -> Iterator[str]:
    for name in names:
        if isinstance(name, dict):
            yield from _flattened(name["items"])
        else:
            yield name


def form_of(address: str, superuser: Client) -> dict[str, list[str]]:
    page = superuser.get(address)
    assert page.status_code in (200, 302, 403, 405)
    return fields_of(page.text)


@pytest.mark.parametrize("model", MODELS, ids=LABELS)
def test_the_form_of_every_row_is_saved_or_refused(model, cast):
    address = url(model, "change", ROW_OF[model]().pk)
    given = form_of(address, cast[SUPERUSER])
    for role in (SUPERUSER, other_role(model._meta.label, "change")):
        assert post(cast[role], address, given) in (200, 302, 403)
    for content in (hostile(given), {}):
        post(cast[SUPERUSER], address, content)
    for key in ("999999999999999999999", "no such row"):
        post(cast[SUPERUSER], url(model, "change", key), given)


@pytest.mark.parametrize("model", MODELS, ids=LABELS)
def test_the_form_of_every_new_row_is_saved_or_refused(model, cast):
    address = url(model, "add")
    given = form_of(address, cast[SUPERUSER])
    for role in (SUPERUSER, other_role(address)):
        assert post(cast[role], address, given) in (200, 302, 403)
    for content in (hostile(given), {}):
        post(cast[SUPERUSER], address, content)


@pytest.mark.parametrize("model", MODELS, ids=LABELS)
def test_every_row_is_removed_or_refused(model, cast):
    for role in (SUPERUSER, other_role(model._meta.label, "delete")):
        address = url(model, "delete", ROW_OF[model]().pk)
        for content in ({}, {"post": "yes"}, {"post": "yes"}):  # and once more, when it is gone
            assert post(cast[role], address, content) in (200, 302, 403)


@pytest.mark.parametrize("model", MODELS, ids=LABELS)
def test_every_action_on_selected_rows_works_or_is_refused(model, cast):
    address = url(model, "changelist")
    names = {
        "delete_selected",
        "no_such_action",
        *(action[1] for action in admin.site._registry[model]._get_base_actions()),
    }
    for name in sorted(names):
        for role in (SUPERUSER, other_role(model._meta.label, name)):
            post(cast[role], address, {"action": name, "_selected_action": [ROW_OF[model]().pk], "post": "yes"})
        for selected in (["no such row"], []):
            post(cast[SUPERUSER], address, {"action": name, "_selected_action": selected})


@pytest.mark.parametrize("model", MODELS, ids=LABELS)
def test_every_button_works_or_is_refused(model, cast):
    pages = admin.site._registry[model]
    of_list, of_form = (set(_flattened(getattr(pages, place, None) or [])) for place in BUTTON_PLACES[::3])
    for name in sorted(set(names_of_buttons(pages))):
        for role in (SUPERUSER, other_role(model._meta.label, name)):
            row, client = ROW_OF[model](), cast[role]
            key = [] if name in of_list else [row.pk]
            address = url(model, "change", row.pk) if name in of_form else url(model, name, *key)
            given = form_of(address, cast[SUPERUSER])
            post(client, address, {**given, name: "1", "_form_submitted": "on"})
            if role == SUPERUSER:
                for content in (hostile(given), {"_form_submitted": "on"}, {}):
                    post(client, address, content)


def paths_of_the_console() -> Iterator[str]:
    resolver = next(pattern for pattern in get_resolver().url_patterns if getattr(pattern, "app_name", "") == "admin")
    yield from _below(resolver.url_patterns, "/admin/")


def _below(patterns: list[Any], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _below(pattern.url_patterns, prefix + route)
        elif isinstance(pattern, URLPattern) and "(?P<" not in route:
            yield prefix + route


PATHS = sorted(set(paths_of_the_console()))


@pytest.mark.parametrize("role", CAST)
def test_every_address_takes_a_post_of_nothing_and_of_nonsense(role, queued):
    """All of them by a superuser; each by one other role besides."""
    assert len(PATHS) > 150
    client = client_of(role)
    for path in PATHS if role == SUPERUSER else PATHS[OTHERS.index(role) :: len(OTHERS)]:
        if "_auth_user_id" not in client.session:  # one of the addresses logs out
            client = client_of(role)
        for value, content in (("1", NONSENSE), ("no such row", {})):
            post(client, re.sub(r"<[^>]+>", value, path), content)


# --- A password of one's own -----------------------------------------------------------------------------------------
NEW = "another-long-one-7"


@pytest.mark.parametrize("role", CAST)
def test_a_password_of_ones_own_is_changed_and_in_the_audit_log(role):
    client = client_of(role)
    person = User.objects.get(pk=client.session["_auth_user_id"])
    page = reverse("admin:password_change")
    wrong = {"old_password": "no", "new_password1": NEW, "new_password2": NEW}
    assert post(client, page, wrong) == 200
    assert not AuditEntry.objects.exists()
    assert post(client, page, {**wrong, "old_password": "password"}) == 302
    person.refresh_from_db()
    assert person.check_password(NEW)
    entry = AuditEntry.objects.get()
    assert (entry.by, entry.object_id, entry.action) == (person, str(person.pk), "changed")
    assert NEW not in str(AuditEntry.objects.values())
    assert client.get(reverse("admin:index")).status_code == 200  # this session goes on


def test_files_of_any_kind_are_taken_or_refused(cast):
    """The one form with a file: nothing that is sent for it crashes it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("cars.csv", "make,price\n")
    address = reverse("admin:catalog_importrun_add")
    for role in CAST:
        for content in (b"", b"\0\xff\xfe", b"make,year\nSkoda,2019\n", archive.getvalue()):
            uploaded = io.BytesIO(content)
            uploaded.name = "cars.csv"
            post(cast[role], address, {"file": uploaded})
