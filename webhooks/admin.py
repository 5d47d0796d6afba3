"""Endpoints, what is on its way to them, and dead letters, which are replayed here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
)

from console.actions import change_each
from console.auditing import record
from console.dashboard.cards import Card
from console.dashboard.registry import show
from console.formats import NONE, ago, badge, clock, link_to, list_link, list_url, span
from console.pages import ConsoleAdmin, ReadOnlyAdmin, dialog, go_to
from web.fetching import FetchRefused, split_address
from webhooks.delivery import give_secret, outbox_state, replay
from webhooks.kinds import Kind
from webhooks.models import Delivery, Endpoint, Message
from webhooks.publishing import publish_test
from webhooks.signing import SecretRefused, key_of

STATUS_LABELS = {"waiting": "info", "delivered": "success", "dead": "danger"}


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    url = forms.URLField(
        label="URL", max_length=500, assume_scheme="https", widget=UnfoldAdminTextInputWidget,
        help_text="Where events are posted to. https, and no redirects: they are not followed.",
    )  # fmt: skip
    events = forms.MultipleChoiceField(
        choices=Kind.choices, widget=UnfoldAdminCheckboxSelectMultipleWidget(), help_text="Nothing else is sent."
    )
    secret = forms.CharField(
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="By which its messages are signed. Leave it empty: a new endpoint gets one, which is shown once, and "
        "another keeps its own. One that you type begins with whsec_.",
    )

    class Meta:
        model = Endpoint
        fields = ("name", "url", "events", "is_enabled")

    def clean_url(self) -> str:
        """Checked as far as it can be without asking another machine."""
        url: str = self.cleaned_data["url"]
        try:
            parts = split_address(url, allow_private=settings.WEBHOOK_PRIVATE_ADDRESSES)
        except FetchRefused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        if parts.username or parts.password:
            raise forms.ValidationError("An address without a user name or password: the signature says who calls.")
        return url

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"].strip()
        try:
            if secret:
                key_of(secret)
        except SecretRefused as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return secret


@admin.register(Endpoint)
class EndpointAdmin(ConsoleAdmin):
    empty_help = "An endpoint is an address of yours that is called when something happens to a car or a list."
    form = EndpointForm
    list_display = ["name", "state", "shown_events", "n_waiting", "n_dead", "url"]
    search_fields = ["name__icontains", "url__icontains"]
    search_help_text = "Words of the name or the address"
    readonly_fields = ["state", "last_deliveries", "created_at"]
    fieldsets = [
        (None, {"fields": [("name", "is_enabled"), "state", "url", "secret", "events"]}),
        ("Its deliveries", {"fields": ["last_deliveries", "created_at"]}),
    ]
    actions_detail = ["send_test", "renew_secret"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        waiting, dead = (Count("deliveries", filter=Q(deliveries__status=each)) for each in ("waiting", "dead"))
        rows: QuerySet[Endpoint] = super().get_queryset(request)
        return rows.annotate(counted_waiting=waiting, counted_dead=dead)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        """A new endpoint has a secret from the start; what is changed is tried again at once."""
        typed = form.cleaned_data["secret"]
        if typed or not change:
            secret = give_secret(obj, typed)
            if not typed:
                show_secret(request, secret)
        obj.failures, obj.paused_until, obj.ended_because = 0, None, "" if obj.is_enabled else obj.ended_because
        super().save_model(request, obj, form, change)

    @action(
        description="Send a test event",
        url_path="test",
        icon="send",
        permissions=["change"],
        dialog=dialog("Send a test event", "It is signed and sent as every other event is.", "Send"),
    )
    def send_test(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        endpoint = get_object_or_404(Endpoint, pk=object_id)
        message = publish_test(endpoint)
        record(by=request.user, action="tested", target=endpoint, note=message.pk)
        messages.success(request, "The event was queued. Its row shows what the endpoint answered.")
        return go_to(list_url(Delivery, message__id__exact=message.pk))

    @action(
        description="New secret",
        url_path="secret",
        icon="key",
        permissions=["change"],
        dialog=dialog("Give it a new secret", "For 24 hours messages are signed by the one before as well.", "Renew"),
    )
    def renew_secret(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        endpoint = get_object_or_404(Endpoint, pk=object_id)
        show_secret(request, give_secret(endpoint))
        endpoint.save(update_fields=["sealed_secret", "sealed_former_secret", "former_until"])
        record(by=request.user, action="renewed", target=endpoint, note="its secret")
        return go_to(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))

    # --- What is shown -----------------------------------------------------------------------------------------------
    @display(description="State")
    def state(self, endpoint: Endpoint) -> SafeString | str:
        if endpoint.pk is None:
            return NONE
        if not endpoint.is_enabled:
            return badge(endpoint.ended_because or "Off", "danger" if endpoint.ended_because else "")
        if endpoint.failures:
            return badge(f"No answer, {endpoint.failures} times in a row", "danger")
        return badge("On", "success")

    @display(description="Events")
    def shown_events(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.events)

    @display(description="Waiting")
    def n_waiting(self, endpoint: Any) -> str:
        return f"{endpoint.counted_waiting:,}"

    @display(description="Dead letters")
    def n_dead(self, endpoint: Any) -> str | SafeString:
        if not endpoint.counted_dead:
            return "0"
        return list_link(Delivery, f"{endpoint.counted_dead:,}", endpoint__id__exact=endpoint.pk, status__exact="dead")

    @display(description="Deliveries")
    def last_deliveries(self, endpoint: Endpoint) -> str | SafeString:
        if endpoint.pk is None:
            return NONE
        return list_link(Delivery, "All of its deliveries", endpoint__id__exact=endpoint.pk)


def show_secret(request: HttpRequest, secret: str) -> None:
    messages.warning(
        request,
        format_html('Copy the secret now, it is shown only this once: <code class="fc-code">{}</code>', secret),
    )


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    empty_help = "Each call of an endpoint stands here, with what it answered."
    list_display = ["kind", "endpoint", "state", "attempts", "last_answer", "next_time", "written"]
    list_filter = [("status", ChoicesDropdownFilter), "endpoint", ("last_attempt_at", RangeDateTimeFilter)]
    list_select_related = ["message", "endpoint"]
    search_fields = ["message__id__startswith"]
    search_help_text = "The id of a message"
    fields = [
        ("kind", "endpoint"), ("state", "attempts"), ("next_time", "last_attempt_at", "delivered_at"),
        ("last_status", "last_error"), "message_link", "body",
    ]  # fmt: skip
    readonly_fields = ["kind", "state", "next_time", "message_link", "body"]
    actions = ["replay_selected"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        allowed = ("message__id__exact", "endpoint__id__exact")
        return lookup in allowed or super().lookup_allowed(lookup, value, request)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """The rows are the system's; who may run endpoints may have them sent again."""
        return bool(request.user.has_perm("webhooks.change_delivery"))

    @admin.action(description="Replay", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        change_each(
            self, request, queryset.select_related("endpoint"), replay, done="queued to be sent again", refusals=()
        )

    @display(description="Event")
    def kind(self, delivery: Delivery) -> str:
        return delivery.message.kind

    @display(description="State")
    def state(self, delivery: Delivery) -> SafeString:
        return badge(delivery.get_status_display(), STATUS_LABELS[delivery.status])

    @display(description="Last answer")
    def last_answer(self, delivery: Delivery) -> str:
        return delivery.last_error or (str(delivery.last_status) if delivery.last_status else NONE)

    @display(description="Next attempt")
    def next_time(self, delivery: Delivery) -> str:
        return clock(delivery.next_attempt_at) if delivery.status == Delivery.Status.WAITING else NONE

    @display(description="Written")
    def written(self, delivery: Delivery) -> str:
        return ago(delivery.message.created_at)

    @display(description="Message")
    def message_link(self, delivery: Delivery) -> str | SafeString:
        return link_to(delivery.message)

    @display(description="Body")
    def body(self, delivery: Delivery) -> SafeString:
        return format_html('<code class="fc-code">{}</code>', delivery.message.body)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ["id", "kind", "created_at"]
    list_filter = [("created_at", RangeDateTimeFilter)]
    search_fields = ["id__startswith"]
    search_help_text = "The id of a message"
    fields = ["id", "kind", "created_at", "about_buyer", "body"]


@show(order=55)
def webhooks(now: datetime) -> Iterator[Card]:
    """On the dashboard where webhooks are used at all."""
    if not Endpoint.objects.exists():
        return
    state = outbox_state(now)
    oldest = timedelta(seconds=state.oldest_seconds)
    yield Card(
        "Webhooks that were given up",
        f"{state.n_dead:,}",
        f"dead letters to look at and replay; {state.n_waiting:,} wait, the oldest for {span(oldest)}",
        list_url(Delivery, status__exact="dead"),
        Delivery,
        is_alert=state.n_dead > 0,
    )
