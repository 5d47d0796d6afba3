"""The rules of one list: a placement, and what a running experiment changes about it for this buyer.

Also what such rules may say at all: the admin refuses here, in words for the person typing, what serving would stumble
over or ignore.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F
from django.db.models.expressions import Subquery
from django.db.models.functions import JSONObject

from accounts.models import Buyer
from catalog.filters import ListingFilters
from recommendations.engine.draws import point_of
from recommendations.engine.policy import ListPolicy
from recommendations.engine.score_terms import TERMS
from recommendations.merchandising.plan import NO_PLAN, Plan
from recommendations.models import Experiment, Placement, RankerVersion
from recommendations.models.experiments import HOLDOUT, INTERLEAVED, RESERVED_NAMES
from recommendations.serving.sources import SOURCES

HOME = "home"  # the placement of a list that names none

DEFAULT_SHARES: Mapping[str, float] = {  # the largest first
    source.name: source.share for source in sorted(SOURCES, key=lambda source: -source.share)
}
# What an experiment may change: every rule, but not which list it is.
VARIABLE_RULES = (
    "sources", "filters", "boosts", "diversity", "max_per_model", "max_per_seller", "exploration_positions",
    "fresh_share", "promoted_share", "follows_intent", "free_leads", "saturation_strength", "times_shown_at_most",
)  # fmt: skip
VARIANT_PARTS = ("share", "overrides", "version")
EXPERIMENT_COLUMNS = ("slug", "variants", "holdout", "stopped_arms", "mode", "control")  # what serving asks of one
LONGEST_VARIANT_NAME = 40


@dataclass(frozen=True)
class Rules:
    """How one list is made.

    Attributes:
        placement: Its row, with what a variant changes; not to be saved.
        variant: Name of the experiment's arm, or ``HOLDOUT`` for those who take no part; "" outside of experiments.
        experiment: Its name; "" outside of experiments.
        plan: The merchandising rules that hold for the list.
        version_id: Which ranker version makes it; None: the live one.
        other: How the other of two variants makes its part, where they make the list together; else None.
    """

    placement: Placement
    variant: str = ""
    plan: Plan = NO_PLAN
    experiment: str = ""
    version_id: int | None = None
    other: Rules | None = None

    @property
    def filters(self) -> ListingFilters:
        """What every car here must satisfy."""
        return ListingFilters.from_query(self.placement.filters)

    @property
    def shares(self) -> dict[str, float]:
        """Source -> share of the candidates, >= 0; they need not add up to one."""
        return {name: self.placement.sources.get(name, share) for name, share in DEFAULT_SHARES.items()}

    @property
    def boosts(self) -> dict[str, float]:
        """Term -> weight in the score, per standard deviation of the term, in place of the learned one.

        It is a weight and not a factor, holds for cold and known buyers alike, and 0 switches the term off.
        """
        return {name: weight for name, weight in self.placement.boosts.items() if name in TERMS}

    def policy(self, k: int) -> ListPolicy:
        """The rules of a list of ``k``. A list shorter than the placement's explores as much, as far as it has room.

        Raises:
            ValueError: If the placement's own list has not as many positions as are kept.
        """
        exploration_share = self.placement.exploration_positions / max(k, 1)
        if k < self.placement.k:
            left = 1.0 - self.placement.promoted_share - self.placement.fresh_share
            exploration_share = min(exploration_share, max(left, 0.0))
        return ListPolicy(
            k=k,
            diversity=self.placement.diversity,
            max_per_model=self.placement.max_per_model,
            max_per_seller=self.placement.max_per_seller,
            exploration_share=exploration_share,
            promoted_share=self.placement.promoted_share,
            fresh_share=self.placement.fresh_share,
            group_caps=self.plan.room,
        )


def rules_of(slug: str, buyer: Buyer | None) -> Rules:
    """The rules of the placement for this buyer, in one query; those of a plain list where there is no such placement.

    A buyer who is not known takes part in no experiment: next time their arm would be unknown.
    """
    running = Experiment.objects.filter(status=Experiment.Status.RUNNING, placement__slug=slug)
    described = running.values(arms=JSONObject(**{name: F(name) for name in EXPERIMENT_COLUMNS}))
    placement = Placement.objects.annotate(experiment=Subquery(described[:1])).filter(slug=slug).first()
    if placement is None:
        return Rules(Placement(slug=slug))
    return rules_for(placement, getattr(placement, "experiment", None), buyer)


def rules_for(placement: Placement, experiment: Mapping[str, Any] | None, buyer: Buyer | None) -> Rules:
    """The rules of a placement as the experiment that runs on it (``EXPERIMENT_COLUMNS``) has them for this buyer.

    Who is in an arm that was stopped for harm gets the usual lists, and is in no arm.
    """
    if experiment is None or buyer is None:
        return Rules(placement)
    if is_held_out(placement.slug, experiment.get("holdout", 0), buyer.pk):
        return Rules(placement, HOLDOUT, experiment=experiment["slug"])
    variants, stopped = experiment["variants"], experiment.get("stopped_arms", {})
    if experiment.get("mode") == Experiment.Mode.INTERLEAVED:
        return Rules(placement) if stopped else rules_together(placement, experiment)
    variant = variant_for(experiment["slug"], variants, buyer.pk)
    if variant in stopped:
        return Rules(placement)
    return rules_of_variant(placement, experiment["slug"], variant, variants[variant])


def rules_of_variant(placement: Placement, experiment: str, name: str, variant: Mapping[str, Any]) -> Rules:
    """How one variant makes the lists of a placement."""
    mixed = changed(placement, variant.get("overrides", {}))
    return Rules(mixed, name, experiment=experiment, version_id=variant.get("version"))


def rules_together(placement: Placement, experiment: Mapping[str, Any]) -> Rules:
    """How the two variants of an experiment make a list together: the control's rules, and beside them the other's."""
    row = Experiment(variants=experiment["variants"], control=experiment.get("control", ""))
    control, other = (
        rules_of_variant(placement, experiment["slug"], name, row.variants[name])
        for name in (row.control_arm, row.other_arms[0])
    )
    return replace(control, variant=INTERLEAVED, other=replace(other, variant=INTERLEAVED))


def is_held_out(placement: str, percent: float, buyer_id: int) -> bool:
    """Whether a buyer takes part in no experiment of a placement: the same ones in each, and more of them with more."""
    return percent > 0 and point_of(f"holdout:{placement}:{buyer_id}") < percent / 100


def variant_for(experiment: str, variants: Mapping[str, Mapping[str, Any]], buyer_id: int) -> str:
    """Which arm of an experiment a buyer is in: always the same, and independent of other experiments.

    Arms in order of their names divide the line from 0 to 1 by their shares, and the buyer's hash is a point on it.
    """
    names = sorted(variants)
    point = point_of(f"{experiment}:{buyer_id}") * sum(variants[name]["share"] for name in names)
    for name in names:
        point -= variants[name]["share"]
        if point < 0:
            return name
    return names[-1]  # rounding, or shares that are all 0


def changed(placement: Placement, overrides: Mapping[str, Any]) -> Placement:
    """A copy of a placement with some of its rules changed; names that are no rules any more are left out."""
    copied = copy.copy(placement)
    for name, value in overrides.items():
        if name in VARIABLE_RULES:
            setattr(copied, name, value)
    return copied


# --- What may be said ------------------------------------------------------------------------------------------------


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

    An unknown filter would be ignored in silence, and the list would show what it should not.
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
