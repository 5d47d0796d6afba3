"""Admin pages of event kinds, the event log, impressions, served lists and saved searches."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import action, display

from accounts.admin.finding import OF_A_BUYER, FindsBuyers
from catalog.admin import count_of
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.units import money
from console.formats import NONE, badge, clock, link_to, list_link, table
from console.pages import ConsoleAdmin, ReadOnlyAdmin
from recommendations.admin.dealers import DealersPage, dealers_csv
from recommendations.admin.filter_fields import as_typed, read_filters, rows_of, with_filter_fields
from recommendations.admin.pages import in_words
from recommendations.admin.weights import KindWeightsPage
from recommendations.engine.reasons import operator_breakdown
from recommendations.insight.past_lists import Explained, explained
from recommendations.models import (
    AlertMessage,
    AlertSettings,
    BuyerSeller,
    CarAlert,
    EventKind,
    Impression,
    Interaction,
    MerchandisingRule,
    SavedSearch,
    ServedList,
    ShownAgain,
    WaitingEvent,
)


@admin.register(EventKind)
class EventKindAdmin(ConsoleAdmin):
    """What each kind of event says about taste. Every preference is recomputed after a change, buyer by buyer."""

    list_display = ["name", "slug", "weight", "half_life_days", "is_contact", "is_dismissal"]
    list_editable = ["weight", "half_life_days", "is_contact", "is_dismissal"]
    ordering = ["-weight"]
    search_fields = ["name__begins_word", "slug__begins_word"]
    search_help_text = "Words of the name, in any order"
    fieldsets = [
        (
            None,
            {
                "description": "A change of weight or half-life makes every preference stale: lists follow as buyers "
                "return, the rest within minutes.",
                "fields": [("name", "slug"), ("weight", "half_life_days"), ("is_contact", "is_dismissal")],
            },
        )
    ]

    actions_list = ["open_weights"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(KindWeightsPage.as_view(model_admin=self))
        return [path("weights/", view, name="recommendations_eventkind_weights"), *super().get_urls()]

    @action(description="Try weights", url_path="open-weights", icon="balance", permissions=["view"])
    def open_weights(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:recommendations_eventkind_weights")

    def has_delete_permission(self, request: HttpRequest, obj: EventKind | None = None) -> bool:
        """False for kinds that our own routes record; a weight of 0 disables one."""
        is_needed = obj is not None and obj.slug in EventKind.RECORDED_BY_US
        return super().has_delete_permission(request, obj) and not is_needed

    def get_readonly_fields(self, request: HttpRequest, obj: EventKind | None = None) -> list[str]:
        """The slug is read-only once stored: clients send it and events refer to it."""
        return ["slug"] if obj else []


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    empty_help = "What buyers do in the shop stands here, and what a client sends to the API."
    list_display = ["occurred", "kind_badge", "buyer_link", "what", "position", "received"]
    list_filter = [
        ("kind", RelatedDropdownFilter), ("buyer", AutocompleteSelectFilter), ("listing", AutocompleteSelectFilter),
        ("occurred_at", RangeDateTimeFilter), ("received_at", RangeDateTimeFilter),
        ("kind__is_contact", BooleanRadioFilter), ("attribution", ChoicesDropdownFilter),
    ]  # fmt: skip
    list_select_related = ["kind", "buyer__user", "listing__make", "listing__car_model__make"]
    search_fields = ["event_id__exact"]
    search_help_text = "Event id"
    fieldsets = [
        (None, {"fields": [("kind_badge", "buyer_link"), "what", ("dwell_seconds", "worth"), "query", "event_id"]}),
        ("When", {"fields": [("occurred_at", "received_at")]}),
        ("Where it came from", {"fields": [("list_link", "position"), "attribution"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Interaction]:
        rows: QuerySet[Interaction] = super().get_queryset(request)
        return rows.defer("listing__search_text", "listing__description")

    @display(description="Happened", ordering="occurred_at")
    def occurred(self, event: Interaction) -> str:
        return clock(event.occurred_at)

    @display(description="Arrived", ordering="received_at")
    def received(self, event: Interaction) -> str:
        return clock(event.received_at)

    @display(description="Kind")
    def kind_badge(self, event: Interaction) -> SafeString:
        kind = event.kind
        return badge(kind.name, "success" if kind.is_contact else "danger" if kind.weight < 0 else "info")

    @display(description="Buyer")
    def buyer_link(self, event: Interaction) -> str | SafeString:
        return link_to(event.buyer)

    @display(description="What")
    def what(self, event: Interaction) -> str | SafeString:
        if event.listing_id:
            return link_to(event.listing)
        return in_words(event.query) if event.query else "a listing that was removed"

    @display(description="Value")
    def worth(self, event: Interaction) -> str:
        return money(event.value)

    @display(description="List")
    def list_link(self, event: Interaction) -> str | SafeString:
        """A link to the served list, whose row may be not yet written or already deleted by age."""
        return link_to(ServedList.objects.filter(pk=event.served_list_id).first()) if event.served_list_id else NONE


@admin.register(ServedList)
class ServedListAdmin(ReadOnlyAdmin):
    empty_help = "Each list that the shop or the API served stands here, with why each car was in it."
    list_display = ["served", "buyer_link", "placement", "version", "variant", "length", "source_shares", "events"]
    list_filter = [
        ("served_at", RangeDateTimeFilter), ("placement", RelatedDropdownFilter), ("buyer", AutocompleteSelectFilter),
    ]  # fmt: skip
    list_select_related = ["buyer__user", "placement", "version"]
    ordering = ["-served_at"]
    search_fields = ["id__exact"]
    search_help_text = "List id"
    fieldsets = [
        (None, {"fields": [("served_at", "buyer_link"), ("placement", "version", "variant"), "asked", "id"]}),
        ("As a page", {"fields": [("kind", "goes_on_from", "starts_after")]}),
        ("What was shown", {"fields": ["cars", "held_out"]}),
    ]

    pages_beside = frozenset(["recommendations_dealers"])

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site.admin_view
        return [
            path("dealers/", site(DealersPage.as_view(model_admin=self)), name="recommendations_dealers"),
            path("dealers.csv", site(dealers_csv), name="recommendations_dealers_csv"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServedList]:
        rows: QuerySet[ServedList] = super().get_queryset(request)
        return rows.annotate(n_events=count_of(Interaction, "served_list"))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search by whole id; other text finds nothing instead of causing a database error."""
        try:
            found: tuple[Any, bool] = super().get_search_results(request, queryset, search_term)
            return found
        except ValueError:
            return queryset.none(), False

    @display(description="Served", ordering="served_at")
    def served(self, served: ServedList) -> str:
        return clock(served.served_at)

    @display(description="Buyer")
    def buyer_link(self, served: ServedList) -> str | SafeString:
        return link_to(served.buyer) if served.buyer_id else "a new visitor"

    @display(description="Cars")
    def length(self, served: ServedList) -> int:
        return len(served.listing_ids)

    @display(description="Sources", label=True)
    def source_shares(self, served: ServedList) -> list[str]:
        return [f"{source} {served.sources.count(source)}" for source in sorted(set(served.sources))]

    @display(description="Events", ordering="n_events")
    def events(self, served: Any) -> SafeString:
        return list_link(Interaction, str(served.n_events), served_list__id__exact=served.pk)

    @display(description="Filters asked for")
    def asked(self, served: ServedList) -> str:
        return in_words(served.filters) if served.filters else "none"

    @display(description="In the order shown")
    def cars(self, served: ServedList) -> str | SafeString:
        """Each car as it was shown and why, as it is now, and what the buyer did with it."""
        listings = Listing.objects.with_card_data().in_bulk(served.listing_ids)
        done = events_by_listing(served)
        rows = [car_row(one, listings.get(one.listing_id), done.get(one.listing_id, [])) for one in explained(served)]
        return table(["", "Car", "Price now", "Status now", "Source", "Score", "Why", "Then"], rows)

    @display(description="Merchandising rules not applied")
    def held_out(self, served: ServedList) -> str:
        keys = [int(key) for key in served.merchandising.get("held_out", {})]
        names = MerchandisingRule.objects.filter(pk__in=keys).values_list("name", flat=True)
        return f"{', '.join(names)}: this buyer is in the holdout" if names else NONE


