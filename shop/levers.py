"""What staff do from a card, for every visitor: pin a car, hide it, boost it, mark it as sold; and take each back.

Pinning, hiding and boosting are merchandising rules about that one car, with their record of changes, so that the
console has them too. Each lever of a car has one rule, which is switched on and off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from accounts.models import User
from catalog.exceptions import CatalogRefusal
from catalog.models import Listing
from catalog.services import mark_sold, relist_listing
from catalog.units import number
from console import auditing
from recommendations.merchandising import changes
from recommendations.models import MerchandisingRule, Placement
from recommendations.serving.placements import HOME

MAY_SELL = "catalog.change_listing"
MAY_LEAD = ("recommendations.add_merchandisingrule", "recommendations.change_merchandisingrule")
BOOST_PERCENT = 50
SOLD, UNSOLD = "sold", "unsold"
Action = MerchandisingRule.Action
PLAIN = (  # columns of a rule that a lever leaves as a new rule has them, whatever was changed in the console
    "target", "interest", "audience", "holdout", "is_promoted", "priority", "share", "strength", "position", "n_pinned",
)  # fmt: skip


@dataclass(frozen=True)
class Lever:
    """A rule about one car.

    Attributes:
        off: The deed that takes it back; its own name is that of the deed that sets it.
        label, label_off: On its button; marked for translation, as what is said.
        done, undone: What became of the car.
        values: Of the rule's columns.
        is_at_home: Whether it holds for the list of the home page alone, or for every list.
    """

    name: str
    off: str
    label: str
    label_off: str
    done: str
    undone: str
    values: Mapping[str, Any]
    is_at_home: bool = False

    def rule_name(self, listing_id: int) -> str:
        """By which the rule of a car is found again."""
        return f"{self.label} car {listing_id} (shop)"


LEVERS = {
    lever.name: lever
    for lever in (
        Lever(
            "pin", "unpin", gettext_noop("Pin"), gettext_noop("Unpin"),
            gettext_noop("%(car)s is pinned to the top of the list"), gettext_noop("%(car)s is pinned no longer"),
            {"action": Action.PIN, "position": 1, "n_pinned": 1}, is_at_home=True,
        ),
        Lever(
            "bar", "unbar", gettext_noop("Hide from all"), gettext_noop("Show to all"),
            gettext_noop("%(car)s is hidden from all visitors"),
            gettext_noop("%(car)s may be shown to all visitors again"), {"action": Action.HIDE},
        ),
        Lever(
            "boost", "unboost", gettext_noop("Boost"), gettext_noop("Unboost"),
            gettext_noop("%(car)s is boosted by %(percent)s%%"), gettext_noop("%(car)s is boosted no longer"),
            {"action": Action.BOOST, "strength": BOOST_PERCENT},
        ),
    )
}  # fmt: skip
BY_DEED = {deed: lever for lever in LEVERS.values() for deed in (lever.name, lever.off)}
DEEDS = frozenset({*BY_DEED, SOLD, UNSOLD})


@dataclass(frozen=True)
class Button:
    """A button of a card; its id stays while its deed and label turn, so that the keyboard keeps its place."""

    id: str
    deed: str
    label: str
    is_on: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is said of a deed, and the deed that takes it back; '' where nothing happened."""

    note: str
    undo: str = ""


def may_lead(user: Any) -> bool:
    return bool(user.has_perms(MAY_LEAD))


def may_sell(user: Any) -> bool:
    return bool(user.has_perm(MAY_SELL))


def do(deed: str, listing: Listing, by: User) -> Outcome:
    """Carry out a deed of ``DEEDS``; nothing where the person may not."""
    if deed in BY_DEED:
        return _lead(BY_DEED[deed], deed, listing, by) if may_lead(by) else Outcome("")
    return _trade(deed, listing, by) if may_sell(by) else Outcome("")


def levers_on(listings: Collection[Listing]) -> dict[int, set[str]]:
    """Key of a listing -> names of its levers that are on, in one query."""
    owners = {lever.rule_name(each.pk): (each.pk, name) for each in listings for name, lever in LEVERS.items()}
    found: dict[int, set[str]] = {}
    on = MerchandisingRule.objects.filter(name__in=list(owners), is_active=True).order_by()
    for rule_name in on.values_list("name", flat=True):
        key, name = owners[rule_name]
        found.setdefault(key, set()).add(name)
    return found


