"""Writes to the catalogue with consequences: put a car on sale, take it off, change its price, store a file's rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from catalog.exceptions import ListingNotReady, MassDisappearance, PriceRefused, StatusRefused
from catalog.imports.money import MAX_PRICE
from catalog.imports.staging import unnoted
from catalog.models import Listing, PriceChange, Seller
from catalog.signals import listings_stored

Status = Listing.Status

# --- One listing's life ----------------------------------------------------------------------------------------------
DISAPPEAR_AT_MOST = 0.2  # of a complete set, without a confirmation
DISAPPEAR_ANYWAY = 5  # listings, of however small a set
UNKNOWN_NAMED = 100
EXPIRY_CHUNK = 5_000  # rows locked at once
STATUSES: Mapping[str, Promise] = {  # what a listing is, in the sentences below
    Status.DRAFT: pgettext_lazy("status of a listing", "draft"),
    Status.LIVE: pgettext_lazy("status of a listing", "live"),
    Status.RESERVED: pgettext_lazy("status of a listing", "reserved"),
    Status.SOLD: pgettext_lazy("status of a listing", "sold"),
    Status.WITHDRAWN: pgettext_lazy("status of a listing", "withdrawn"),
    Status.EXPIRED: pgettext_lazy("status of a listing", "expired"),
}
REFUSED_STEPS: Mapping[str, Promise] = {
    "published": gettext_lazy("A listing that is %(status)s cannot be published."),
    "reserved": gettext_lazy("A listing that is %(status)s cannot be reserved."),
    "marked as sold": gettext_lazy("A listing that is %(status)s cannot be marked as sold."),
    "withdrawn": gettext_lazy("A listing that is %(status)s cannot be withdrawn."),
    "relisted": gettext_lazy("A listing that is %(status)s cannot be relisted."),
}
STATUSES_BEFORE: Mapping[str, tuple[Status, ...]] = {  # from which each step leads on
    "published": (Status.DRAFT,),
    "reserved": (Status.LIVE,),
    "marked as sold": (Status.LIVE, Status.RESERVED, Status.WITHDRAWN, Status.EXPIRED),
    "withdrawn": (Status.DRAFT, Status.LIVE, Status.RESERVED),
    "relisted": (Status.RESERVED, Status.SOLD, Status.WITHDRAWN, Status.EXPIRED),
}
MISSING_FOR_SALE: Mapping[tuple[str, ...], Promise] = {
    ("make or title",): gettext_lazy("The listing cannot go on sale without make or title."),
    ("price",): gettext_lazy("The listing cannot go on sale without price."),
    ("make or title", "price"): gettext_lazy("The listing cannot go on sale without make or title and price."),
}


def publish_listing(*, listing: Listing) -> Listing:
    """Put a draft on sale. Raises ListingNotReady without a make or title, or without a price."""
    return _move(listing, "published", to=Status.LIVE)


def reserve_listing(*, listing: Listing) -> Listing:
    """Hold a live listing for a buyer: it leaves every list, and ``relist_listing`` brings it back."""
    return _move(listing, "reserved", to=Status.RESERVED)


def mark_sold(*, listing: Listing) -> Listing:
    """The car is sold, here or elsewhere: also one that was withdrawn or has expired."""
    return _move(listing, "marked as sold", to=Status.SOLD)


def withdraw_listing(*, listing: Listing) -> Listing:
    """Take a listing off the market without a sale."""
    return _move(listing, "withdrawn", to=Status.WITHDRAWN)


def relist_listing(*, listing: Listing) -> Listing:
    """Put back on sale what was reserved or had ended. Raises ListingNotReady as ``publish_listing`` does.

    What was withdrawn or has expired is news when it comes back. A sale that is taken back is not: like a reservation
    that falls through, the listing has the publication time that it had.
    """
    return _move(listing, "relisted", to=Status.LIVE)


@dataclass(frozen=True)
class Completed:
    """What became of a source's stock beside a complete set of ids."""

    n_kept: int
    n_withdrawn: int
    unknown: list[str]


