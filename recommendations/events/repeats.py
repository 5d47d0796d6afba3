"""Find events that were sent before: the same id from the same sender, with the same or with other content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Buyer
from recommendations.events import waiting
from recommendations.events.log import Row, buyer_as_sender, in_short
from recommendations.models import Impression, Interaction, WaitingEvent

NOT_NOTED = ""  # the sender of events that an earlier release recorded


class EarlierEvents:
    """The stored events that a request may repeat: those of its sender with the ids it names.

    The events of guests who were merged into a buyer count as the buyer's. An earlier release stored no sender; such an
    event is a repeat if it is of the same buyer with the same content, and otherwise counts as another sender's.
    """

    def __init__(self, rows: Sequence[Row], named: set[str], key: ApiKey | None) -> None:
        self._by_id: dict[tuple[str, str], Row] = {}
        self._guests: dict[str, list[str]] = {}
        self._named = named
        if not named:
            return
        if key is None:
            self._guests = guests_of({row.buyer_id for row in rows})
        senders = {NOT_NOTED, *(row.sender for row in rows), *(each for own in self._guests.values() for each in own)}
        early = WaitingEvent.objects.filter(event_id__in=named, sender__in=senders)
        if early.exists() and not waiting.release(early):  # those whose listing has come are events of the log by now
            self._add_all(early)
        self._add_all(Interaction.objects.filter(event_id__in=named, sender__in=senders))
        self._add_all(Impression.objects.filter(event_id__in=named, sender__in=senders))

    def _add_all(self, rows: QuerySet[Interaction] | QuerySet[WaitingEvent] | QuerySet[Impression]) -> None:
        for earlier in rows.select_related("buyer").order_by():
            self.add(earlier)

    def add(self, row: Row) -> None:
        if row.event_id in self._named:
            self._by_id[row.event_id, row.sender] = row

    def event_like(self, row: Row) -> Row | None:
        """The event of the same sender and id; else one of a merged guest, or without a sender, of equal content."""
        if own := self._by_id.get((row.event_id, row.sender)):
            return own
        of_guests = [self._by_id.get((row.event_id, sender)) for sender in self._guests.get(row.sender, ())]
        same = next((each for each in of_guests if each and each.content_digest == row.content_digest), None)
        if same:
            return same
        old = self._by_id.get((row.event_id, NOT_NOTED))
        if old is None or not says_the_same(old, row):
            return None
        old.content_digest = row.content_digest
        return old


def guests_of(buyer_ids: Iterable[int]) -> dict[str, list[str]]:
    """The sender names of the guests merged into each buyer, by the buyer's own sender name."""
    senders: dict[str, list[str]] = {}
    for guest in Buyer.objects.filter(merged_into__in=buyer_ids).order_by("pk").only("merged_into"):
        senders.setdefault(f"buyer:{guest.merged_into_id}", []).append(buyer_as_sender(guest.pk))
    return senders


def says_the_same(earlier: Row, row: Row) -> bool:
    """Compare with an event stored without a digest. Times are left out: the stored one may be that of its arrival."""
    names = ("buyer_id", "kind_id", "listing_id", "query")
    return all(getattr(earlier, name, None) == getattr(row, name, None) for name in names)


def conflict_between(earlier: Row, row: Row) -> str:
    return _("“%(id)s” is the id of another event of yours: %(earlier)s. What came now is %(now)s.") % {
        "id": row.event_id,
        "earlier": in_short(earlier),
        "now": in_short(row),
    }