def events_by_listing(served: ServedList) -> dict[int | None, list[str]]:
    done: dict[int | None, list[str]] = {}
    seen = Impression.objects.filter(served_list_id=served.pk)
    for positions, listing_ids in seen.values_list("positions", "listing_ids"):
        at = [served.listing_ids[position - 1] for position in positions if position <= len(served.listing_ids)]
        done |= {listing_id: ["Seen"] for listing_id in (*at, *listing_ids)}
    for event in Interaction.objects.filter(served_list_id=served.pk).select_related("kind").order_by("occurred_at"):
        done.setdefault(event.listing_id, []).append(event.kind.name)
    return done


def car_row(one: Explained, listing: Listing | None, done: list[str]) -> list[Any]:
    then, why = ", ".join(done) or NONE, why_there(one)
    if listing is None:
        return [one.position, "removed", NONE, NONE, one.source, f"{one.score:.3f}", why, then]
    return [
        one.position, link_to(listing), money(listing.price, listing.currency), listing.get_status_display(),
        one.source, f"{one.score:.3f}", why, then,
    ]  # fmt: skip


def why_there(one: Explained) -> str | SafeString:
    """The rules that placed a car, and its score terms in a collapsed line."""
    chosen = [f"chosen by the variant “{one.chosen_by}”"] if one.chosen_by else []
    said = "; ".join([*chosen, *one.rules, *(["labelled as promoted"] if one.is_promoted else [])])
    if not one.terms:
        return said or NONE
    lines = operator_breakdown(one.terms, sum(one.terms.values()))
    note = "" if one.is_exact else "The car's facts or the market's have changed since, so they do not add up exactly."
    return format_html(
        '{}<details class="fc-more"><summary>{} terms</summary>{}'
        '<table class="fc-terms"><tbody>{}</tbody></table></details>',
        said,
        len(lines),
        format_html('<p class="fc-muted">{}</p>', note) if note else "",
        format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", [(name, f"{value:+.4f}") for name, value in lines]),
    )


