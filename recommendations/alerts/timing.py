"""The time of a buyer's next message: frequency, caps, and quiet hours in the buyer's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings

from recommendations.models import AlertSettings

DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Rules:
    """The settings of one buyer, with the site's defaults filled in.

    Attributes:
        is_daily: One message a day, at ``daily_hour``.
        per_day: Largest number of messages within 24 hours.
        gap: Between two messages; cars found meanwhile are sent together.
        zone: The buyer's time zone, for all hours.
        quiet_from: The hour at which quiet hours begin.
        quiet_until: The hour at which they end; equal hours mean none.
        daily_hour: Of daily messages.
    """

    is_daily: bool
    per_day: int
    gap: timedelta
    zone: tzinfo
    quiet_from: int
    quiet_until: int
    daily_hour: int


def rules_for(chosen: AlertSettings | None) -> Rules:
    chosen = chosen or AlertSettings()
    quiet_from, quiet_until = settings.ALERT_QUIET_HOURS
    if chosen.quiet_from is not None and chosen.quiet_until is not None:
        quiet_from, quiet_until = chosen.quiet_from, chosen.quiet_until
    return Rules(
        is_daily=chosen.frequency == AlertSettings.Frequency.DAILY,
        per_day=chosen.per_day or settings.ALERTS_PER_DAY,
        gap=timedelta(minutes=settings.ALERT_GAP_MINUTES),
        zone=zone_named(chosen.time_zone or settings.ALERT_TIME_ZONE),
        quiet_from=quiet_from,
        quiet_until=quiet_until,
        daily_hour=settings.ALERT_DAILY_HOUR,
    )


def zone_named(name: str) -> tzinfo:
    """Return the time zone of a name; UTC for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def next_time(rules: Rules, sent: Sequence[datetime], now: datetime) -> datetime:
    """Return the time of the next message: ``now``, or a later time.

    Args:
        rules: Of the buyer.
        sent: Times of the messages of the last 24 hours and more, newest first.
        now: With a time zone.
    """
    at = now
    if sent:
        at = max(at, sent[0] + rules.gap)
    if len(sent) >= rules.per_day:
        at = max(at, sent[rules.per_day - 1] + DAY)
    if rules.is_daily:
        at = max(at, daily_time(rules, sent[0] if sent else None, now))
    return end_of_quiet(rules, at)


def daily_time(rules: Rules, last: datetime | None, now: datetime) -> datetime:
    """Return the next daily hour: today's if nothing was sent since, else tomorrow's."""
    local = now.astimezone(rules.zone)
    today = local.replace(hour=rules.daily_hour, minute=0, second=0, microsecond=0)
    if last is not None and last >= today:
        return today + timedelta(days=1)
    return today


def end_of_quiet(rules: Rules, at: datetime) -> datetime:
    """Return the same time, or the end of the quiet hours that contain it."""
    local = at.astimezone(rules.zone)
    if not is_quiet(rules, local.hour):
        return at
    end = local.replace(hour=rules.quiet_until, minute=0, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)


def is_quiet(rules: Rules, hour: int) -> bool:
    if rules.quiet_from <= rules.quiet_until:
        return rules.quiet_from <= hour < rules.quiet_until
    return hour >= rules.quiet_from or hour < rules.quiet_until
