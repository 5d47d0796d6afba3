"""Refuse wrong rules of placements and experiments before they are saved.

The messages are for the person who types them in the admin. What is refused here is what serving could not apply, or
would ignore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from catalog.filters import ListingFilters
from recommendations.engine.score_terms import TERMS
from recommendations.models import Experiment, Placement, RankerVersion
from recommendations.models.experiments import RESERVED_NAMES
from recommendations.serving.placements import VARIABLE_RULES, changed
from recommendations.serving.rules import Rules
from recommendations.serving.sources import DEFAULT_SHARES

VARIANT_PARTS = ("share", "overrides", "version")
LONGEST_VARIANT_NAME = 40


def refuse_sources(value: Any) -> None:
    """Raise ValidationError unless it is a share for some of the sources, with at least one left on."""
    _refuse_unless_numbers(value, '{"trending": 0.2, "exploration": 0}')
    _refuse_unknown(value, DEFAULT_SHARES, "sources")
    if not any(value.get(name, share) for name, share in DEFAULT_SHARES.items()):
        raise ValidationError("Every source is switched off; leave at least one on.")


def refuse_boosts(value: Any) -> None:
    """Raise ValidationError unless it is a weight for some of the terms."""
    _refuse_unless_numbers(value, '{"freshness": 0.5}')
    _refuse_unknown(value, TERMS, "terms")


def refuse_filters(value: Any) -> None:
    """Raise ValidationError unless every filter is known and has a value of its kind.

    Serving would ignore an unknown filter, and the list would show cars that it should not.
    """
    if not isinstance(value, dict):
        raise ValidationError('Write filters by name, like {"fuels": ["electric"], "max_price": 20000}.')
    _refuse_unknown(value, sorted(ListingFilters.names()), "filters")
    nothing = ListingFilters()
    for name, asked in value.items():
        if isinstance(getattr(nothing, name), tuple):
            if not isinstance(asked, list) or not all(isinstance(one, str) and one for one in asked):
                raise ValidationError(f'“{name}” needs a list of texts, like ["…"], not {asked!r}.')
        elif name == "text":
            if not isinstance(asked, str):
                raise ValidationError(f"“text” needs a text, not {asked!r}.")
        elif not _is_number(asked):
            raise ValidationError(f"“{name}” needs a number, not {asked!r}.")
    circle = {"latitude", "longitude", "radius_km"}
    if missing := sorted(circle - set(value)) if circle & set(value) else []:
        raise ValidationError(f"A place needs latitude, longitude and radius_km; {', '.join(missing)} is missing.")


def refuse_variants(value: Any, placement: Placement | None = None) -> None:
    """Raise ValidationError unless it names at least two arms, each with a share and rules that make sense.

    Rules are judged as they would stand together with those of the placement, where that is known.
    """
    example = '{"a": {"share": 0.5}, "b": {"share": 0.5, "overrides": {"diversity": 0.2}}}'
    if not isinstance(value, dict) or len(value) < 2:
        raise ValidationError(f"Name at least two variants, like {example}.")
    for name, variant in value.items():
        if not name or len(name) > LONGEST_VARIANT_NAME:
            raise ValidationError(f"A variant's name has 1 to {LONGEST_VARIANT_NAME} characters; “{name}” has not.")
        if name.lower() in RESERVED_NAMES:
            raise ValidationError(f"“{name}” is a name that records of lists have another meaning for; take another.")
        if not isinstance(variant, dict):
            raise ValidationError(f"“{name}” needs a share and may have overrides, like {example}.")
        _refuse_unknown(variant, VARIANT_PARTS, f"parts of “{name}”")
        if not _is_number(variant.get("share")) or variant["share"] <= 0:
            raise ValidationError(f"“{name}” needs a share above 0, not {variant.get('share')!r}.")
        _refuse_overrides(name, variant.get("overrides", {}), placement or Placement())
        refuse_version(name, variant.get("version"))


def refuse_mode(mode: str, variants: Mapping[str, Any]) -> None:
    """Raise ValidationError where more than two variants are to make lists together."""
    if mode == Experiment.Mode.INTERLEAVED and len(variants) != 2:
        raise ValidationError("Lists are made together by two variants; this experiment has another number.")


def refuse_version(name: str, version_id: Any) -> None:
    """Raise ValidationError unless it is none, or a ranker version that could answer now."""
    if version_id is None:
        return
    is_key = isinstance(version_id, int) and not isinstance(version_id, bool)
    if not is_key or not RankerVersion.objects.usable().filter(pk=version_id).exists():
        raise ValidationError(f"“{name}” names the ranker version {version_id!r}, which is neither live nor ready.")


def _refuse_overrides(name: str, overrides: Any, placement: Placement) -> None:
    if not isinstance(overrides, dict):
        raise ValidationError(f'The overrides of “{name}” need rules by name, like {{"diversity": 0.2}}.')
    _refuse_unknown(overrides, VARIABLE_RULES, f"rules in “{name}”")
    mixed = changed(placement, overrides)
    try:
        mixed.clean_fields(exclude=[field.name for field in Placement._meta.fields if field.name not in overrides])
        refuse_rules(mixed)
    except ValidationError as error:
        raise ValidationError(f"In “{name}”: {' '.join(error.messages)}") from error


def refuse_rules(placement: Placement) -> None:
    """Raise ValidationError where rules are wrong, alone or together."""
    refuse_sources(placement.sources)
    refuse_filters(placement.filters)
    refuse_boosts(placement.boosts)
    if placement.exploration_positions > placement.k:
        raise ValidationError(
            f"exploration_positions: a list of {placement.k} has no {placement.exploration_positions:g} positions."
        )
    try:
        Rules(placement).policy(placement.k)
    except (TypeError, ValueError) as error:
        raise ValidationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def _refuse_unless_numbers(value: Any, example: str) -> None:
    """Shares and weights need not add up, only their proportions count."""
    if not isinstance(value, dict):
        raise ValidationError(f"Write names and numbers, like {example}.")
    for name, number in value.items():
        if not _is_number(number) or not 0 <= number < float("inf"):
            raise ValidationError(f"“{name}” needs a number of at least 0, not {number!r}.")


def _refuse_unknown(value: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    if unknown := sorted(set(value) - set(known)):
        raise ValidationError(f"Unknown {what}: {', '.join(unknown)}. Known are {', '.join(known)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
