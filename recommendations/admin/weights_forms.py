"""Forms of the previews: the weights of event kinds, and the rules of a placement.

Fields that a link leaves out have their stored value, so that a link states what differs.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.forms.models import model_to_dict
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.models import Buyer
from recommendations.engine.score_terms import TERMS
from recommendations.insight.previews import ListSetup, buyer_named, drawn_buyers
from recommendations.models import EventKind, Placement
from recommendations.serving.placements import VARIABLE_RULES, changed
from recommendations.serving.rule_checks import refuse_rules
from recommendations.serving.rules import Rules
from recommendations.serving.sources import DEFAULT_SHARES, shares_of

BUYERS_AT_MOST = 6
WEIGHT_FIELDS = ("weight", "half_life_days")
MIX_FIELDS = (
    "k", "diversity", "max_per_model", "max_per_seller", "times_shown_at_most", "exploration_positions", "fresh_share",
    "promoted_share", "free_leads", "saturation_strength",
)  # fmt: skip
YES_OR_NO = [("True", "Yes"), ("False", "No")]

Change = tuple[str, str, str]  # what, before, after


class PreviewForm(forms.Form):
    """Whose lists are shown; what is changed comes from the forms below."""

    buyers = forms.CharField(
        required=False, max_length=300, widget=UnfoldAdminTextInputWidget,
        help_text="Emails, external ids or ids, with commas between. Left out: some of those active last, at random.",
    )  # fmt: skip
    n = forms.IntegerField(
        label="How many at random", min_value=1, max_value=BUYERS_AT_MOST, widget=UnfoldAdminIntegerFieldWidget
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Another number, other buyers.",
    )

    def __init__(self, asked: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        self.stored = {"n": 3, "seed": 1, **stored}
        super().__init__({**self.stored, **{name: asked[name] for name in asked}})

    @property
    def changes(self) -> list[Change]:
        """What differs from what is stored, in words; only of a form that is valid."""
        raise NotImplementedError

    def setups(self) -> tuple[ListSetup, ListSetup]:
        """The stored setup and the changed one, for the two lists of the preview."""
        raise NotImplementedError

    @property
    def basis(self) -> str:
        """A digest of what is stored: a different one means that other values were saved in between."""
        return hashlib.blake2b(json.dumps(self.stored, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()

    @property
    def buyers_shown(self) -> list[Any]:
        return [self[name] for name in ("buyers", "n", "seed")]

    @property
    def as_query(self) -> list[tuple[str, Any]]:
        """Every value as it was typed, for the form that saves it."""
        return [(name, self.data[name]) for name in self.fields if self.data.get(name) not in (None, "")]

    def clean_buyers(self) -> list[Buyer]:
        names = [name.strip() for name in self.cleaned_data["buyers"].split(",") if name.strip()]
        if len(names) > BUYERS_AT_MOST:
            raise ValidationError(f"Name at most {BUYERS_AT_MOST} buyers, not {len(names)}.")
        found = {name: buyer_named(name) for name in names}
        if unknown := [name for name, buyer in found.items() if buyer is None]:
            raise ValidationError(f"No buyer is known as {', '.join(unknown)}.")
        return [buyer for buyer in found.values() if buyer is not None]

    def people(self) -> list[Buyer]:
        cleaned = self.cleaned_data
        return cleaned["buyers"] or drawn_buyers(cleaned["n"], cleaned["seed"])


class KindsForm(PreviewForm):
    """The weight and half-life of every kind of event."""

    placement = forms.ChoiceField(
        label="Lists of", widget=UnfoldAdminSelectWidget, help_text="The placement whose lists are shown."
    )

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.kinds = {kind.slug: kind for kind in EventKind.objects.all()}
        self.placements = {placement.slug: placement for placement in Placement.objects.order_by("pk")}
        stored = {
            name_of(field, slug): getattr(kind, field) for slug, kind in self.kinds.items() for field in WEIGHT_FIELDS
        }
        self.columns = stored
        super().__init__(asked, {**stored, "placement": next(iter(self.placements), "")})
        choices = [(slug, placement.name) for slug, placement in self.placements.items()]
        self.fields["placement"].choices = choices  # type: ignore[attr-defined]
        for slug in self.kinds:
            for field in WEIGHT_FIELDS:
                self.fields[name_of(field, slug)] = form_field(self.kinds[slug], field)

    @property
    def basis(self) -> str:
        return hashlib.blake2b(json.dumps(self.columns, sort_keys=True).encode(), digest_size=8).hexdigest()

    @property
    def rows(self) -> list[tuple[EventKind, Any, Any]]:
        return [(kind, self[name_of("weight", slug)], self[name_of("half_life_days", slug)])
                for slug, kind in self.kinds.items()]  # fmt: skip

    @property
    def buyers_shown(self) -> list[Any]:
        return [self["placement"], *super().buyers_shown]

    def changed_kinds(self) -> dict[str, EventKind]:
        """Slug -> the kind as it would be, of those that differ."""
        changed = {}
        for slug, kind in self.kinds.items():
            wanted = {field: float(self.cleaned_data[name_of(field, slug)]) for field in WEIGHT_FIELDS}
            if any(getattr(kind, field) != value for field, value in wanted.items()):
                changed[slug] = copy.copy(kind)
                for field, value in wanted.items():
                    setattr(changed[slug], field, value)
        return changed

    @property
    def changes(self) -> list[Change]:
        return [
            (f"{kind.name}: {label_of(kind, field)}", f"{before:g}", f"{after:g}")
            for slug, kind in self.changed_kinds().items()
            for field in WEIGHT_FIELDS
            if (before := getattr(self.kinds[slug], field)) != (after := getattr(kind, field))
        ]

    def setups(self) -> tuple[ListSetup, ListSetup]:
        rules = Rules(self.placements[self.cleaned_data["placement"]])
        return ListSetup(None, rules), ListSetup({**self.kinds, **self.changed_kinds()}, rules)


class MixForm(PreviewForm):
    """The rules of one placement: source shares, term weights, and list policy."""

    numbers: tuple[str, ...] = MIX_FIELDS

    def __init__(self, asked: Mapping[str, Any], placement: Placement) -> None:
        self.placement = placement
        shares = shares_of(placement)
        super().__init__(asked, {
            **{field: getattr(placement, field) for field in self.numbers},
            "follows_intent": str(placement.follows_intent),
            **{share_field(name): share for name, share in shares.items()},
            **{boost_field(term): weight for term, weight in Rules(placement).boosts.items()},
        })  # fmt: skip
        for field in self.numbers:
            self.fields[field] = form_field(placement, field)
        if "k" in self.fields:
            self.fields["k"].label = "Cars"
        self.fields["follows_intent"] = forms.TypedChoiceField(
            choices=YES_OR_NO, coerce=lambda value: value == "True", widget=UnfoldAdminSelectWidget,
            help_text=column_of(placement, "follows_intent").help_text,
        )  # fmt: skip
        for name in DEFAULT_SHARES:
            self.fields[share_field(name)] = share_of(name)
        for term in TERMS:
            self.fields[boost_field(term)] = weight_of(term)

    @property
    def share_fields(self) -> list[Any]:
        return [self[share_field(name)] for name in DEFAULT_SHARES]

    @property
    def boost_fields(self) -> list[Any]:
        return [self[boost_field(term)] for term in TERMS]

    @property
    def mix_fields(self) -> list[Any]:
        return [self[field] for field in (*self.numbers, "follows_intent")]

    def clean(self) -> dict[str, Any]:
        """Rules that are right one by one may ask too much together."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            refuse_rules(self.mixed())
        return cleaned

    def mixed(self) -> Placement:
        """The placement as it would be."""
        cleaned, mixed = self.cleaned_data, copy.copy(self.placement)
        for field in (*self.numbers, "follows_intent"):
            setattr(mixed, field, cleaned[field])
        shares = {name: cleaned[share_field(name)] for name in DEFAULT_SHARES}
        named = self.placement.sources
        mixed.sources = {
            name: share for name, share in shares.items() if name in named or share != DEFAULT_SHARES[name]
        }
        boosts = {term: cleaned[boost_field(term)] for term in TERMS}
        mixed.boosts = {term: weight for term, weight in boosts.items() if weight is not None}
        return mixed

    @property
    def changed_fields(self) -> list[str]:
        """Columns of the placement that would be saved."""
        before, after = model_to_dict(self.placement), model_to_dict(self.mixed())
        return [name for name, value in after.items() if before[name] != value]

    @property
    def changes(self) -> list[Change]:
        before, after = describe_rules(self.placement), describe_rules(self.mixed())
        return [(name, before[name], after[name]) for name in after if before[name] != after[name]]

    def setups(self) -> tuple[ListSetup, ListSetup]:
        return ListSetup(None, Rules(self.placement)), ListSetup(None, Rules(self.mixed()))


