"""Admin pages of buyers: events, preference in words, and whether the preference is up to date with the log."""

from typing import Any

import numpy as np
from django.contrib import admin, messages
from django.db.models import BigIntegerField, F, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    RelatedDropdownFilter,
)
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from accounts.admin import BuyerAdmin
from accounts.admin.finding import FindsBuyers
from accounts.admin.users import staff_of
from accounts.models import Buyer
from catalog.admin import count_of
from console.formats import NONE, ago, badge, link_to, list_link, table
from console.pages import ReadOnlyAdmin, dialog, go_to
from recommendations.admin.buyer_lab import BuyerLab
from recommendations.admin.pages import in_words
from recommendations.buyers.profiles import profile_of
from recommendations.buyers.questionnaire import answers_in
from recommendations.buyers.refresh import refresh_preferences
from recommendations.events.bots import decide_on_bot
from recommendations.exceptions import RankerRefused
from recommendations.models import BotMark, Interaction, Preference, RankerVersion, SimulatedTaste

FRESHNESS_LABELS = {"Fresh": "success", "Behind": "warning", "Cold": ""}
EVENTS_ON_PAGE = 15
LISTS_ON_PAGE = 5
DIMENSIONS_SHOWN = 8
MARKING = dialog(
    "Mark this buyer as a bot",
    "The events stay in the log, and are left out of learning, demand, evaluations and experiments.",
    "Mark as bot",
)
UNMARKING = dialog(
    "This buyer is a person", "The events count again, and the detector will not mark this buyer any more.", "Unmark"
)


def newest(related: type[Model], field: str) -> Subquery:
    """One field of each buyer's newest row, found by the index on (buyer, id)."""
    rows = related._default_manager.filter(buyer=OuterRef("pk")).order_by("-id")
    return Subquery(rows.values(field)[:1])


def live_preference(field: str) -> Subquery:
    """One field of each buyer's preference in the live space."""
    rows = Preference.objects.filter(buyer=OuterRef("pk"), version__status=RankerVersion.Status.LIVE)
    return Subquery(rows.values(field)[:1])


class BotFilter(admin.SimpleListFilter):
    title = "bot"
    parameter_name = "bot"
    conditions = {
        "bots": Q(bot_mark__is_bot=True),
        "unmarked": Q(bot_mark__is_bot=False),
        **{reason.value: Q(bot_mark__is_bot=True, bot_mark__reason=reason) for reason in BotMark.Reason},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        reasons = [(reason.value, f"Bots: {reason.label}") for reason in BotMark.Reason]
        return [("bots", "Bots: all"), *reasons, ("unmarked", "Unmarked by an operator")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Buyer]) -> QuerySet[Buyer]:
        condition = self.conditions.get(self.value() or "")
        return queryset.filter(condition) if condition else queryset


admin.site.unregister(Buyer)


