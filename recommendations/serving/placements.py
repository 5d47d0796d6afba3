"""Find the rules of a list: those of its placement, with what a running experiment changes for this buyer."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import F
from django.db.models.expressions import Subquery
from django.db.models.functions import JSONObject

from accounts.models import Buyer
from recommendations.engine.draws import point_of
from recommendations.models import Experiment, Placement
from recommendations.models.experiments import HOLDOUT, INTERLEAVED
from recommendations.serving.rules import Rules

HOME = "home"  # the placement of a list that names none

# What an experiment may change: every rule, but not which list it is.
VARIABLE_RULES = (
    "sources", "filters", "boosts", "diversity", "max_per_model", "max_per_seller", "exploration_positions",
    "fresh_share", "promoted_share", "follows_intent", "free_leads", "saturation_strength", "times_shown_at_most",
)  # fmt: skip
EXPERIMENT_COLUMNS = ("slug", "variants", "holdout", "stopped_arms", "mode", "control")  # what serving asks of one


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
