"""Merchandising rules: a form without JSON, a preview on real buyers before saving, and undo in one click."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from console import auditing
from console.formats import NONE, badge, clock, table
from console.pages import ConsoleAdmin, ReadOnlyAdmin
from recommendations.admin.filter_fields import as_typed, read_filters, rows_of, with_filter_fields
from recommendations.admin.pages import in_words, may_see, preview_shown
from recommendations.admin.rule_effect import RuleEffectPage
from recommendations.admin.weights import BUYERS_ROWS
from recommendations.exceptions import RankerRefused
from recommendations.insight.previews import ListSetup, Preview, drawn_buyers, previews_of
from recommendations.merchandising import changes
from recommendations.merchandising.conflicts import conflicts_of
from recommendations.merchandising.rules import Rule, compiled, read_rules
from recommendations.models import MerchandisingChange, MerchandisingRule, Placement
from recommendations.serving.placements import HOME
from recommendations.serving.rules import Rules

BUYERS_SHOWN = 4
PREVIEW = "_preview"
EDIT = "_edit"
UNDO = "_undo"
CONFLICTS = (
    "Where rules disagree: what is hidden is never shown, pinned or not. Pins take their ranks by priority, and a rank "
    "that is taken sends the next pin one down. Caps count pinned cars, but remove none, and give way to what a "
    "buyer asked for outright. Boosts and buries of one car multiply."
)
TIMES = ("starts_at", "ends_at")
PARTS = {"target": "target", "interest": "interest"}  # column -> prefix of its fields


@with_filter_fields(*PARTS.values())
class MerchandisingRuleForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    class Meta:
        model = MerchandisingRule
        exclude = ["target", "interest"]  # noqa: DJ006 - every other field is an operator's to set
        widgets = {"placements": UnfoldAdminCheckboxSelectMultipleWidget}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        instance = kwargs.get("instance") or MerchandisingRule()
        typed = [as_typed(getattr(instance, column), prefix) for column, prefix in PARTS.items()]
        kwargs["initial"] = {**typed[0], **typed[1], **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for column, prefix in PARTS.items():
            setattr(self.instance, column, read_filters(self, prefix))
        if self.errors:
            return cleaned
        if EDIT in self.data:
            raise forms.ValidationError("Nothing is saved yet: go on, then save.")
        is_about_all = not (self.instance.target or cleaned.get("sellers") or cleaned.get("listings"))
        if is_about_all:
            raise forms.ValidationError("Say which cars: by filters, by sellers or one by one.")
        if cleaned.get("audience") == MerchandisingRule.Audience.INTERESTED and not self.instance.interest:
            raise forms.ValidationError("Say which interest: what cars the buyer dealt with lately.")
        return cleaned

    def rule(self) -> Rule:
        """The rule as it would be, in force at once and for every buyer; only of a form that is valid."""
        cleaned = self.cleaned_data
        seller_ids, listing_ids = ([row.pk for row in cleaned.get(name) or []] for name in ("sellers", "listings"))
        slugs = [placement.slug for placement in cleaned.get("placements") or []]
        rule = compiled(self.instance, seller_ids, listing_ids, slugs)
        return replace(rule, starts_at=None, ends_at=None, hours=None, holdout=0.0)


@admin.register(MerchandisingRule)
class MerchandisingRuleAdmin(ConsoleAdmin):
    empty_help = "A rule pins, boosts, buries, hides or caps cars in the lists of buyers, for as long as you say."
    form = MerchandisingRuleForm
    list_display = ["name", "state", "what", "about", "where", "when", "priority"]
    list_filter = [("action", ChoicesDropdownFilter), "is_active", "is_promoted"]
    search_fields = ["name__begins_word", "note__begins_word"]
    search_help_text = "Words of the name or the note"
    ordering = ["-is_active", "priority", "id"]
    autocomplete_fields = ["sellers", "listings"]
    readonly_fields = ["history", "meets"]
    actions = ["switch_on", "switch_off"]
    actions_detail = ["open_effect"]
    conditional_fields = {
        "position": "action == 'pin'",
        "n_pinned": "action == 'pin'",
        "strength": "action == 'boost' || action == 'bury'",
        "share": "action == 'cap'",
    }
    fieldsets = [
        (
            None,
            {
                "description": CONFLICTS,
                "fields": [
                    ("name", "is_active"), ("action", "priority"), ("position", "n_pinned"), ("strength", "share"),
                    "meets",
                ],
            },
        ),
        ("Which cars", {"classes": ["tab"], "fields": [("sellers", "listings"), *rows_of("target")]}),
        (
            "Where and when",
            {"classes": ["tab"], "fields": ["placements", ("starts_at", "ends_at"), ("from_time", "until_time")]},
        ),
        ("For whom", {"classes": ["tab"], "fields": ["audience", *rows_of("interest")]}),
        ("Label, holdout, note", {"classes": ["tab"], "fields": ["is_promoted", "holdout", "note"]}),
        ("Changes", {"classes": ["tab"], "fields": ["history"]}),
    ]  # fmt: skip

    shown_to_viewers = {"Which cars": [("sellers", "listings"), "wanted"], "For whom": ["audience", "interested_in"]}

    list_before_template = "console/rule_tools.html"
    pages_beside = frozenset(["recommendations_rule_effect"])

    @display(description="Cars of these facts")
    def wanted(self, rule: MerchandisingRule) -> str:
        return in_words(rule.target) or NONE

    @display(description="Interest in")
    def interested_in(self, rule: MerchandisingRule) -> str:
        return in_words(rule.interest) or NONE

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What a link fills in; times as datetimes, since their fields have two parts."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        for name in TIMES:
            if isinstance(typed := initial.get(name), str):
                with suppress(
                    ValueError
                ):  # such as a thirteenth month: no text stays, which the field could not take apart
                    initial[name] = None
                    initial[name] = parse_datetime(typed)
        return initial

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(RuleEffectPage.as_view(model_admin=self))
        return [path("<int:rule_id>/effect/", view, name="recommendations_rule_effect"), *super().get_urls()]

    @action(description="What it did", url_path="open-effect", icon="query_stats", permissions=["view"])
    def open_effect(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:recommendations_rule_effect", object_id)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rules are switched off: the record of served lists names them."""
        return False

    # --- Preview ----------------------------------------------------------------------------------------------------
    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The form; or a preview of what it says, with nothing stored; or the last change taken back."""
        answer = None
        if request.method == "POST" and PREVIEW in request.POST:
            answer = self.preview_of(request, object_id)
        elif request.method == "POST" and UNDO in request.POST and object_id:
            answer = self.undo(request, object_id)
        extra = {**(extra_context or {}), "may_preview": may_see(request.user, BUYERS_ROWS)}
        return answer or super().changeform_view(request, object_id, form_url, extra)

    def preview_of(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """None where the form has to answer, for what is typed is wrong, or may not be changed.

        Raises PermissionDenied where real buyers may not be seen: the form would answer what is right by saving it.
        """
        if not may_see(request.user, BUYERS_ROWS):
            raise PermissionDenied
        row = self.get_object(request, object_id) if object_id else None
        may_change = self.has_change_permission(request, row) if object_id else self.has_add_permission(request)
        if (object_id and row is None) or not may_change:
            return None
        form = self.get_form(request, row, change=bool(row))(request.POST, instance=row)
        return self.preview(request, form) if form.is_valid() else None

    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse | None:
        """Undo the last change of the rule; the values in the form are ignored."""
        rule = self.get_object(request, object_id)
        if rule is None or not self.has_change_permission(request, rule):
            return None
        try:
            with transaction.atomic():
                change = changes.undo_last(rule)
                before, after = auditing.changes(change.after, changes.state_of(rule))
                auditing.record(by=request.user, action="undone", target=rule, before=before, after=after)
        except changes.NothingToUndo as refusal:
            messages.warning(request, str(refusal))
        else:
            what = "It is as it was before" if change.before else "It was new, and is switched off"
            messages.success(request, f"The change of {clock(change.at)} was taken back. {what}.")
        return redirect("admin:recommendations_merchandisingrule_change", rule.pk)

    def preview(self, request: HttpRequest, form: Any) -> HttpResponse:
        rule: Rule = form.rule()
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"Preview of “{rule.name}”",
            "opts": self.opts,
            "rule": rule,
            "typed": [(name, value) for name, values in request.POST.lists() for value in values if name[0] != "_"
                      and name != "csrfmiddlewaretoken"],
            "is_on": form.instance.is_active,
            "says": said(form),
            "order": CONFLICTS,
            "conflicts": conflicts_of(rule, read_rules()),
            "action_url": request.get_full_path(),
            "back": reverse("admin:recommendations_merchandisingrule_changelist"),
        }  # fmt: skip
        try:
            context["previews"] = [preview_shown(one) for one in previews_with(rule)]
        except RankerRefused as refusal:
            context["refusal"] = str(refusal)
        return TemplateResponse(request, "console/merchandising_preview.html", context)

    # --- Saving, with what is needed to take it back ------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.state_before = changes.state_of(MerchandisingRule.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        changes.record_change(form.instance, form.instance.state_before, request.user)  # type: ignore[arg-type]

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: Any, *, on: bool) -> None:
        rules = list(queryset.exclude(is_active=on))
        n = changes.switch(rules, on=on, by=request.user)  # type: ignore[arg-type]
        for rule in rules:
            before, after = {"is_active": not on}, {"is_active": on}
            auditing.record(by=request.user, action="changed", target=rule, before=before, after=after)
        messages.success(request, f"{n} switched {'on' if on else 'off'}. Lists follow within a second.")

    # --- Columns ----------------------------------------------------------------------------------------------------
    @display(description="State", ordering="is_active")
    def state(self, rule: MerchandisingRule) -> SafeString:
        now = timezone.now()
        if not rule.is_active:
            return badge("Off", "")
        if rule.ends_at and rule.ends_at <= now:
            return badge("Ended", "")
        if rule.starts_at and rule.starts_at > now:
            return badge("Scheduled", "info")
        return badge("On", "success")

    @display(description="What")
    def what(self, rule: MerchandisingRule) -> str:
        return what_it_does(rule)

    @display(description="Which cars")
    def about(self, rule: MerchandisingRule) -> str:
        return which_cars(rule.sellers.all()[:4], rule.listings.all()[:4], rule.target)

    @display(description="Where")
    def where(self, rule: MerchandisingRule) -> str:
        return in_which_lists(rule.placements.all())

    @display(description="When")
    def when(self, rule: MerchandisingRule) -> str:
        return when_it_holds(rule)

    @display(description="Where it meets other rules")
    def meets(self, rule: MerchandisingRule) -> str | SafeString:
        if not rule.pk:
            return "“Preview on real buyers” says so before it is saved."
        if not rule.is_active:
            return "It is off, and meets none."
        sellers, listings, placements = ([*related.all()] for related in (rule.sellers, rule.listings, rule.placements))
        slugs = [placement.slug for placement in placements]
        own = compiled(rule, [row.pk for row in sellers], [row.pk for row in listings], slugs)
        found = conflicts_of(own, read_rules())
        return format_html_join("", "<p>{}</p>", ([each] for each in found)) or "It meets none of those that are on."

    @display(description="")
    def history(self, rule: MerchandisingRule) -> str | SafeString:
        if not rule.pk or not (found := list(rule.changes.select_related("by")[:20])):
            return "No change yet."
        rows = [
            [clock(one.at), one.by or NONE, changed_fields(one), "taken back" if one.is_undone else ""] for one in found
        ]
        return table(["When", "Who", "What", ""], rows)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("placements", "sellers", "listings__make")


@admin.register(MerchandisingChange)
class MerchandisingChangeAdmin(ReadOnlyAdmin):
    """How rules were changed, all rules together; the page of a rule shows its own, and takes the last one back."""

    list_display = ["when", "rule", "by", "what", "is_undone"]
    list_select_related = ["rule", "by"]
    fields = ["when", "rule", "by", "what", "is_undone"]

    @display(description="When", ordering="id")
    def when(self, change: MerchandisingChange) -> str:
        return clock(change.at)

    @display(description="What")
    def what(self, change: MerchandisingChange) -> str:
        return changed_fields(change)


# --- In words --------------------------------------------------------------------------------------------------------
def what_it_does(rule: MerchandisingRule) -> str:
    match rule.action:
        case "pin":
            return f"Pin to rank {rule.position}" + (f", {rule.n_pinned} cars" if rule.n_pinned > 1 else "")
        case "boost":
            return f"Boost by {rule.strength} %"
        case "bury":
            return f"Bury by {rule.strength} %"
        case "cap":
            return f"At most {rule.share} % of a list"
    return "Hide"


def which_cars(sellers: Iterable[Any], listings: Iterable[Any], target: dict[str, Any]) -> str:
    named = [[str(row) for row in islice(rows, 4)] for rows in (sellers, listings)]
    parts = [", ".join(names[:3]) + (" and more" if len(names) > 3 else "") for names in named if names]
    if target:
        parts.append(in_words(target))
    return " · ".join(parts) or NONE


def in_which_lists(placements: Iterable[Placement]) -> str:
    return ", ".join(placement.name for placement in placements) or "everywhere"


def when_it_holds(rule: MerchandisingRule) -> str:
    starts = f"from {clock(rule.starts_at)}" if rule.starts_at else ""
    ends = f"until {clock(rule.ends_at)}" if rule.ends_at else ""
    hours = (
        [f"{rule.from_time:%H:%M} to {rule.until_time:%H:%M} {timezone.localtime():%Z} each day"] if rule.hours else []
    )
    return " ".join([*filter(None, (starts, ends)), *hours]) or "always"


def said(form: MerchandisingRuleForm) -> list[tuple[str, str]]:
    """The rule of a valid form in words; it need not be saved."""
    rule, chosen = form.instance, form.cleaned_data
    interest = f": {in_words(rule.interest)}" if rule.audience == MerchandisingRule.Audience.INTERESTED else ""
    return [
        ("What", what_it_does(rule)),
        ("Which cars", which_cars(chosen.get("sellers") or (), chosen.get("listings") or (), rule.target)),
        ("Where", in_which_lists(chosen.get("placements") or ())),
        ("When", when_it_holds(rule)),
        ("For whom", f"{rule.get_audience_display()}{interest}"),
    ]


def changed_fields(change: Any) -> str:
    if change.before is None:
        return "made"
    names = [name for name in change.after if change.after.get(name) != change.before.get(name)]
    return ", ".join(name.removeprefix("is_").replace("_", " ") for name in names)


# --- Preview ---------------------------------------------------------------------------------------------------------
def previews_with(rule: Rule) -> list[Preview]:
    """Lists of real buyers without the rule and with it, beside all others that are on."""
    slug = rule.placements[0] if rule.placements else HOME
    rules = Rules(Placement.objects.filter(slug=slug).first() or Placement(slug=slug))
    others = tuple(one for one in read_rules() if one.id != rule.id)
    people = drawn_buyers(BUYERS_SHOWN, seed=1)
    return previews_of(people, ListSetup(None, rules, others), ListSetup(None, rules, (*others, rule)))
