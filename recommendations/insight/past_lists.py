"""Why a list of the past was as it was: what its record says, and its scores taken apart as of that time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations

from django.conf import settings
from django.utils import timezone

from catalog.filters import ListingFilters
from catalog.models import Listing
from recommendations.exceptions import RankerRefused
from recommendations.insight.what_if import WhatIf, answer
from recommendations.models import Experiment, MerchandisingRule, RankerVersion, ServedList
from recommendations.serving.explanations import explain
from recommendations.serving.interleaving import NEITHER, TEAMS
from recommendations.serving.placements import rules_together
from recommendations.serving.rules import Rules

VERBS = {"pin": "pinned", "boost": "boosted", "bury": "buried", "cap": "counted", "hide": "hidden"}
CLOSE = 0.01  # a score that is this near to the recorded one is the same


@dataclass(frozen=True)
class Explained:
    """One car of a list.

    Attributes:
        position: 1 is the top.
        listing_id, source, score: As recorded.
        rules: What merchandising rules did to it, in words, as recorded.
        is_promoted: Whether it was labelled.
        chosen_by: The variant of an experiment that chose it, where two made the list together; else "".
        terms: Its score taken apart as of then, under the same version; empty where that cannot be done any more.
        is_exact: Whether those terms add up to the recorded score: the facts of the car have not changed since.
    """

    position: int
    listing_id: int
    source: str
    score: float
    rules: tuple[str, ...] = ()
    is_promoted: bool = False
    chosen_by: str = ""
    terms: Mapping[str, float] | None = None

    @property
    def is_exact(self) -> bool:
        return bool(self.terms) and abs(sum((self.terms or {}).values()) - self.score) <= CLOSE


def explained(served: ServedList) -> list[Explained]:
    """Every car of a recorded list, in its order."""
    rules, promoted = rules_by_position(served), set(served.merchandising.get("promoted", ()))
    experiment = experiment_together(served)
    teams = teams_of(served, experiment)
    terms = terms_as_of(served, experiment)
    rows = zip(served.listing_ids, served.scores, served.sources, strict=False)
    return [
        Explained(
            position, listing_id, source, score, tuple(rules.get(position, ())), position in promoted,
            teams.get(position, ""), terms.get(listing_id),
        )
        for position, (listing_id, score, source) in enumerate(rows, start=1)
    ]  # fmt: skip


def rules_by_position(served: ServedList) -> dict[int, list[str]]:
    """What the record says of merchandising rules, by the positions that they touched."""
    applied: Mapping[str, list[int]] = served.merchandising.get("applied", {})
    rules = MerchandisingRule.objects.in_bulk([int(key) for key in applied])
    found: dict[int, list[str]] = {}
    for key, positions in applied.items():
        rule = rules.get(int(key))
        for position in positions if rule else ():
            found.setdefault(position, []).append(f"{VERBS[rule.action]} by rule “{rule.name}”")  # type: ignore[union-attr]
    return found


def experiment_together(served: ServedList) -> Experiment | None:
    """The experiment whose two variants made the list together; None of other lists, or where it is gone."""
    if not served.teams:
        return None
    ran = Experiment.objects.filter(
        placement=served.placement, mode=Experiment.Mode.INTERLEAVED, started_at__lte=served.served_at
    )
    return ran.order_by("-started_at").first()


def teams_of(served: ServedList, experiment: Experiment | None) -> dict[int, str]:
    """Position -> the name of the variant that chose the car there; without what merchandising rules pinned."""
    names = dict(zip(TEAMS, ("the control", "the other variant"), strict=True))
    if experiment is not None and len(experiment.variants) == len(TEAMS):
        names = dict(zip(TEAMS, (experiment.control_arm, *experiment.other_arms), strict=True))
    return {position: names[team] for position, team in enumerate(served.teams, start=1) if team in names}


def terms_as_of(served: ServedList, experiment: Experiment | None) -> dict[int, Mapping[str, float]]:
    """Listing id -> the terms of its score for that buyer, then, by that version; empty where those are gone.

    Of a list that two variants made together, each car's are those of the variant that chose it.
    """
    oldest = timezone.now() - timedelta(days=settings.WINDOW_LOOKBACK_DAYS)
    if served.buyer is None or served.version_id is None or served.served_at < oldest:
        return {}
    if experiment is None or served.placement is None:
        return terms_by(served, None, served.version_id, served.listing_ids)
    control = rules_together(served.placement, vars(experiment))
    found: dict[int, Mapping[str, float]] = {}
    for rules, version_id, letters in (
        (control, served.version_id, (TEAMS[0], NEITHER)),
        (control.other, version_of_the_other(served, control), TEAMS[1]),
    ):
        ids = [key for key, team in zip(served.listing_ids, served.teams, strict=False) if team in letters]
        found |= terms_by(served, rules, version_id, ids) if ids and version_id else {}
    return found


def version_of_the_other(served: ServedList, control: Rules) -> int | None:
    """The version that ranked for the variant beside the control, whose own is the one that the list names.

    None where that is not known any more.
    """
    if control.other and control.other.version_id:
        return control.other.version_id
    return live_at(served.served_at) if control.version_id else served.version_id


def live_at(moment: datetime) -> int | None:
    """The version that was live then; None where that is not known any more.

    Of each version the last promotion is noted. So one that was live then and came back is not found by its date; it
    can only have come back where another was promoted in between.
    """
    promoted = RankerVersion.objects.filter(promoted_at__isnull=False).order_by("-promoted_at")
    since = [
        (version.created_at, version.promoted_at)
        for version in promoted.filter(promoted_at__gt=moment)
        if version.promoted_at is not None
    ]
    if any(one[0] < moment and other[0] < one[1] for one, other in permutations(since, 2)):
        return None
    return promoted.filter(promoted_at__lte=moment).values_list("pk", flat=True).first()


def terms_by(
    served: ServedList, rules: Rules | None, version_id: int, listing_ids: Sequence[int]
) -> dict[int, Mapping[str, float]]:
    """The same of some of its cars, by a version, and by the rules of a variant where they were chosen by them."""
    listings = list(Listing.objects.with_card_data().filter(pk__in=listing_ids))
    question = WhatIf(
        buyer=served.buyer,  # type: ignore[arg-type] # a list without one is not asked about
        k=1,
        filters=ListingFilters.from_query(served.filters),
        version_id=version_id,
        as_of=served.served_at,
        rules=rules,
    )
    try:
        scorer = answer(question).scorer
    except RankerRefused:
        return {}
    explanations = explain(listings, scorer)
    return {row.pk: each.breakdown for row, each in zip(listings, explanations, strict=True)}
