"""Why a served list was as it was: its record, and its scores recomputed as of that time."""

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
CLOSE = 0.01  # scores that differ by less count as equal


@dataclass(frozen=True)
class Explained:
    """One car of a served list.

    Attributes:
        position: 1 is the top.
        listing_id, source, score: As recorded.
        rules: What merchandising rules did to it, in words, as recorded.
        is_promoted: Whether it was labelled as promoted.
        chosen_by: In an interleaved list, the variant of the experiment that chose it; else "".
        terms: Terms of its score as of then, under the same version; empty where they cannot be computed any more.
        is_exact: Whether the terms add up to the recorded score, that is, whether the car's data have not changed
            since.
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
    """Explain every car of a served list, in its order."""
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
    """Return what the record says of merchandising rules, by position."""
    applied: Mapping[str, list[int]] = served.merchandising.get("applied", {})
    rules = MerchandisingRule.objects.in_bulk([int(key) for key in applied])
    found: dict[int, list[str]] = {}
    for key, positions in applied.items():
        rule = rules.get(int(key))
        for position in positions if rule else ():
            found.setdefault(position, []).append(f"{VERBS[rule.action]} by rule “{rule.name}”")  # type: ignore[union-attr]
    return found


def experiment_together(served: ServedList) -> Experiment | None:
    """Return the experiment that interleaved two variants in this list; None for other lists, or where it was
    removed."""
    if not served.teams:
        return None
    ran = Experiment.objects.filter(
        placement=served.placement, mode=Experiment.Mode.INTERLEAVED, started_at__lte=served.served_at
    )
    return ran.order_by("-started_at").first()


def teams_of(served: ServedList, experiment: Experiment | None) -> dict[int, str]:
    """Return the name of the variant that chose the car at each position, without cars that rules pinned."""
    names = dict(zip(TEAMS, ("the control", "the other variant"), strict=True))
    if experiment is not None and len(experiment.variants) == len(TEAMS):
        names = dict(zip(TEAMS, (experiment.control_arm, *experiment.other_arms), strict=True))
    return {position: names[team] for position, team in enumerate(served.teams, start=1) if team in names}


def terms_as_of(served: ServedList, experiment: Experiment | None) -> dict[int, Mapping[str, float]]:
    """Return the terms of each car's score, by listing id, as of then; empty where the version is gone.

    In an interleaved list they are those of the variant that chose the car.
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
    """Return the version of the variant beside the control; None where it is not known any more.

    The list names the version of the control.
    """
    if control.other and control.other.version_id:
        return control.other.version_id
    return live_at(served.served_at) if control.version_id else served.version_id


def live_at(moment: datetime) -> int | None:
    """Return the version that was live at a time; None where it is not known any more.

    Only the last promotion of each version is stored, so a version that was live then and was promoted again later is
    not found by its date. It can only be one that came back after another was promoted in between.
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
    """Return the terms of some cars of a list under a version, and under a variant's rules if given."""
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