SEARCH = "search"  # begins the names of the fields of a saved search


@with_filter_fields(SEARCH)
class SavedSearchForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    """A search in the words of a search."""

    class Meta:
        model = SavedSearch
        fields = ["name", "buyer", "is_alerting"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance")
        kwargs["initial"] = {**as_typed(instance.query if instance else {}, SEARCH), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """What a client sent beside the filters, such as an order, stays."""
        cleaned = super().clean() or self.cleaned_data
        known, before = ListingFilters.names(), self.instance.query
        self.instance.query = {
            **{name: value for name, value in before.items() if name not in known}, **read_filters(self, SEARCH),
        }  # fmt: skip
        return cleaned


@admin.register(SavedSearch)
class SavedSearchAdmin(FindsBuyers, ConsoleAdmin):
    empty_help = "Buyers save searches in the shop or through the API, and may be sent the new cars that fit."
    list_display = ["name", "buyer_link", "asked", "is_alerting", "created_at"]
    list_filter = [("is_alerting", BooleanRadioFilter), ("created_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user"]
    search_fields = ["name__begins_word"]
    search_help_text = f"Words of the search's name. {OF_A_BUYER}"
    autocomplete_fields = ["buyer"]
    readonly_fields = ["created_at"]
    form = SavedSearchForm
    fieldsets = [
        (None, {"fields": [("name", "buyer"), "is_alerting", "created_at"]}),
        ("What it asks for", {"fields": rows_of(SEARCH)}),
    ]
    shown_to_viewers = {"What it asks for": ["asked"]}

    @display(description="Buyer")
    def buyer_link(self, search: SavedSearch) -> str | SafeString:
        return link_to(search.buyer)

    @display(description="Asks for")
    def asked(self, search: SavedSearch) -> str:
        return in_words(search.query) or "everything"


@admin.register(AlertSettings)
class AlertSettingsAdmin(FindsBuyers, ConsoleAdmin):
    empty_help = "How often buyers want to hear of new cars; those who set nothing have the usual settings."
    list_display = ["buyer", "is_enabled", "frequency", "per_day", "time_zone"]
    list_filter = [("is_enabled", BooleanRadioFilter), ("frequency", ChoicesDropdownFilter)]
    list_select_related = ["buyer__user"]
    autocomplete_fields = ["buyer"]


@admin.register(CarAlert)
class CarAlertAdmin(FindsBuyers, ReadOnlyAdmin):
    """Which car waits for whom, was sent, or was passed over."""

    empty_help = "Cars that a saved search found for its buyer wait here until they are sent."
    list_display = ["buyer", "listing", "reason", "status", "search", "found_at"]
    list_filter = [("status", ChoicesDropdownFilter), ("found_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user", "listing__make", "listing__car_model__make", "search"]
    fields = ["buyer", "search", "listing", "reason", "status", "shown_price", "rank", "message", "found_at"]

    @display(description="Price")
    def shown_price(self, alert: CarAlert) -> str:
        return money(alert.price)


@admin.register(AlertMessage)
class AlertMessageAdmin(FindsBuyers, ReadOnlyAdmin):
    empty_help = "Messages to buyers whose saved searches found new cars stand here."
    list_display = ["buyer", "n_cars", "created_at", "webhook_id", "mail", "mail_error"]
    list_filter = [("mail", ChoicesDropdownFilter), ("created_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user"]
    ordering = ["-created_at"]


@admin.register(BuyerSeller)
class BuyerSellerAdmin(FindsBuyers, ConsoleAdmin):
    list_display = ["buyer", "relation", "seller_external_id", "created_at"]
    list_filter = ["relation", ("created_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user"]
    search_fields = ["seller_external_id__istartswith"]
    search_help_text = f"The seller's id, from its beginning. {OF_A_BUYER}"
    autocomplete_fields = ["buyer"]
    readonly_fields = ["created_at"]


@admin.register(WaitingEvent)
class WaitingEventAdmin(ReadOnlyAdmin):
    """Events that came before their listing; they are in the log once it has come."""

    list_display = ["received_at", "kind", "buyer", "source", "external_id"]
    list_filter = ["kind", ("received_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user", "kind"]
    search_fields = ["external_id__istartswith", "event_id__startswith"]
    search_help_text = "Listing's or event's id, from its beginning"


@admin.register(Impression)
class ImpressionAdmin(ReadOnlyAdmin):
    """What was seen of lists: no evidence of a preference, but which cars beside a choice were turned down."""

    list_display = ["received_at", "buyer", "served_list_id", "seen", "occurred_at"]
    list_filter = [("buyer", AutocompleteSelectFilter), ("received_at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user"]
    search_fields = ["event_id__exact", "served_list_id__exact"]
    search_help_text = "Event id or list id"

    @display(description="Seen")
    def seen(self, impression: Impression) -> str:
        positions = ", ".join(str(position) for position in impression.positions)
        return f"positions {positions}" if positions else f"{len(impression.listing_ids)} cars"


@admin.register(ShownAgain)
class ShownAgainAdmin(ConsoleAdmin):
    list_display = ["buyer", "listing", "at"]
    list_filter = [("at", RangeDateTimeFilter)]
    list_select_related = ["buyer__user", "listing__make", "listing__car_model__make"]
    autocomplete_fields = ["buyer", "listing"]
    readonly_fields = ["at"]
