"""Who may open, change and set off what in the console: every page and every button, for every role."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, resolve, reverse

from accounts.models import AuditEntry, User
from accounts.roles import ROLES, VIEWER
from tests import factories
from tests.admin_rows import ROW_OF

pytestmark = pytest.mark.django_db

REGISTERED = sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label)
LABELS = [model._meta.label for model, _ in REGISTERED]
ONLY_LOOKING = ("open_", "compare", "download_")  # what buttons are called that a viewer may press


@pytest.fixture
def person(client: Client, request: pytest.FixtureRequest) -> User:
    """Staff with one role and no other right, logged in."""
    someone = factories.user_of_role(request.param)
    client.force_login(someone)
    return someone


def url(model: type, page: str, *keys: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[quote(key) for key in keys])


def holds(person: User, verb: str, model: Any) -> bool:
    return person.has_perm(f"{model._meta.app_label}.{verb}_{model._meta.model_name}")


def buttons() -> Iterator[tuple[Any, str, str]]:
    """Every button of every page: the model, where it stands, its name."""
    for model, pages in REGISTERED:
        for location in ("actions_list", "actions_detail", "actions_row", "actions_submit_line"):
            for name in flattened(getattr(pages, location, None) or []):
                yield model, location, name


def flattened(names: Any) -> Iterator[str]:
    for name in names:
        if isinstance(name, dict):
            yield from flattened(name["items"])
        else:
            yield name


BUTTONS = list(buttons())


LINK = re.compile(r'<a\b[^>]*?\shref="(/admin/[^"#]*)')
REFUSED: dict[tuple[str, str], bool] = {}  # by role and name of an address: rights do not depend on which row it is


def refused_links(client: Client, person: User, page: str) -> list[str]:
    """Where links of a page lead that the person is refused; one whose row is gone is not."""
    found: dict[str, str] = {}
    for address in map(unescape, LINK.findall(page)):
        found.setdefault(resolve(address.partition("?")[0]).view_name, address)
    role = person.groups.get().name
    for name in found:
        if (role, name) not in REFUSED:
            REFUSED[role, name] = client.get(found[name]).status_code == 403
    return [found[name] for name in found if REFUSED[role, name]]


# --- Pages -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("person", ROLES, indirect=True)
@pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=LABELS)
def test_a_role_opens_the_pages_it_holds_the_right_for_and_is_shown_a_link_to_no_others(
    client: Client, person: User, model: Any
):
    row = ROW_OF[model]()
    may_look = holds(person, "view", model) or holds(person, "change", model)
    for address in (url(model, "changelist"), url(model, "change", row.pk)):
        page = client.get(address)
        assert page.status_code == (200 if may_look else 403)
        assert refused_links(client, person, page.text) == [], address
    if not holds(person, "add", model):
        assert client.get(url(model, "add")).status_code == 403
    if not holds(person, "delete", model):
        assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("person", [VIEWER], indirect=True)
@pytest.mark.parametrize("n_versions", [0, 1])
def test_no_page_beside_them_has_a_link_that_a_viewer_is_refused(client: Client, person: User, n_versions: int):
    """Empty, as a site is at first, and with one ranker version."""
    for _ in range(n_versions):
        factories.RankerVersionFactory(status="live")
    names = ("index", "catalog_quality", "recommendations_dealers", "recommendations_rankerversion_comparison",
             "recommendations_tastemap_map", "task_queues", "recommendations_eventkind_weights")  # fmt: skip
    for name in names:
        page = client.get(reverse(f"admin:{name}"))
        assert page.status_code == 200, name
        assert refused_links(client, person, page.text) == [], name


@pytest.mark.parametrize("person", [VIEWER], indirect=True)
@pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=LABELS)
def test_a_viewer_changes_nothing(client: Client, person: User, model: Any):
    row = ROW_OF[model]()
    n_entries = AuditEntry.objects.count()
    assert client.post(url(model, "change", row.pk), {}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()
    assert AuditEntry.objects.count() == n_entries


@pytest.mark.parametrize("person", [VIEWER], indirect=True)
@pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=LABELS)
def test_a_viewer_is_offered_no_action_on_selected_rows_that_changes_them(client: Client, person: User, model: Any):
    page = client.get(url(model, "changelist"))
    if page.status_code == 200:
        offered = {name for name, _ in admin.site._registry[model].get_action_choices(page.wsgi_request) if name}
        assert offered <= {"export_selected"}


# --- Buttons ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("model", "location", "name"), BUTTONS, ids=lambda part: getattr(part, "__name__", part))
def test_every_button_says_who_may_press_it(model: Any, location: str, name: str):
    assert getattr(getattr(admin.site._registry[model], name), "allowed_permissions", None), name


@pytest.mark.parametrize("person", [VIEWER], indirect=True)
@pytest.mark.parametrize(("model", "location", "name"), BUTTONS, ids=lambda part: getattr(part, "__name__", part))
def test_a_viewer_presses_no_button_that_changes_something(
    client: Client, person: User, model: Any, location: str, name: str
):
    if location == "actions_submit_line":
        return
    row = ROW_OF[model]()
    n_entries = AuditEntry.objects.count()
    try:
        address = url(model, name) if location == "actions_list" else url(model, name, row.pk)
    except NoReverseMatch:  # pragma: no cover
        pytest.fail(f"{name} of {model.__name__} has no address")
    is_looking = name.startswith(ONLY_LOOKING)
    answer = client.post(address, {"_form_submitted": "on"})
    assert answer.status_code in ((200, 302, 404) if is_looking else (403,))
    assert AuditEntry.objects.count() == n_entries


NOTED = {"export": {"accounts_auditentry"}}  # taking a person's data away is a look that is written down
WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')


def test_no_button_changes_anything_by_a_mere_link(client: Client):
    """A page of another site can have a browser follow a link, with the session of the one who uses it."""
    client.force_login(factories.UserFactory(operator=True))
    for model, location, name in BUTTONS:
        if location == "actions_submit_line":
            continue
        row = ROW_OF[model]()
        address = url(model, name) if location == "actions_list" else url(model, name, row.pk)
        with CaptureQueriesContext(connection) as asked:
            client.get(address)
        written = {found[1] for query in asked.captured_queries if (found := WRITES.match(query["sql"]))}
        assert written - {"django_session"} <= NOTED.get(name, set()), (model, name)
