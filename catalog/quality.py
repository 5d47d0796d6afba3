"""How good the stock is: what is missing, odd, double or stale among the cars for sale.

A report counts every check in one pass over the stock and is kept as a row, so that looking at it costs nothing,
however large the stock; it says how old it is. ``warnings`` names what is worth an operator's time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise

from accounts.models import User
from catalog import units
from catalog.currencies import has_no_rate
from catalog.models import Listing, QualityReport
from catalog.signals import odd_prices_asked
from jobs.work import Attempt, outcome, perform

Status = QualityReport.Status
IDS_KEPT = 1_000  # of a check's listings; up to so many, its list is read by their ids instead of by a search
REPORTS_KEPT = 60
STALE_SHARE_OF_LIFE = 2 / 3  # of LISTING_LIFETIME_DAYS
OLD_REPORT = timedelta(days=3)
OUTLIER_FACTOR = 3
SIMILAR_AT_LEAST = 8  # fewer cars of a kind do not say what one costs
NEVER = 2.0  # no share is as large
Find = Callable[[datetime], list[int]]


@dataclass(frozen=True)
class Check:
    """One question about each listing: by a condition on its own row, or by ``find`` across rows.

    ``worth_a_warning`` is the share of the stock from which on the dashboard warns, or NEVER.
    """

    key: str
    group: str
    title: str
    note: str | Promise
    worth_a_warning: float
    condition: Callable[[datetime], Q] | None = None
    find: Find | None = None


@dataclass(frozen=True)
class Warning:
    """What the dashboard shows of a check that found too much."""

    title: str
    figure: str
    note: str | Promise
    url: str


@dataclass(frozen=True)
class Line:
    """A check with what it found last, and the time before; ``url`` leads to the listings."""

    check: Check
    n: int
    share: float
    before: int | None
    url: str

    @property
    def percent(self) -> str:
        """To the tenth below one per cent, so that a handful of listings is not nothing."""
        if 0 < self.share < 0.001:
            return "< 0.1%"
        return f"{self.share:.1%}" if 0 < self.share < 0.01 else f"{self.share:.0%}"

    @property
    def is_warning(self) -> bool:
        return self.n > 0 and self.share >= self.check.worth_a_warning


# --- The checks ------------------------------------------------------------------------------------------------------
def always(condition: Q) -> Callable[[datetime], Q]:
    return lambda now: condition


def stale_days() -> int:
    return round(settings.LISTING_LIFETIME_DAYS * STALE_SHARE_OF_LIFE)


def is_stale(now: datetime) -> Q:
    long_ago = now - timedelta(days=stale_days())
    not_seen = Q(last_seen_at=None) | Q(last_seen_at__lt=long_ago)
    return not_seen & Q(published_at__lt=long_ago, updated_at__lt=long_ago)


def is_of_no_year(now: datetime) -> Q:
    return Q(year__gt=now.year + 1) | Q(year__lt=1950)


def is_hardly_driven(now: datetime) -> Q:
    return Q(mileage_km__lt=1_000, year__lte=now.year - 4)


def ids_of(statement: str, **parameters: Any) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [listing_id for (listing_id,) in cursor.fetchall()]


def odd_prices(now: datetime) -> list[int]:
    """By the price model of the recommender; before its first training by the median of the same model and year."""
    answers: list[Any] = odd_prices_asked.send(sender=Listing, factor=OUTLIER_FACTOR)
    found = [ids for _, ids in answers if ids is not None]
    return found[0] if found else far_from_the_median(now)


def far_from_the_median(now: datetime) -> list[int]:
    return ids_of(
        """
        WITH typical AS (
            SELECT car_model_id, year, currency, percentile_cont(0.5) WITHIN GROUP (ORDER BY price::float8) AS median
            FROM catalog_listing
            WHERE status = 'live' AND price IS NOT NULL AND car_model_id IS NOT NULL AND year IS NOT NULL
            GROUP BY car_model_id, year, currency HAVING count(*) >= %(similar)s
        )
        SELECT l.id FROM catalog_listing l JOIN typical t USING (car_model_id, year, currency)
        WHERE l.status = 'live' AND (l.price < t.median / %(factor)s OR l.price > t.median * %(factor)s)
        ORDER BY l.id
        """,
        similar=SIMILAR_AT_LEAST,
        factor=OUTLIER_FACTOR,
    )


def same_fingerprint(now: datetime) -> list[int]:
    return ids_of(
        """
        SELECT l.id FROM catalog_listing l JOIN (
            SELECT fingerprint FROM catalog_listing WHERE NOT (fingerprint = '') AND status = 'live'
            GROUP BY fingerprint HAVING count(*) > 1
        ) double USING (fingerprint) WHERE l.status = 'live' ORDER BY l.fingerprint, l.id
        """
    )


def same_facts(now: datetime) -> list[int]:
    """Model, year, mileage to the kilometre, price and colour: two cars hardly share all of them."""
    return ids_of(
        """
        SELECT id FROM (
            SELECT id, car_model_id, mileage_km, count(*) OVER (
                PARTITION BY car_model_id, year, mileage_km, price, currency, colour
            ) AS n
            FROM catalog_listing
            WHERE status = 'live' AND car_model_id IS NOT NULL AND year IS NOT NULL AND price IS NOT NULL
              AND mileage_km > 1000 AND mileage_km %% 1000 <> 0
        ) counted WHERE n > 1 ORDER BY car_model_id, mileage_km, id
        """
    )


def copies_among(listings: Iterable[Listing]) -> list[int]:
    """Keys of advertisements of a car of which an older one, by publication, is among the listings too.

    The same car by its identity, or by facts that two cars hardly share (``same_facts``).
    """
    seen: set[tuple[object, ...]] = set()
    copies = []
    for row in sorted(listings, key=lambda one: (one.published_at is None, one.published_at or one.created_at, one.pk)):
        facts = (row.car_model_id, row.year, row.mileage_km, row.price, row.currency, row.colour)
        known: list[tuple[object, ...]] = [("car", row.car_key)] if row.car_key else []
        known += [facts] if None not in (row.car_model_id, row.year, row.mileage_km, row.price) else []
        if seen.intersection(known):
            copies.append(row.pk)
        seen.update(known)
    return copies


MISSING, ODD, DOUBLE, STALE = "Missing", "Odd", "Double", "Stale"
NO_TASTE = "Preferences that turn on it cannot distinguish this car from others."
CHECKS = (
    Check("no_make", MISSING, "No make", NO_TASTE, 0.05, always(Q(make=None))),
    Check("no_model", MISSING, "No model", NO_TASTE, 0.10, always(Q(car_model=None))),
    Check("no_price", MISSING, "No price", "No buyer with a budget is shown it.", 0.02, always(Q(price=None))),
    Check("no_year", MISSING, "No year", NO_TASTE, 0.05, always(Q(year=None))),
    Check("no_mileage", MISSING, "No mileage", NO_TASTE, 0.10, always(Q(mileage_km=None))),
    Check("no_fuel", MISSING, "No fuel", "Filters by fuel leave it out.", 0.10, always(Q(fuel=""))),
    Check("no_gearbox", MISSING, "No gearbox", "Filters by gearbox leave it out.", 0.15, always(Q(gearbox=""))),
    Check("no_body", MISSING, "No body", "Filters by body leave it out.", 0.30, always(Q(body=""))),
    Check("no_power", MISSING, "No power", "Power is taken for the average.", 0.50, always(Q(power_kw=None))),
    Check("no_photo", MISSING, "No photo", "Buyers hardly open cars they cannot see.", NEVER, always(Q(photo_url=""))),
    Check(
        "no_place", MISSING, "No place", "Searches around a place leave it out.", 0.30,
        always(Q(latitude=None, place="", seller__place="") | Q(latitude=None, place="", seller=None)),
    ),
    Check("no_seller", MISSING, "No seller", "Limits per seller do not hold for it.", 0.30, always(Q(seller=None))),
    Check(
        "odd_price", ODD, "Price far from its kind",
        f"Less than a third, or more than {OUTLIER_FACTOR} times, what the price model of the live ranker expects; "
        f"before the first training, the median of at least {SIMILAR_AT_LEAST} cars of the same model and year. "
        "With a price or mileage out of all reason a car is no deal, has no market price and is not trending.",
        0.02, find=odd_prices,
    ),
    Check("odd_year", ODD, "Implausible year", "Before 1950, or after next year.", 0.01, is_of_no_year),
    Check(
        "odd_mileage", ODD, "Implausible mileage", units.lazily("More than {}.", units.distance, 600_000), 0.01,
        always(Q(mileage_km__gt=600_000)),
    ),
    Check(
        "hardly_driven", ODD, "Hardly driven",
        units.lazily("Under {} after four years or more.", units.distance, 1_000), 0.02, is_hardly_driven,
    ),
    Check(
        "odd_power", ODD, "Implausible power", units.lazily("Under {}, or more than {}.", units.power, 15, 800), 0.01,
        always(Q(power_kw__lt=15) | Q(power_kw__gt=800)),
    ),
    Check(
        "other_currency", ODD, "In another currency",
        "Compared with others by EXCHANGE_RATES.", 0.05,
        lambda now: ~Q(currency=settings.MARKET_CURRENCY),
    ),
    Check(
        "no_exchange_rate", ODD, "In a currency without a rate",
        "EXCHANGE_RATES does not say what it is worth: no price filter matches it, and it has no market price.", 0.0,
        lambda now: has_no_rate(),
    ),
    Check(
        "same_fingerprint", DOUBLE, "Advertised by two sources", "Word for word the same advertisement, live twice.",
        0.01, find=same_fingerprint,
    ),
    Check(
        "same_facts", DOUBLE, "Probably the same car",
        "The same model, year, mileage to the kilometre, price and colour, live more than once.", 0.02, find=same_facts,
    ),
    Check(
        "stale", STALE, "For sale for long, never touched",
        f"Published and last changed more than {stale_days()} days ago; sold elsewhere, as a rule.", 0.20, is_stale,
    ),
)  # fmt: skip
CHECK_BY_KEY = {check.key: check for check in CHECKS}


def stock() -> QuerySet[Listing]:
    return Listing.objects.available().cars()


def narrowed(listings: QuerySet[Listing], key: str) -> QuerySet[Listing]:
    """Those a check is about. Few are read by the ids of the last report, many by their condition.

    A condition few rows meet would be searched for through all of them; one that many meet is met soon.
    """
    check, report = CHECK_BY_KEY.get(key), latest_report()
    found = (report.figures.get(key) if report else None) or {}
    if check is None:
        return listings.none()
    if check.condition is None or found.get("n", IDS_KEPT + 1) <= IDS_KEPT:
        return listings.filter(pk__in=found.get("ids", []))
    available: QuerySet[Listing] = listings.available().cars()  # type: ignore[attr-defined]
    return available.filter(check.condition(timezone.now()))


# --- Reports ---------------------------------------------------------------------------------------------------------
def latest_report() -> QualityReport | None:
    return QualityReport.objects.filter(status=Status.DONE).order_by("-created_at").first()


@transaction.atomic
def queue_report(*, started_by: User | None = None) -> QualityReport | None:
    """A report that waits for a worker; None when one is under way already."""
    lost = QualityReport.objects.timed_out(timezone.now()).values("pk")
    if QualityReport.objects.unfinished().exclude(pk__in=lost).exists():
        return None
    return QualityReport.objects.create(started_by=started_by)


def run_report(*, report_id: int) -> str:
    """Make a queued report; one that another process has, or that was cancelled, is left alone."""
    perform(QualityReport, report_id, fill_in)
    report = QualityReport.objects.get(pk=report_id)
    forget_old_reports()
    return outcome(report, f"{report.n_live} listings checked")


def fill_in(attempt: Attempt[QualityReport]) -> None:
    now = timezone.now()
    conditions = {check.key: check.condition(now) for check in CHECKS if check.condition}
    counted = stock().aggregate(n=Count("pk"), **{key: Count("pk", filter=each) for key, each in conditions.items()})
    n_live = counted.pop("n")
    figures: dict[str, dict[str, Any]] = {}
    for number, check in enumerate(CHECKS, start=1):
        if check.find:
            ids = check.find(now)
            figures[check.key] = {"n": len(ids), "ids": ids[:IDS_KEPT]}
        else:
            n = counted[check.key]
            few = stock().filter(conditions[check.key]).order_by("pk").values_list("pk", flat=True)
            figures[check.key] = {"n": n, "ids": list(few) if 0 < n <= IDS_KEPT else []}
        attempt.report(number / len(CHECKS), check.title)
    attempt.finish(figures=figures, n_live=n_live)


def forget_old_reports() -> None:
    kept = QualityReport.objects.order_by("-created_at").values("pk")[:REPORTS_KEPT]
    QualityReport.objects.exclude(pk__in=kept).delete()


# --- What they say ---------------------------------------------------------------------------------------------------
def lines_of(report: QualityReport, before: QualityReport | None = None) -> list[Line]:
    """All checks with what the report found; those it does not know yet are left out."""
    return [
        Line(
            check,
            n := report.figures[check.key]["n"],
            n / report.n_live if report.n_live else 0.0,
            before.figures[check.key]["n"] if before and check.key in before.figures else None,
            list_of(check.key),
        )
        for check in CHECKS
        if check.key in report.figures
    ]


def list_of(key: str) -> str:
    """The list of listings a check is about."""
    return reverse("admin:catalog_listing_changelist", query={"quality": key})


def warnings() -> list[Warning]:
    """What the dashboard warns of: checks that found more than is usual, the largest share first. One short query."""
    report = latest_report()
    if report is None:
        return []
    worst = sorted((line for line in lines_of(report) if line.is_warning), key=lambda line: -line.share)
    found = [Warning(line.check.title, f"{line.n:,} ({line.share:.0%})", line.check.note, line.url) for line in worst]
    age = timezone.now() - report.created_at
    if age > OLD_REPORT:
        note = "The nightly schedule did not run: is beat running?"
        found.append(Warning("The quality report is old", f"{age.days} days", note, reverse("admin:catalog_quality")))
    return found
