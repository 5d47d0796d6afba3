"""Who a request speaks for, guests who turn out to be users, people who leave, and the keys of client systems."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.exceptions import EraseRefused, MergeRefused, UnknownScope
from accounts.models import ApiKey, Buyer, ErasedId, FailedLogins, User
from accounts.origins import UNKNOWN, Origin
from accounts.signals import buyers_merged, person_erased, person_exported
from console.auditing import forget, record

UNSPENT: dict[str, Any] = {"merged_into": None, "spent_at": None}
ERASED, EXPORTED = "erased", "exported"  # in the audit log
OWN_WISH = "Asked for by the person."


def buyer_for_user(user: User, origin: Origin = UNKNOWN) -> Buyer:
    """The buyer a user is, made at first sight."""
    return _with_crawler(known_buyer(user=user) or _standing_buyer(user=user), origin)


def buyer_for_visitor(visitor_key: str, origin: Origin = UNKNOWN) -> Buyer:
    """The guest with this key, made at first sight. A key that was spent makes a new guest: it is never an account.

    ``origin``: where the request came from; a guest keeps that of the request that made them.
    """
    known = {"visitor_key": visitor_key, **UNSPENT}
    buyer, is_new = Buyer.objects.get_or_create(**known, defaults={"origin": origin.digest, "crawler": origin.crawler})
    buyer.is_new = is_new
    return _with_crawler(buyer, origin)


def _with_crawler(buyer: Buyer, origin: Origin) -> Buyer:
    """Note that a program declared itself, once; any other request costs nothing here."""
    if origin.crawler and not buyer.crawler:
        buyer.crawler = origin.crawler
        Buyer.objects.filter(pk=buyer.pk).update(crawler=origin.crawler)
    return buyer


def buyer_for_external_id(external_id: str) -> Buyer:
    """The buyer a client system knows by this id, made at first sight; ids are opaque, so "7" and "007" differ."""
    return _standing_buyer(external_id=external_id)


@transaction.atomic
def buyers_for_external_ids(external_ids: Iterable[str]) -> dict[str, Buyer]:
    """As ``buyer_for_external_id``, for many ids in three queries; the answer has a buyer for each id."""
    wanted = sorted(set(external_ids))  # one order for all requests, so that two requests never wait for each other
    known = set(Buyer.objects.filter(external_id__in=wanted).values_list("external_id", flat=True))
    if missing := [Buyer(external_id=external_id) for external_id in wanted if external_id not in known]:
        Buyer.objects.bulk_create(missing, ignore_conflicts=True)
    made_at = {buyer.external_id: buyer.created_at for buyer in missing}  # another request may have made one first
    buyers = list(Buyer.objects.select_related("merged_into").filter(external_id__in=wanted))
    for buyer in buyers:
        buyer.is_new = made_at.get(buyer.external_id) == buyer.created_at
    return {str(buyer.external_id): _merge_target(buyer) for buyer in buyers}


def known_buyer(
    *, user: User | None = None, visitor_key: str | None = None, external_id: str | None = None
) -> Buyer | None:
    """As the three above, for reading: None for a buyer of whom nothing has been recorded yet."""
    if user is not None:
        return next(iter(Buyer.objects.raw(_query_by_user(), [user.pk])), None)
    if visitor_key is not None:
        return Buyer.objects.filter(visitor_key=visitor_key, **UNSPENT).first()
    if external_id is None:
        return None
    buyer = Buyer.objects.select_related("merged_into").filter(external_id=external_id).first()
    return _merge_target(buyer) if buyer else None


@lru_cache(maxsize=1)
def _query_by_user() -> str:
    """Most requests of buyers ask it, and to compile it takes longer than to run it."""
    statement, _ = Buyer.objects.filter(user=0).query.sql_with_params()
    return statement


def buyer_asked_for(external_id: str) -> Buyer | None:
    """As ``buyer_for_external_id``, where a client system only asks: None for a buyer who was erased."""
    known = known_buyer(external_id=external_id)
    if known is None and ErasedId.objects.filter(digest=ErasedId.digest_of(external_id)).exists():
        return None
    return known or buyer_for_external_id(external_id)


def spend_visitor_key(visitor_key: str) -> None:
    """From now on the key stands for a new guest; what was recorded by it stays where it is."""
    Buyer.objects.filter(visitor_key=visitor_key, spent_at=None).update(spent_at=timezone.now())


def _standing_buyer(**known_by: Any) -> Buyer:
    buyer, is_new = Buyer.objects.select_related("merged_into").get_or_create(**known_by)
    buyer.is_new = is_new
    return _merge_target(buyer)


def _merge_target(buyer: Buyer) -> Buyer:
    """Follow a merge. One step is enough: ``merge_guest`` never leaves a chain behind."""
    return buyer.merged_into or buyer


@transaction.atomic
def merge_guest(*, guest: Buyer, into: Buyer) -> Buyer:
    """Fold a guest's history into the buyer who has turned out to be the same person; safe to repeat.

    The history itself belongs to other apps, which move it when ``buyers_merged`` is sent. What the guest
    answered fills only gaps, and an opt-out of either side holds for both. Raises MergeRefused for a buyer who is not
    a guest, and for a guest who was already merged into another buyer: the next user of a shared browser must not
    take over the history of the previous one.
    """
    if guest.user_id or not guest.visitor_key:
        raise MergeRefused(gettext("Only a guest can be merged into another buyer."))
    return merge_buyer(other=guest, into=into)


@transaction.atomic
def merge_buyer(*, other: Buyer, into: Buyer) -> Buyer:
    """As ``merge_guest``, of any buyer without an account: a client system has found that two ids are one person."""
    guest, into = _lock_both(other, into)
    if guest.merged_into_id == into.pk:
        return into
    _refuse_a_wrong_merge(guest, into)
    _take_over_answers(guest, into)
    guest.merged_into = into
    guest.spent_at = timezone.now()
    guest.save(update_fields=["merged_into", "spent_at"])
    guest.merged_from.update(merged_into=into)
    buyers_merged.send(sender=Buyer, guest=guest, into=into)
    return into


def _lock_both(guest: Buyer, into: Buyer) -> tuple[Buyer, Buyer]:
    """Both rows as they are now, locked in the order of their ids; an event just being written finishes first."""
    locked = {
        buyer.pk: buyer for buyer in Buyer.objects.select_for_update().filter(pk__in=[guest.pk, into.pk]).order_by("pk")
    }
    return locked[guest.pk], locked[into.pk]


def _refuse_a_wrong_merge(guest: Buyer, into: Buyer) -> None:
    if guest.pk == into.pk:
        raise MergeRefused(gettext("A buyer cannot be merged into itself."))
    if guest.user_id:
        raise MergeRefused(gettext("A buyer with an account cannot be merged into another buyer."))
    if guest.merged_into_id:
        raise MergeRefused(gettext("This guest was already merged into another buyer."))
    if into.merged_into_id:
        raise MergeRefused(gettext("The buyer to merge into was merged away."))


def _take_over_answers(guest: Buyer, into: Buyer) -> None:
    into.questionnaire = into.questionnaire or guest.questionnaire
    into.is_personalised = into.is_personalised and guest.is_personalised
    if into.latitude is None:
        into.latitude, into.longitude = guest.latitude, guest.longitude
    into.country, into.locale = into.country or guest.country, into.locale or guest.locale
    into.save(update_fields=["questionnaire", "is_personalised", "latitude", "longitude", "country", "locale"])


def set_personalised(*, buyer: Buyer, is_personalised: bool) -> Buyer:
    """Let a buyer opt out of personal lists, or back in; the history stays as it is."""
    buyer.is_personalised = is_personalised
    buyer.save(update_fields=["is_personalised"])
    return buyer


@transaction.atomic
def erase_person(*, buyer: Buyer, by: User | None = None, note: str = "") -> None:
    """Forget a buyer, the guests the buyer has been, and the account: history, tastes, lists shown, tokens.

    What was learned from many people stays, since no person can be identified in it. The audit log keeps the fact of
    the erasure, when and ``by`` whom (None: by themselves), but not who. Raises EraseRefused for staff: an account that
    others rely on is not removed by one request.
    """
    buyer = Buyer.objects.select_for_update(of=("self",)).select_related("user").get(pk=buyer.pk)
    if buyer.user and buyer.user.is_staff:
        raise EraseRefused(gettext("An operator's account is removed by an administrator, in the admin."))
    person_erased.send(sender=Buyer, buyer=buyer)
    forget([buyer, *buyer.merged_from.all(), *([buyer.user] if buyer.user else [])])
    _remember_erased([buyer, *buyer.merged_from.all()])
    record(by=by, action=ERASED, target=Buyer, note=note or ("" if by else OWN_WISH))
    if buyer.user:
        email = buyer.user.email.lower()
        FailedLogins.objects.filter(Q(name=email) | Q(name__endswith=f" {email}")).delete()
        OutstandingToken.objects.filter(user=buyer.user).delete()
        buyer.user.delete()  # and the buyer with it
    else:
        buyer.delete()


def _remember_erased(buyers: Iterable[Buyer]) -> None:
    digests = [ErasedId.digest_of(buyer.external_id) for buyer in buyers if buyer.external_id is not None]
    ErasedId.objects.bulk_create([ErasedId(digest=digest) for digest in digests], ignore_conflicts=True)


@transaction.atomic
def export_person(*, buyer: Buyer | None, user: User | None = None, by: User | None = None) -> dict[str, Any]:
    """Everything known about a buyer, and about the guests the buyer has been, as plain values by name.

    ``user``: the account, for one who has done nothing yet and is no buyer. The audit log keeps that it was taken, and
    ``by`` whom (None: by themselves).
    """
    is_made_for_this = buyer is None
    if buyer is None:
        if user is None:
            raise ValueError("neither a buyer nor a user")
        buyer = buyer_for_user(user)
    buyers = [buyer, *buyer.merged_from.order_by("pk")]
    exported: dict[str, Any] = {"account": _account_of(buyer.user), "known_as": [_identity_of(each) for each in buyers]}
    answers: list[tuple[Any, Any]] = person_exported.send(sender=Buyer, buyers=buyers)
    for _, answer in answers:
        exported.update(answer)
    record(by=by, action=EXPORTED, target=buyer, note="" if by else OWN_WISH)
    if is_made_for_this:
        buyer.delete()  # in the same transaction: reading makes no buyer
    return exported


def _account_of(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    return {name: getattr(user, name) for name in ("email", "first_name", "last_name", "date_joined", "last_login")}


def _identity_of(buyer: Buyer) -> dict[str, Any]:
    names = ("external_id", "visitor_key", "questionnaire", "is_personalised", "latitude", "longitude", "country",
             "locale", "created_at", "crawler")  # fmt: skip
    return {name: getattr(buyer, name) for name in names}


def create_api_key(
    *,
    name: str,
    scopes: Collection[str],
    created_by: User | None,
    expires_at: datetime | None = None,
    source: str = "",
) -> tuple[ApiKey, str]:
    """A new key and its secret. Only the hash is stored, so this is the only time the secret can be shown."""
    if not scopes or not set(scopes) <= set(ApiKey.Scope.values):
        known = {"scopes": ", ".join(ApiKey.Scope.values)}
        raise UnknownScope(gettext("An API key needs one or more of the scopes %(scopes)s.") % known)
    secret = ApiKey.new_secret()
    key = ApiKey.objects.create(
        name=name,
        prefix=secret[:12],
        hashed_key=ApiKey.digest(secret),
        scopes=[scope for scope in ApiKey.Scope.values if scope in scopes],
        created_by=created_by,
        expires_at=expires_at,
        source=source,
    )
    return key, secret


def revoke_api_key(*, key: ApiKey) -> ApiKey:
    """The key is invalid from now on. Revoking it again keeps the time of the first revocation."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
    return key