def buttons_of(user: Any, listing: Listing, on: Collection[str]) -> Sequence[Button]:
    """The buttons that a person may press on a car's card."""
    leads = [
        Button(lever.name, lever.off, _(lever.label_off), True)
        if lever.name in on
        else Button(lever.name, lever.name, _(lever.label))
        for lever in LEVERS.values()
    ]
    sales = [Button(SOLD, SOLD, _("Sold"))] if listing.is_available else []
    if listing.status == Listing.Status.SOLD:
        sales = [Button(SOLD, UNSOLD, _("Not sold"))]
    return [*(leads if may_lead(user) else []), *(sales if may_sell(user) else [])]


def _lead(lever: Lever, deed: str, listing: Listing, by: User) -> Outcome:
    with transaction.atomic():
        is_changed = _set(lever, listing, by) if deed == lever.name else _take_back(lever, listing, by)
    said, undo = (lever.done, lever.off) if deed == lever.name else (lever.undone, lever.name)
    note = _(said) % {"car": listing.name, "percent": number(BOOST_PERCENT)}
    return Outcome(note, undo) if is_changed else Outcome(_("Nothing changed: %(note)s") % {"note": note})


def _set(lever: Lever, listing: Listing, by: User) -> bool:
    """Switch the car's rule on, and make it say again what it says, whatever was changed about it since."""
    values = {**lever.values, "is_active": True}
    made_of = {**values, "note": f"Set on the card of {listing.name} in the shop window."}
    rule, is_new = MerchandisingRule.objects.get_or_create(name=lever.rule_name(listing.pk), defaults=made_of)
    rule = MerchandisingRule.objects.select_for_update().get(pk=rule.pk)
    before = None if is_new else changes.state_of(rule)
    plain = {name: MerchandisingRule._meta.get_field(name).get_default() for name in PLAIN if name not in values}  # type: ignore[union-attr]
    times = dict.fromkeys((*changes.TIMES, *changes.TIMES_OF_DAY))
    for name, value in {**values, **plain, **times}.items():
        setattr(rule, name, value)
    rule.save()
    rule.listings.set([listing.pk])
    rule.sellers.clear()
    rule.placements.set(Placement.objects.filter(slug=HOME) if lever.is_at_home else [])
    return _note(rule, before, by)


def _take_back(lever: Lever, listing: Listing, by: User) -> bool:
    rule = MerchandisingRule.objects.filter(name=lever.rule_name(listing.pk)).first()
    if rule is None or not changes.switch([rule], on=False, by=by):
        return False
    auditing.record(
        by=by, action="changed", target=rule, before={"is_active": True}, after={"is_active": False}, note="In the shop"
    )
    return True


def _note(rule: MerchandisingRule, before: changes.State | None, by: User) -> bool:
    """In the rule's own record, for the undo of the console, and in the audit log."""
    change = changes.record_change(rule, before, by)
    if change is None:
        return False
    if before is None:
        auditing.record(by=by, action="added", target=rule, after=change.after, note="In the shop")
    else:
        was, now = auditing.changes(before, change.after)
        auditing.record(by=by, action="changed", target=rule, before=was, after=now, note="In the shop")
    return True


TRADES: Mapping[str, tuple[Callable[..., Listing], str, str, str]] = {  # deed -> service, note, what is said, undo
    SOLD: (mark_sold, "Marked as sold", gettext_noop("%(car)s is sold, and on no list any more"), UNSOLD),
    UNSOLD: (relist_listing, "Put back on sale", gettext_noop("%(car)s is for sale again"), SOLD),
}


def _trade(deed: str, listing: Listing, by: User) -> Outcome:
    """With its entry in the audit log, as from the console."""
    service, note, said, undo = TRADES[deed]
    try:
        with transaction.atomic():
            before = auditing.snapshot(listing)
            service(listing=listing)
            before, after = auditing.changes(before, auditing.snapshot(listing))
            auditing.record(by=by, action="changed", target=listing, before=before, after=after, note=note)
    except CatalogRefusal as refusal:
        return Outcome(str(refusal))
    return Outcome(_(said) % {"car": listing.name}, undo)