class VariantForm(MixForm):
    """The rules of one variant of an experiment, as it has them beside those of its placement.

    The length of the list is no rule of a variant: its buyers would see more cars, and nothing could be compared.
    """

    numbers = tuple(field for field in MIX_FIELDS if field != "k")

    def __init__(
        self,
        asked: Mapping[str, Any],
        placement: Placement,
        overrides: Mapping[str, Any],
        version_id: int | None = None,
    ) -> None:
        self.usual, self.version_id = placement, version_id
        super().__init__(asked, changed(placement, overrides))

    def setups(self) -> tuple[ListSetup, ListSetup]:
        """Lists of the placement by the live ranker, and those of the variant by its own."""
        if self.version_id is None:
            return super().setups()
        return ListSetup(None, Rules(self.usual)), ListSetup(None, Rules(self.mixed(), version_id=self.version_id))

    def overrides(self) -> dict[str, Any]:
        """What differs from the placement's own rules; filters stay as the variant has them."""
        usual, mixed = model_to_dict(self.usual), model_to_dict(self.mixed())
        return {name: value for name, value in mixed.items() if name in VARIABLE_RULES and usual[name] != value}


def describe_rules(placement: Placement) -> dict[str, str]:
    """The rules of a placement line by line, in words."""
    rules = Rules(placement)
    return {
        **{f"Share of {name}": f"{share:g}" for name, share in shares_of(placement).items()},
        **{f"Weight of {term}": f"{rules.boosts[term]:g}" if term in rules.boosts else "as learned" for term in TERMS},
        **{field.replace("_", " ").capitalize(): f"{getattr(placement, field):g}" for field in MIX_FIELDS},
        "Follows intent": "yes" if placement.follows_intent else "no",
    }


