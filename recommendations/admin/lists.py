"""Admin pages of placements: where lists are shown, and by which rules."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from catalog.admin import count_of
from console.formats import NONE, list_link
from console.pages import ConsoleAdmin, column
from recommendations.admin.filter_fields import as_typed, read_filters, rows_of, with_filter_fields
from recommendations.admin.pages import in_words
from recommendations.admin.weights import PlacementMixPage
from recommendations.admin.weights_forms import boost_field, share_field, share_of, weight_of
from recommendations.engine.score_terms import TERMS
from recommendations.models import Experiment, Placement, ServedList
from recommendations.serving.rule_checks import refuse_rules
from recommendations.serving.rules import Rules
from recommendations.serving.sources import DEFAULT_SHARES, shares_of

SHARES_HELP = "The share of each source of candidates: only proportions count, and 0 switches one off."
WEIGHTS_HELP = "Of each term of the score, per standard deviation; an empty field is as learned, and 0 is off."
ALWAYS = "always"  # begins the names of the fields of a placement's own filters
SHARES = {share_field(name): name for name in DEFAULT_SHARES}
WEIGHTS = {boost_field(term): term for term in TERMS}


def in_threes(fields: Iterable[str]) -> list[tuple[str, ...]]:
    """Field names in rows of three, for a fieldset."""
    names = list(fields)
    return [tuple(names[at : at + 3]) for at in range(0, len(names), 3)]


def numbers_in_words(value_by_name: Mapping[str, float]) -> str:
    return " · ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in value_by_name.items())


@with_filter_fields(ALWAYS)
class PlacementForm(forms.ModelForm):  # type: ignore[type-arg] # no generic at run time
    """A field for each source share, weight and filter, with its default or learned value beside it."""

    class Meta:
        model = Placement
        exclude = ["sources", "boosts", "filters"]  # noqa: DJ006 - set from the fields of this form
        labels = {"k": "Cars in a list"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        placement = kwargs.get("instance") or Placement()
        shares, boosts = shares_of(placement), Rules(placement).boosts
        kwargs["initial"] = {
            **{field: shares[name] for field, name in SHARES.items()},
            **{field: boosts.get(term) for field, term in WEIGHTS.items()},
            **as_typed(placement.filters, ALWAYS),
            **(kwargs.get("initial") or {}),
        }
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Rules that are right one by one may ask too much together: more kept places than the list has.

        A source at its usual share stays unnamed, so that it follows a release that changes what is usual.
        """
        cleaned = super().clean() or self.cleaned_data
        named = self.instance.sources
        shares = {name: cleaned.get(field) for field, name in SHARES.items()}
        boosts = {term: cleaned.get(field) for field, term in WEIGHTS.items()}
        self.instance.sources = {
            name: share
            for name, share in shares.items()
            if share is not None and (name in named or share != DEFAULT_SHARES[name])
        }
        self.instance.boosts = {term: weight for term, weight in boosts.items() if weight is not None}
        self.instance.filters = read_filters(self, ALWAYS)
        if not self.errors:
            mixed = copy(self.instance)
            for name, value in cleaned.items():
                if name in {column.name for column in Placement._meta.concrete_fields}:
                    setattr(mixed, name, value)
            refuse_rules(mixed)
        return cleaned


PlacementForm.declared_fields |= {
    **{field: share_of(name) for field, name in SHARES.items()},
    **{field: weight_of(term) for field, term in WEIGHTS.items()},
}
PlacementForm.base_fields |= PlacementForm.declared_fields


@admin.register(Placement)
class PlacementAdmin(ConsoleAdmin):
    form = PlacementForm
    list_display = [
        "name", "slug", column("k", "Cars in a list"), "diversity", "exploration_positions", "running_experiment",
        "lists",
    ]  # fmt: skip
    ordering = ["name"]
    search_fields = ["name__begins_word", "slug__begins_word"]
    search_help_text = "Words of the name, in any order"
    fieldsets = [
        (None, {"fields": [("name", "slug", "k")]}),
        ("What comes in", {"description": SHARES_HELP, "fields": in_threes(SHARES)}),
        ("What weighs how much", {"description": WEIGHTS_HELP, "fields": in_threes(WEIGHTS)}),
        ("Filters that always apply here", {"classes": ["collapse"], "fields": rows_of(ALWAYS)}),
        (
            "How the list is mixed",
            {
                "fields": [
                    ("diversity", "follows_intent"), ("max_per_model", "max_per_seller"), "times_shown_at_most",
                ]
            },
        ),
        (
            "Places that are kept",
            {
                "description": "For cars that may be more, or less, than they seem; and for those a seller pays for.",
                "fields": [("exploration_positions", "fresh_share", "promoted_share")],
            },
        ),
        ("Cars that are asked for a lot", {"fields": [("free_leads", "saturation_strength")]}),
    ]  # fmt: skip

    shown_to_viewers = {
        "What comes in": ["shares"],
        "What weighs how much": ["weights"],
        "Filters that always apply here": ["always"],
    }

    actions_detail = ["open_mix"]

    @display(description="Shares of the sources")
    def shares(self, placement: Placement) -> str:
        return numbers_in_words(shares_of(placement))

    @display(description="Weights")
    def weights(self, placement: Placement) -> str:
        return numbers_in_words(Rules(placement).boosts) or "as learned"

    @display(description="Filters")
    def always(self, placement: Placement) -> str:
        return in_words(placement.filters) or NONE

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(PlacementMixPage.as_view(model_admin=self))
        return [path("<int:placement_id>/mix/", view, name="recommendations_placement_mix"), *super().get_urls()]

    @action(description="Try a mix", url_path="open-mix", icon="balance", permissions=["view"])
    def open_mix(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:recommendations_placement_mix", object_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        rows: QuerySet[Placement] = super().get_queryset(request)
        return rows.annotate(n_running=count_of(Experiment, "placement", status="running"))

    @display(description="Experiment running", boolean=True)
    def running_experiment(self, placement: Any) -> bool:
        return bool(placement.n_running)

    @display(description="Lists served")
    def lists(self, placement: Placement) -> SafeString:
        return list_link(ServedList, "Show", placement__id__exact=placement.pk)
