"""An operator makes an endpoint, tries it, renews its secret, and replays what was given up."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from tests.factories import user_of_role
from tests.webhooks.receivers import endpoint_at
from web.seals import unseal
from webhooks.models import Delivery, Endpoint
from webhooks.publishing import publish_test
from webhooks.signing import new_secret

pytestmark = pytest.mark.django_db


def page(name, *args):
    return reverse(f"admin:webhooks_{name}", args=args)


def add(client, **changed):
    given = {"name": "Shop", "url": "https://example.com/hook", "events": ["listing.sold"], "is_enabled": "on"}
    return client.post(page("endpoint_add"), given | {"secret": ""} | changed, follow=True)


def test_a_new_endpoint_gets_a_secret_that_is_shown_once(operator):
    shown = add(operator).content.decode()
    endpoint = Endpoint.objects.get()
    secret = unseal(endpoint.sealed_secret)
    assert secret.startswith("whsec_")
    assert secret in shown
    assert secret not in operator.get(page("endpoint_change", endpoint.pk)).content.decode()
    assert not AuditEntry.objects.filter(after__icontains="whsec").exists()


def test_a_secret_can_be_brought_along_and_is_kept_when_other_things_change(operator):
    secret = new_secret()
    add(operator, secret=secret)
    endpoint = Endpoint.objects.get()
    assert unseal(endpoint.sealed_secret) == secret
    given = {"name": "Other", "url": "https://example.com/2", "events": ["price.dropped", "listing.sold"], "secret": ""}
    operator.post(page("endpoint_change", endpoint.pk), given)
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.is_enabled, unseal(endpoint.sealed_secret)) == ("Other", False, secret)


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "http://example.com/hook"},
        {"url": "https://user:password@example.com/hook"},
        {"url": "example"},
        {"events": []},
        {"events": ["anything"]},
        {"secret": "short"},
        {"name": ""},
    ],
)
def test_what_cannot_be_an_endpoint_is_refused(operator, changed):
    assert add(operator, **changed).status_code == 200
    assert not Endpoint.objects.exists()


def test_a_test_event_and_a_new_secret_are_a_button_each(operator):
    endpoint = endpoint_at("https://example.com/hook")
    before = unseal(endpoint.sealed_secret)
    operator.post(page("endpoint_send_test", endpoint.pk), {"_form_submitted": "on"})
    assert Delivery.objects.get().message.kind == "webhook.test"
    operator.post(page("endpoint_renew_secret", endpoint.pk), {"_form_submitted": "on"})
    endpoint.refresh_from_db()
    assert unseal(endpoint.sealed_former_secret) == before != unseal(endpoint.sealed_secret)


@pytest.mark.parametrize(("role", "is_replayed"), [("Operator", True), ("Viewer", False)])
def test_dead_letters_are_shown_and_replayed_by_operators(client, role, is_replayed):
    client.force_login(user_of_role(role))
    publish_test(endpoint_at("https://example.com/hook"))
    Delivery.objects.update(status="dead", attempts=10, last_error="It answered 500.")
    shown = client.get(page("delivery_changelist"), {"status__exact": "dead"}).content.decode()
    assert "It answered 500." in shown
    given = {"action": "replay_selected", "_selected_action": [Delivery.objects.get().pk]}
    client.post(page("delivery_changelist"), given)
    assert (Delivery.objects.get().status == "waiting") is is_replayed