def name_of(field: str, slug: str) -> str:
    return f"{field}_{slug}"


def share_field(source: str) -> str:
    return f"share_{source.replace(' ', '_')}"


def boost_field(term: str) -> str:
    return f"boost_{term}"


def share_of(source: str) -> forms.FloatField:
    return forms.FloatField(
        label=source.capitalize(), min_value=0, widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        help_text=f"Usually {DEFAULT_SHARES[source]:g}; 0 switches it off.",
    )  # fmt: skip


def weight_of(term: str) -> forms.FloatField:
    return forms.FloatField(
        label=term.capitalize(), required=False, min_value=0,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), help_text="Left out: as learned.",
    )  # fmt: skip


def form_field(row: EventKind | Placement, name: str) -> forms.Field:
    """The field of a column, with its checks; its label stands in a table's head, so it has an aria-label."""
    column = column_of(row, name)
    widget = UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "aria-label": f"{row}: {column.verbose_name}"})
    made = column.formfield(widget=widget, validators=column.validators)  # Django leaves those to a model's form
    if made is None:
        raise ValueError(f"{name} cannot be edited")
    return made


def label_of(row: EventKind | Placement, name: str) -> str:
    return str(column_of(row, name).verbose_name)


def column_of(row: EventKind | Placement, name: str) -> Field[Any, Any]:
    return next(column for column in row._meta.concrete_fields if column.name == name)
