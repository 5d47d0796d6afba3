"""The changes of merchandising rules, and the undo of the last one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from accounts.models import User
from recommendations.exceptions import RecommendationsError
from recommendations.models import MerchandisingChange, MerchandisingRule

PLAIN = (
    "name", "is_active", "action", "position", "n_pinned", "strength", "share", "target", "audience", "interest",
    "is_promoted", "priority", "holdout", "note",
)  # fmt: skip
TIMES = ("starts_at", "ends_at")
TIMES_OF_DAY = ("from_time", "until_time")
RELATIONS = ("sellers", "listings", "placements")

State = dict[str, Any]


class NothingToUndo(RecommendationsError):
    """Every change of the rule was undone already."""

    def __init__(self) -> None:
        super().__init__("Every change of this rule was taken back already.")


def state_of(rule: MerchandisingRule) -> State:
    """Return all fields of a rule as JSON values."""
    moments = {name: getattr(rule, name) for name in (*TIMES, *TIMES_OF_DAY)}
    return {
        **{name: getattr(rule, name) for name in PLAIN},
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
        **{name: named_in(rule, name) for name in RELATIONS},
    }


def named_in(rule: MerchandisingRule, name: str) -> list[int]:
    """Return the keys of the rows that a rule names, those included that were removed since."""
    relation = getattr(rule, name)
    column = relation.target_field.column
    return sorted(relation.through._default_manager.filter(merchandisingrule=rule).values_list(column, flat=True))


def record_change(rule: MerchandisingRule, before: State | None, by: User | None) -> MerchandisingChange | None:
    """Record a change for ``undo_last``; None where nothing changed. Call it in the transaction of the change."""
    after = state_of(rule)
    if after == before:
        return None
    return MerchandisingChange.objects.create(rule=rule, by=by, before=before, after=after)


@transaction.atomic
def switch(rules: Iterable[MerchandisingRule], *, on: bool, by: User | None) -> int:
    """Switch rules on or off; returns how many changed."""
    keys = [rule.pk for rule in rules]
    locked = MerchandisingRule.objects.select_for_update().filter(pk__in=keys).exclude(is_active=on)
    changed = list(locked)
    for rule in changed:
        before = state_of(rule)
        rule.is_active = on
        rule.save(update_fields=["is_active", "updated_at"])
        record_change(rule, before, by)
    return len(changed)


@transaction.atomic
def undo_last(rule: MerchandisingRule) -> MerchandisingChange:
    """Undo the newest change that was not undone yet: the rule gets its previous fields, a new one is switched off.

    Cars and sellers that were removed since stay named, so that the rule is about no others; where all its placements
    were removed it is switched off. Raises NothingToUndo.
    """
    MerchandisingRule.objects.select_for_update().get(pk=rule.pk)
    change = rule.changes.filter(is_undone=False).first()
    if change is None:
        raise NothingToUndo
    restore(rule, change.before if change.before is not None else {**change.after, "is_active": False})
    change.is_undone = True
    change.save(update_fields=["is_undone"])
    return change


def restore(rule: MerchandisingRule, state: State) -> None:
    """Set all fields of a rule from JSON values."""
    for name in PLAIN:
        setattr(rule, name, state[name])
    for name, kind in (*((name, dt.datetime) for name in TIMES), *((name, dt.time) for name in TIMES_OF_DAY)):
        setattr(rule, name, kind.fromisoformat(state[name]) if state[name] else None)  # type: ignore[attr-defined]
    placements = list(rule.placements.model._default_manager.filter(pk__in=state["placements"]))
    rule.is_active = rule.is_active and bool(placements or not state["placements"])
    rule.save()
    rule.placements.set(placements)
    for name in ("sellers", "listings"):
        getattr(rule, name).set(state[name])
