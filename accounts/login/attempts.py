"""How often passwords and codes may be tried: one count for all doors, kept in the database.

A try is counted before it is looked at, by one statement that many at once wait for in turn: of a hundred tries at the
same moment no more are looked at than of a hundred one after another, by however many processes. The cache takes no
part, so its absence changes nothing. The last try within a limit closes the account (or the address) for all others;
when it was right, that is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone

from accounts.exceptions import TooManyTries
from accounts.models import FailedLogins, User
from console.auditing import record
from console.formats import stamp
from web.addresses import network_of

Kind = FailedLogins.Kind
LONGEST_NAME = 254  # characters of an email address
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
CLOSED, OPENED = "closed", "opened"  # in the audit log

# A count is over when its account or address opens again, or, if it never closed, when its time is up. While it is
# closed tries are counted on (to be seen), and it opens no later for them.
COUNT = """
INSERT INTO accounts_failedlogins AS known (kind, name, n_tries, first_at, last_at, closed_until)
SELECT %(kind)s, %(name)s, 1, moment, moment, CASE WHEN %(limit)s <= 1 THEN moment + %(closed_for)s END
FROM clock_timestamp() AS moment
ON CONFLICT (kind, name) DO UPDATE SET
    n_tries = CASE WHEN {is_over} THEN 1 ELSE LEAST(known.n_tries + 1, 1000000000) END,
    first_at = CASE WHEN {is_over} THEN excluded.first_at ELSE known.first_at END,
    last_at = excluded.last_at,
    closed_until = CASE
        WHEN {is_over} THEN excluded.closed_until
        WHEN known.n_tries + 1 < %(limit)s THEN NULL
        ELSE COALESCE(known.closed_until, {closing})
    END