@admin.register(Buyer)
class BuyerWithTasteAdmin(BuyerAdmin):
    list_display = [
        "identity", "kind", "events", "last_event", "taste_badge", "bot", "lab", "is_personalised", "created_at",
    ]  # fmt: skip
    list_filter = [*BuyerAdmin.list_filter, BotFilter]
    list_select_related = [*BuyerAdmin.list_select_related, "bot_mark__decided_by"]
    actions = ["mark_as_bots", "unmark_as_bots"]
    readonly_fields = [
        *BuyerAdmin.readonly_fields, "taste_badge", "taste_in_words", "events", "latest_events", "latest_lists",
        "bot_or_person",
    ]  # fmt: skip
    fieldsets = [
        ("Bot or person", {"fields": ["bot_or_person"]}),
        ("Taste", {"fields": ["taste_badge", "taste_in_words"]}),
        ("History", {"fields": ["events", "latest_events", "latest_lists"]}),
        *BuyerAdmin.fieldsets,
    ]
    actions_detail = [
        "open_lab",
        "open_map",
        "refresh_taste",
        "mark_as_bot",
        "unmark_as_bot",
        *BuyerAdmin.actions_detail,
    ]

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        """Offer either "mark as bot" or "unmark", whichever changes something."""
        is_marked = BotMark.objects.filter(buyer_id=object_id, is_bot=True).exists()
        useless = "mark_as_bot" if is_marked else "unmark_as_bot"
        shown = super().get_actions_detail(request, object_id)
        return [action for action in shown if not action.action_name.endswith(f"_{useless}")]

    @display(description="Questionnaire")
    def answers(self, buyer: Buyer) -> str:
        """The answers to the questionnaire, in words."""
        given = answers_in(buyer.questionnaire)
        use = [f"use: {given['use']}".replace("_", " ")] if given.get("use") else []
        rest = in_words({name: value for name, value in given.items() if name != "use"})
        return " · ".join([*use, *([rest] if rest else [])]) or "Not answered yet."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Buyer]:
        rows: QuerySet[Buyer] = super().get_queryset(request)
        return rows.annotate(
            n_events=count_of(Interaction, "buyer"),
            last_event_id=Coalesce(newest(Interaction, "id"), 0, output_field=BigIntegerField()),
            last_event_at=newest(Interaction, "occurred_at"),
            seen_events=live_preference("n_interactions"),
            seen_event_id=live_preference("last_interaction_id"),
            computed_at=live_preference("computed_at"),
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(BuyerLab.as_view(model_admin=self))
        return [path("<int:buyer_id>/lab/", view, name="accounts_buyer_lab"), *super().get_urls()]

    @action(description="Open the lab", url_path="open-lab", icon="science", permissions=["view"])
    def open_lab(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:accounts_buyer_lab", object_id)

    @action(description="On the taste map", url_path="open-map", icon="scatter_plot", permissions=["view"])
    def open_map(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(reverse("admin:recommendations_tastemap_map", query={"buyer": object_id}))

    @display(description="Lab")
    def lab(self, buyer: Buyer) -> SafeString:
        url = reverse("admin:accounts_buyer_lab", args=[buyer.pk])
        return format_html('<a href="{}" class="text-link">Open</a>', url)

    @display(description="Events")
    def events(self, buyer: Any) -> SafeString:
        return list_link(Interaction, f"{buyer.n_events:,}", buyer__id__exact=buyer.pk)

    @display(description="Last event")
    def last_event(self, buyer: Any) -> str:
        return ago(buyer.last_event_at)

    @display(description="Taste")
    def taste_badge(self, buyer: Any) -> SafeString:
        """Cold: no event is known. Behind: the log has newer events; the next read recomputes the preference."""
        freshness = freshness_of(buyer)
        return badge(freshness, FRESHNESS_LABELS[freshness])

    @display(description="In words")
    def taste_in_words(self, buyer: Buyer) -> str | SafeString:
        preference = (
            buyer.preferences.filter(version__status=RankerVersion.Status.LIVE).select_related("version").first()
        )
        if preference is None:
            return "Nothing yet: this buyer gets the list of a new visitor, until the first event or the questionnaire."
        return in_sentences(preference)

    @display(description="Latest events")
    def latest_events(self, buyer: Buyer) -> str | SafeString:
        events = buyer.interactions.select_related("kind", "listing__make", "listing__car_model__make")
        rows = [
            [
                ago(event.occurred_at),
                event.kind,
                link_to(event.listing) if event.listing else in_words(event.query or {}),
            ]
            for event in events.defer("listing__search_text", "listing__description")[:EVENTS_ON_PAGE]
        ]
        return table(["When", "What", "Car or search"], rows)

    @display(description="Latest lists")
    def latest_lists(self, buyer: Buyer) -> str | SafeString:
        lists = buyer.served_lists.select_related("placement", "version")[:LISTS_ON_PAGE]
        rows = [
            [ago(served.served_at), served.placement or NONE, served.version or NONE, link_to(served, "Open")]
            for served in lists
        ]
        return table(["When", "Where", "Version", ""], rows)

    @display(description="Bot")
    def bot(self, buyer: Buyer) -> str | SafeString:
        mark = mark_of(buyer)
        return badge("Bot", "danger") if mark and mark.is_bot else NONE

    @display(description="Bot or person")
    def bot_or_person(self, buyer: Buyer) -> str:
        """The decision about this buyer: bot or person, with reason, time and user."""
        mark = mark_of(buyer)
        if mark is None:
            return "A person, as far as is known: nothing that the detector looks for was seen."
        verdict = (
            "A bot: the events are in the log, and left out of learning, demand and figures."
            if mark.is_bot
            else ("A person, by the decision of an operator; the detector leaves it at that.")
        )
        by = (mark.decided_by or "an operator whose account is gone") if mark.is_by_operator else "the detector"
        detail = f" ({mark.detail})" if mark.detail else ""
        return f"{verdict} {mark.get_reason_display()}{detail}. Decided {ago(mark.decided_at)} by {by}."

    @admin.action(description="Mark as bots", permissions=["change"])
    def mark_as_bots(self, request: HttpRequest, queryset: QuerySet[Buyer]) -> None:
        self.decide_on(request, queryset, is_bot=True)

    @admin.action(description="Unmark as bots", permissions=["change"])
    def unmark_as_bots(self, request: HttpRequest, queryset: QuerySet[Buyer]) -> None:
        self.decide_on(request, queryset, is_bot=False)

    @action(description="Mark as bot", url_path="mark-as-bot", icon="smart_toy", permissions=["change"], dialog=MARKING)
    def mark_as_bot(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self.decide_on(request, Buyer.objects.filter(pk=object_id), is_bot=True)
        return go_to(reverse("admin:accounts_buyer_change", args=[object_id]))

    @action(
        description="Unmark as bot", url_path="unmark-as-bot", icon="person", permissions=["change"], dialog=UNMARKING
    )
    def unmark_as_bot(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        self.decide_on(request, Buyer.objects.filter(pk=object_id), is_bot=False)
        return go_to(reverse("admin:accounts_buyer_change", args=[object_id]))

    def decide_on(self, request: HttpRequest, buyers: QuerySet[Buyer], *, is_bot: bool) -> None:
        """Store an operator's decision for each buyer; the bot detector does not change it."""
        n = len([decide_on_bot(buyer=buyer, is_bot=is_bot, by=staff_of(request)) for buyer in buyers])
        what = "bots: their events are left out" if is_bot else "people: their events count again"
        messages.success(request, f"{n:,} are {what}, in demand within ten minutes, and from the next training on.")

    @action(
        description="Refresh taste",
        url_path="refresh-taste",
        icon="refresh",
        permissions=["change"],
        dialog=dialog(
            "Learn this buyer's taste from the log now",
            "Workers do this by themselves after each event; nothing is lost by doing it again.",
            "Refresh",
        ),
    )
    def refresh_taste(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        preference = refresh_preferences(buyer_id=int(object_id))
        if preference is None:
            messages.warning(request, "There is nothing to learn from yet: no event and no answers, or no live ranker.")
        else:
            messages.success(request, f"The taste rests on {preference.n_interactions:,} events now.")
        return go_to(reverse("admin:accounts_buyer_change", args=[object_id]))


def mark_of(buyer: Buyer) -> BotMark | None:
    return getattr(buyer, "bot_mark", None)  # the relation raises an AttributeError where there is no row


def freshness_of(buyer: Any) -> str:
    if buyer.seen_events is None:
        return "Behind" if buyer.n_events or buyer.questionnaire else "Cold"
    is_fresh = buyer.seen_events == buyer.n_events and buyer.seen_event_id == buyer.last_event_id
    return "Fresh" if is_fresh else "Behind"


def in_sentences(preference: Preference) -> str | SafeString:
    """The preference as sentences, one for each field, with its certainty."""
    try:
        profile = profile_of(preference)
    except (RankerRefused, ValueError) as refusal:
        return f"Not readable: {refusal}."
    rows = [[wish.field.capitalize(), wish.wanted or NONE, wish.unwanted or NONE] for wish in profile.wishes]
    certainty = (
        f"{profile.certainty:.0%} of what sets buyers apart is known, from {preference.n_interactions:,} events."
    )
    return format_html("<p>{}</p>{}", certainty, table(["", "Wants", "Rather not"], rows))


class BehindFilter(admin.SimpleListFilter):
    title = "behind the log"
    parameter_name = "behind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Has not seen every event")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Preference]) -> QuerySet[Preference]:
        return queryset.filter(last_interaction_id__lt=F("newest_event_id")) if self.value() == "yes" else queryset


@admin.register(Preference)
class PreferenceAdmin(FindsBuyers, ReadOnlyAdmin):
    list_display = ["buyer_link", "version", "seen", "state", "computed"]
    list_display_links = ["version"]  # the first column leads to the buyer
    list_filter = [
        ("version", RelatedDropdownFilter), ("buyer", AutocompleteSelectFilter), BehindFilter,
        ("computed_at", RangeDateTimeFilter),
    ]  # fmt: skip
    list_select_related = ["buyer__user", "version"]
    fieldsets = [
        (None, {"fields": [("buyer_link", "version"), ("state", "seen", "last_interaction_id"), "computed_at"]}),
        ("Taste", {"fields": ["in_words"]}),
        ("Vector", {"fields": ["vector", "basis"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preference]:
        """Defer the covariance, 33 kB a row, which only the page of one preference reads."""
        newest_event = Interaction.objects.filter(buyer=OuterRef("buyer")).order_by("-id").values("id")[:1]
        preferences: QuerySet[Preference] = super().get_queryset(request).defer("covariance", "mean")
        return preferences.annotate(newest_event_id=Coalesce(Subquery(newest_event), 0, output_field=BigIntegerField()))

    @display(description="Buyer")
    def buyer_link(self, preference: Preference) -> str | SafeString:
        return link_to(preference.buyer)

    @display(description="State")
    def state(self, preference: Any) -> SafeString:
        is_behind = preference.last_interaction_id < preference.newest_event_id
        return badge("Behind", "warning") if is_behind else badge("Fresh", "success")

    @display(description="Events seen", ordering="n_interactions")
    def seen(self, preference: Preference) -> str:
        return f"{preference.n_interactions:,}"

    @display(description="Computed", ordering="computed_at")
    def computed(self, preference: Preference) -> str:
        return ago(preference.computed_at)

    @display(description="In words")
    def in_words(self, preference: Preference) -> str | SafeString:
        return in_sentences(preference)

    @display(description="Preference vector")
    def vector(self, preference: Preference) -> SafeString:
        return vector_summary(preference.mean)


def vector_summary(vector: Any) -> SafeString:
    """The norm of a vector and its first numbers, by which a change can be seen."""
    numbers = np.asarray(vector, np.float64)
    first = "  ".join(f"{number:+.3f}" for number in numbers[:DIMENSIONS_SHOWN])
    return format_html(
        'norm {}, {} dimensions <code class="fc-code">{} …</code>',
        f"{np.linalg.norm(numbers):.3f}",
        len(numbers),
        first,
    )


@admin.register(BotMark)
class BotMarkAdmin(FindsBuyers, ReadOnlyAdmin):
    """Bot marks, read-only; buyers are marked and unmarked on the pages of buyers."""

    list_display = ["buyer_link", "verdict", "reason", "detail", "decided_at", "decided"]
    list_display_links = ["verdict"]  # the first column leads to the buyer
    list_filter = [
        ("is_bot", BooleanRadioFilter), ("reason", ChoicesDropdownFilter), ("is_by_operator", BooleanRadioFilter),
        ("decided_at", RangeDateTimeFilter),
    ]  # fmt: skip
    list_select_related = ["buyer__user", "decided_by"]
    fields = ["buyer_link", "verdict", "reason", "detail", "decided_at", "decided"]

    @display(description="Buyer")
    def buyer_link(self, mark: BotMark) -> str | SafeString:
        return link_to(mark.buyer)

    @display(description="Verdict", ordering="is_bot")
    def verdict(self, mark: BotMark) -> SafeString:
        return badge("Bot", "danger") if mark.is_bot else badge("Person", "success")

    @display(description="By")
    def decided(self, mark: BotMark) -> str:
        return str(mark.decided_by or "an operator whose account is gone") if mark.is_by_operator else "the detector"


@admin.register(SimulatedTaste)
class SimulatedTasteAdmin(ReadOnlyAdmin):
    """True utilities of simulated buyers. The recommender never reads them."""

    list_display = ["__str__", "buyer_link"]
    list_select_related = ["buyer__user"]
    ordering = ["-buyer_id"]
    fields = ["buyer_link", "parameters"]

    @display(description="Buyer")
    def buyer_link(self, taste: SimulatedTaste) -> str | SafeString:
        return link_to(taste.buyer)
