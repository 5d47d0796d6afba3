"""Roles: who may look, who may run the shop, who may look after people."""

from html import unescape

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from accounts.roles import ADMINISTRATOR, OPERATOR, ROLES, VIEWER, install_roles
from tests.factories import UserFactory, user_of_role

pytestmark = pytest.mark.django_db

MAY = {  # permission -> the roles that have it
    "catalog.view_listing": {VIEWER, OPERATOR, ADMINISTRATOR},
    "accounts.view_auditentry": {VIEWER, OPERATOR, ADMINISTRATOR},
    "accounts.view_user": {VIEWER, OPERATOR, ADMINISTRATOR},
    "catalog.change_listing": {OPERATOR, ADMINISTRATOR},
    "recommendations.add_trainingrun": {OPERATOR, ADMINISTRATOR},
    "recommendations.change_rankerversion": {OPERATOR, ADMINISTRATOR},
    "recommendations.change_eventkind": {OPERATOR, ADMINISTRATOR},
    "accounts.delete_buyer": {OPERATOR, ADMINISTRATOR},
    "django_celery_beat.change_periodictask": {OPERATOR, ADMINISTRATOR},
    "accounts.change_user": {ADMINISTRATOR},
    "accounts.view_apikey": {ADMINISTRATOR},
    "accounts.add_apikey": {ADMINISTRATOR},
    "auth.change_group": {ADMINISTRATOR},
    "auth.add_group": set(),
    "accounts.change_auditentry": set(),
    "accounts.delete_auditentry": set(),
    "token_blacklist.view_outstandingtoken": set(),
}


@pytest.mark.parametrize("permission", MAY)
def test_each_permission_is_in_the_right_hands(permission: str):
    app, codename = permission.split(".")
    holders = Group.objects.filter(permissions__content_type__app_label=app, permissions__codename=codename)
    assert set(holders.values_list("name", flat=True)) == MAY[permission]


def test_a_viewer_holds_nothing_but_looking():
    verbs = Permission.objects.filter(group__name=VIEWER).values_list("codename", flat=True)
    assert {codename.partition("_")[0] for codename in verbs} == {"view"}


def test_installing_again_mends_a_role_and_leaves_other_groups_alone():
    Group.objects.get(name=VIEWER).permissions.clear()
    own = Group.objects.create(name="Night shift")
    install_roles()
    assert Group.objects.get(name=VIEWER).permissions.exists()
    assert not own.permissions.exists()


@pytest.fixture
def administrator(client: Client) -> Client:
    client.force_login(user_of_role(ADMINISTRATOR))
    return client


def change(client: Client, user: User, **given):
    page = client.get(reverse("admin:accounts_user_change", args=[user.pk]))
    form = page.context["adminform"].form
    initial = {
        name: value for name, value in form.initial.items() if name in form.fields and value not in (None, False)
    }
    return client.post(reverse("admin:accounts_user_change", args=[user.pk]), {**initial, **given})


def test_an_administrator_hands_out_roles_but_no_single_rights(administrator: Client):
    person, viewer = UserFactory(), Group.objects.get(name=VIEWER)
    change(administrator, person, is_staff="on", groups=[viewer.pk], is_superuser="on")
    person.refresh_from_db()
    assert (person.is_staff, person.is_superuser, list(person.groups.all())) == (True, False, [viewer])


def test_an_administrator_cannot_hand_out_a_group_that_may_hold_any_right(administrator: Client):
    person, own = UserFactory(), Group.objects.create(name="Night shift")
    answer = change(administrator, person, groups=[own.pk])
    assert "Select a valid choice" in answer.text
    assert not person.groups.exists()


@pytest.mark.parametrize("name", ROLES)
def test_not_even_a_superuser_edits_a_role(client: Client, name: str):
    client.force_login(UserFactory(operator=True))
    role = Group.objects.get(name=name)
    assert client.post(reverse("admin:auth_group_change", args=[role.pk]), {"name": "x"}).status_code == 403
    assert client.post(reverse("admin:auth_group_delete", args=[role.pk]), {"post": "yes"}).status_code == 403


def test_the_page_of_a_role_reads_its_rights_at_once(client):
    client.force_login(UserFactory(operator=True))
    role = max(Group.objects.all(), key=lambda group: group.permissions.count())
    assert role.permissions.count() > 100
    with CaptureQueriesContext(connection) as asked:
        page = client.get(reverse("admin:auth_group_change", args=[role.pk]))
    assert page.status_code == 200
    assert str(role.permissions.first()) in unescape(page.text)
    assert len(asked) < 15