RETURNING id, n_tries, first_at, closed_until, clock_timestamp()
""".format(
    is_over="COALESCE(known.closed_until, known.first_at + %(within)s) <= excluded.last_at",
    closing="CASE WHEN %(is_pace)s THEN known.first_at ELSE excluded.last_at END + %(closed_for)s",
)


@dataclass(frozen=True)
class Limit:
    at_most: int
    within: timedelta
    closed_for: timedelta


@dataclass(frozen=True)
class _Counted:
    kind: str
    name: str
    row_id: int
    n_tries: int
    limit: Limit
    closed_until: datetime | None
    now: datetime

    @property
    def is_allowed(self) -> bool:
        return self.n_tries <= self.limit.at_most

    @property
    def has_closed_it(self) -> bool:
        """Of all tries that were looked at, exactly one is the last: its failure is what the audit log keeps."""
        return self.n_tries == self.limit.at_most and self.kind != Kind.PACE

    @property
    def seconds_closed(self) -> float:
        return (self.closed_until - self.now).total_seconds() if self.closed_until else 1.0


@dataclass(frozen=True)
class Attempt:
    """One try that may be looked at. Who looks at it says how it ended; what never ends counts as failed."""

    account: str
    address: str
    counted: tuple[_Counted, ...]

    def end(self, *, is_right: bool) -> None:
        if is_right:
            self._take_back()
        else:
            for counted in self.counted:
                if counted.has_closed_it:
                    self._note_closing(counted)

    @transaction.atomic
    def _take_back(self) -> None:
        """What failed on this account is forgiven; of the address only this try, for others are counted there."""
        for counted in self.counted:
            if counted.kind == Kind.ADDRESS:
                _take_one_back(counted)
            elif counted.kind != Kind.PACE:
                FailedLogins.objects.filter(kind=counted.kind, name=counted.name).delete()

    def _note_closing(self, counted: _Counted) -> None:
        what = "wrong codes" if counted.kind == Kind.CODE else "wrong passwords"
        where = "" if counted.kind == Kind.ADDRESS else f", the last from {self.address}"
        note = f"{counted.n_tries} {what}{where}. Opens by itself at {stamp(counted.closed_until)}."
        user = None if counted.kind == Kind.ADDRESS else _user_called(self.account)
        row = FailedLogins(pk=counted.row_id, kind=counted.kind, name=counted.name)
        record(by=None, action=CLOSED, target=user or row, note=note)


def begin(kind: str, account: str, address: str) -> Attempt:
    """Count a try on an account from an address, before it is looked at. Raises TooManyTries.

    ``account``: as ``account_name`` gives it. From an address that is closed nothing more is counted on accounts, so
    that it cannot fill the table with names.
    """
    network = network_of(address)
    counted = [_count(Kind.ADDRESS, network, failures_limit(settings.LOGIN_FAILURES_PER_ADDRESS))] if network else []
    _refuse(counted)
    if pace := pace_limit():
        counted.append(_count(Kind.PACE, f"{network} {account}", pace))
    _refuse(counted)
    counted.append(_count(kind, account, failures_limit(settings.LOGIN_FAILURES_PER_ACCOUNT)))
    _refuse(counted)
    return Attempt(account, network, tuple(counted))


def count_reset(address: str) -> None:
    """One more request for a password reset from an address. Raises TooManyTries."""
    _refuse([_count(Kind.RESET, network_of(address), failures_limit(settings.LOGIN_FAILURES_PER_ACCOUNT))])


def looked_at(kind: str, user: User, address: str, look: Callable[[], bool]) -> bool:
    """Whether ``look`` finds what this user gave to be right, counted as a try. Raises TooManyTries."""
    attempt = begin(kind, account_name(user.email), address)
    is_right = look()
    attempt.end(is_right=is_right)
    return is_right


def account_name(typed: str) -> str:
    """One name for every spelling that the database takes for the same account; an unknown one is counted likewise."""
    known = _user_called(cleaned(typed))
    return (known.email if known else cleaned(typed)).lower()[:LONGEST_NAME]


def cleaned(typed: str) -> str:
    """What was typed for an address, as the database can hold it: no NUL, no half of a character."""
    return typed.encode(errors="replace").decode().replace("\0", "").strip()[:LONGEST_NAME]


def failures_limit(at_most: int) -> Limit:
    closed_for = timedelta(minutes=settings.LOGIN_CLOSED_MINUTES)
    return Limit(at_most, within=closed_for, closed_for=closed_for)


def pace_limit() -> Limit | None:
    """THROTTLE_LOGIN: right and wrong ones, in windows that start with the first."""
    if not settings.THROTTLE_LOGIN:
        return None
    number, _, period = settings.THROTTLE_LOGIN.partition("/")
    window = timedelta(seconds=SECONDS[period[0]])
    return Limit(int(number), within=window, closed_for=window)


def _refuse(counted: list[_Counted]) -> None:
    """Raise TooManyTries if the newest count is beyond its limit; what is not looked at is no failure."""
    if not counted or counted[-1].is_allowed:
        return
    for earlier in counted[:-1]:
        if earlier.kind == Kind.ADDRESS:
            _take_one_back(earlier)
    raise TooManyTries(counted[-1].seconds_closed)


def _take_one_back(counted: _Counted) -> None:
    """One try less; a limit that is no longer reached is open again."""
    row = FailedLogins.objects.filter(kind=counted.kind, name=counted.name, n_tries__gt=0)
    row.filter(n_tries__lte=counted.limit.at_most).update(closed_until=None)
    row.update(n_tries=models.F("n_tries") - 1)


def _user_called(account: str) -> User | None:
    return User.objects.filter(email__iexact=account).first()


def _count(kind: str, name: str, limit: Limit) -> _Counted:
    given: dict[str, Any] = {
        "kind": kind, "name": name, "limit": limit.at_most, "within": limit.within, "closed_for": limit.closed_for,
        "is_pace": kind == Kind.PACE,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(COUNT, given)
        row_id, n_tries, _, closed_until, now = cursor.fetchone()
    return _Counted(kind, name, row_id, n_tries, limit, closed_until, now)


@transaction.atomic
def open_again(rows: models.QuerySet[FailedLogins], *, by: User | None, note: str = "") -> int:
    """Forget what was counted, so that it may be tried again at once; how many were forgotten."""
    found = list(rows.select_for_update())
    for row in found:
        user = _user_called(row.name) if row.kind in (Kind.ACCOUNT, Kind.CODE) else None
        record(by=by, action=OPENED, target=user or row, note=note or f"{row.n_tries} tries were forgotten: {row}.")
        row.delete()
    return len(found)


def forget_old_counts(older_than: timedelta) -> None:
    """Remove counts older than this, so that names typed by unknown people are not kept for ever."""
    FailedLogins.objects.filter(last_at__lt=timezone.now() - older_than).delete()
