"""When the next message may go."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recommendations.alerts.timing import Rules, next_time, rules_for, zone_named
from recommendations.models import AlertSettings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
LONDON, BERLIN, AUCKLAND = ZoneInfo("Europe/London"), ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Auckland")


def rules(**changed):
    plain = {
        "is_daily": False, "per_day": 3, "gap": timedelta(minutes=15), "zone": UTC, "quiet_from": 0, "quiet_until": 0,
        "daily_hour": 8,
    }  # fmt: skip
    return Rules(**plain | changed)


def ago(*minutes):
    return [NOON - timedelta(minutes=each) for each in minutes]


@pytest.mark.parametrize(
    ("given", "sent", "expected"),
    [
        ({}, [], NOON),
        ({}, ago(20), NOON),
        ({}, ago(5), NOON + timedelta(minutes=10)),
        ({}, ago(20, 40), NOON),
        ({}, ago(20, 40, 60), NOON + timedelta(hours=23)),
        ({}, ago(20, 40, 60, 80), NOON + timedelta(hours=23)),
        ({}, ago(20, 40, 24 * 60), NOON),
        ({"quiet_from": 22, "quiet_until": 7}, [], NOON),
        ({"quiet_from": 12, "quiet_until": 14}, [], NOON + timedelta(hours=2)),
        ({"quiet_from": 10, "quiet_until": 12}, [], NOON),
        ({"quiet_from": 12, "quiet_until": 12}, [], NOON),
        ({"quiet_from": 22, "quiet_until": 13}, [], NOON + timedelta(hours=1)),
        ({"quiet_from": 12, "quiet_until": 7}, [], datetime(2026, 11, 30, 7, tzinfo=UTC)),
        ({"quiet_from": 22, "quiet_until": 7, "zone": AUCKLAND}, [], datetime(2026, 11, 29, 18, tzinfo=UTC)),
        ({"quiet_from": 13, "quiet_until": 14, "zone": BERLIN}, [], NOON + timedelta(hours=1)),
        ({"quiet_from": 12, "quiet_until": 13}, ago(5), NOON + timedelta(hours=1)),
        ({"is_daily": True}, [], NOON),
        ({"is_daily": True}, ago(3 * 60), datetime(2026, 11, 30, 8, tzinfo=UTC)),
        ({"is_daily": True}, ago(5 * 60), NOON),
        ({"is_daily": True, "daily_hour": 18}, [], datetime(2026, 11, 29, 18, tzinfo=UTC)),
        ({"is_daily": True, "daily_hour": 8, "quiet_from": 8, "quiet_until": 13}, [], NOON + timedelta(hours=1)),
    ],
)
def test_the_next_message_waits_for_gap_cap_daily_hour_and_quiet_hours(given, sent, expected):
    assert next_time(rules(**given), sent, NOON) == expected


def test_a_night_without_alerts_follows_the_clocks_of_the_buyer():
    night = rules(quiet_from=22, quiet_until=7, zone=LONDON)
    summer = datetime(2026, 7, 1, 21, 30, tzinfo=UTC)  # 22:30 in London
    assert next_time(night, [], summer) == datetime(2026, 7, 2, 6, tzinfo=UTC)
    winter = datetime(2026, 12, 1, 21, 30, tzinfo=UTC)
    assert next_time(night, [], winter) == winter


def test_what_a_buyer_leaves_open_is_the_sites(settings):
    settings.ALERTS_PER_DAY, settings.ALERT_QUIET_HOURS, settings.ALERT_TIME_ZONE = 4, (21, 6), "Europe/Berlin"
    assert (rules_for(None).per_day, rules_for(None).quiet_from, rules_for(None).zone) == (4, 21, BERLIN)
    own = AlertSettings(per_day=1, quiet_from=0, quiet_until=0, time_zone="Pacific/Auckland", frequency="daily")
    found = rules_for(own)
    assert (found.per_day, found.quiet_from, found.quiet_until, found.is_daily) == (1, 0, 0, True)
    assert found.zone == AUCKLAND


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "\0"])
def test_a_zone_that_is_not_known_is_utc(name):
    assert zone_named(name) == ZoneInfo("UTC")