@transaction.atomic
def complete_set(
    *, source: str, external_ids: Collection[str], seller_key: str = "", is_confirmed: bool = False
) -> Completed:
    """Withdraw what a source (or one seller of it) no longer has: its listings whose ids are not among the given.

    It is a delivery: what it names was seen, and what it withdraws is on offer again when it is brought in again.

    Raises MassDisappearance, and changes nothing, where more than ``DISAPPEAR_AT_MOST`` of those on the market would
    go and that is not confirmed: a list that broke off on its way must not empty a shop.
    """
    known = Listing.objects.filter(source=source, external_id__isnull=False)
    if seller_key:
        named = Seller.objects.filter(Q(external_id=seller_key) | Q(keys__key=seller_key))
        known = known.filter(seller__in=named.values("pk"))
    wanted = set(external_ids)
    on_market = known.filter(status__in=(Status.DRAFT, Status.LIVE, Status.RESERVED)).select_for_update()
    listings = list(on_market.order_by("pk").values_list("pk", "external_id"))
    gone = [key for key, external_id in listings if external_id not in wanted]
    kept = [key for key, external_id in listings if external_id in wanted]
    allowed = max(DISAPPEAR_ANYWAY, DISAPPEAR_AT_MOST * len(listings))
    if len(gone) > allowed and not is_confirmed:
        raise MassDisappearance(
            _("%(gone)d of %(all)d listings would leave the market. Send “confirm” if that is so.")
            % {"gone": len(gone), "all": len(listings)}
        )
    now = timezone.now()
    withdrawn = Listing.objects.filter(pk__in=gone).update(
        status=Status.WITHDRAWN, ended_at=now, updated_at=now, missed_runs=F("missed_runs") + 1
    )
    with connection.cursor() as cursor, unnoted(cursor):
        Listing.objects.filter(pk__in=kept).update(last_seen_at=now, missed_runs=0)
    all_known = set(Listing.objects.filter(source=source, external_id__in=wanted).values_list("external_id", flat=True))
    if gone:
        transaction.on_commit(lambda: listings_stored.send(sender=Listing, listing_ids=gone))
    unknown = sorted(wanted - all_known)[:UNKNOWN_NAMED]
    return Completed(len(kept), withdrawn, unknown)


@transaction.atomic
def _move(listing: Listing, step: str, *, to: Status) -> Listing:
    """One step of status, decided on the locked row: of two people who act at once the second is refused."""
    stored = Listing.objects.select_for_update().only("status", "price", "make_id", "title").get(pk=listing.pk)
    if stored.status not in STATUSES_BEFORE[step]:
        raise step_refused(stored.status, step)
    if to == Status.LIVE and (missing := _missing_for_sale(stored)):
        raise ListingNotReady(str(MISSING_FOR_SALE[tuple(missing)]), missing)
    has_ended = to in (Status.SOLD, Status.WITHDRAWN, Status.EXPIRED)
    listing.status = to
    listing.ended_at = timezone.now() if has_ended else None
    is_taken_back = stored.status in (Status.RESERVED, Status.SOLD) and listing.published_at is not None
    if to == Status.LIVE and not is_taken_back:
        listing.published_at = timezone.now()
    listing.missed_runs = 0  # what a person decides holds, whatever deliveries have or have not
    listing.save(update_fields=["status", "published_at", "ended_at", "missed_runs", "updated_at"])
    return listing


def step_refused(status: str, step: str) -> StatusRefused:
    """The refusal of a step (a key of ``REFUSED_STEPS``) in a status, in words."""
    return StatusRefused(str(REFUSED_STEPS[step]) % {"status": STATUSES[status]}, status, step)


def _missing_for_sale(listing: Listing) -> list[str]:
    missing = []
    if listing.make_id is None and not listing.title:
        missing.append("make or title")
    if listing.price is None:
        missing.append("price")
    return missing


@transaction.atomic
def change_price(*, listing: Listing, price: Decimal | int | float | str) -> PriceChange | None:
    """Set a listing's price in its own currency and note the step; None when nothing changed or there was none.

    Raises PriceRefused for what cannot be a price.
    """
    amount = _checked_price(price)
    old = Listing.objects.select_for_update().only("price").get(pk=listing.pk).price
    listing.price = amount
    if old == amount:
        return None
    listing.save(update_fields=["price", "updated_at"])
    if old is None:
        return None
    return PriceChange.objects.create(listing=listing, old_price=old, new_price=amount, currency=listing.currency)


def _checked_price(price: Decimal | int | float | str) -> Decimal:
    try:
        amount = round(Decimal(str(price)), 2)
    except ArithmeticError:
        raise PriceRefused(_("“%(price)s” is not a price.") % {"price": price}) from None
    if not amount.is_finite() or amount <= 0:
        raise PriceRefused(_("A price must be more than nothing."))
    if amount > MAX_PRICE:
        most = number_format(MAX_PRICE, use_l10n=True, force_grouping=True)
        raise PriceRefused(_("A price cannot be more than %(most)s.") % {"most": most})
    return amount


def expire_listings(now: datetime) -> int:
    """End what no delivery had for LISTING_LIFETIME_DAYS; returns how many. Safe to run twice.

    The days count from the time last seen, and from the publication of listings that came in no delivery.
    Set-based and without a ``post_save`` each: expiry changes no vector, and the triggers inform every window.
    """
    oldest = now - timedelta(days=settings.LISTING_LIFETIME_DAYS)
    n_expired = 0
    while True:
        with transaction.atomic():
            overdue = Listing.objects.available().cars().not_seen_since(oldest).order_by("pk")
            listing_ids = list(overdue.select_for_update(skip_locked=True).values_list("pk", flat=True)[:EXPIRY_CHUNK])
            Listing.objects.filter(pk__in=listing_ids).update(status=Status.EXPIRED, ended_at=now, updated_at=now)
        n_expired += len(listing_ids)
        if len(listing_ids) < EXPIRY_CHUNK:
            return n_expired
