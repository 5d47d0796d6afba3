"""Everything this app knows of a person, as plain values for a file. Erasing needs no help: rows hang on the buyer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from accounts.models import Buyer
from recommendations.buyers.profiles import profile_of
from recommendations.exceptions import RankerRefused
from recommendations.models import (
    AlertMessage,
    AlertSettings,
    BotMark,
    BuyerSeller,
    CarAlert,
    Impression,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
    ShownAgain,
    WaitingEvent,
)

Rows = list[dict[str, Any]]


def personal_data_of(buyers: Sequence[Buyer]) -> dict[str, Rows]:
    """By name: events, lists shown, saved searches, and what was concluded from them; oldest first."""
    return {
        "events": rows_of(Interaction.objects.filter(buyer__in=buyers).order_by("occurred_at", "id"), EVENT),
        "events_that_wait_for_their_listing": rows_of(
            WaitingEvent.objects.filter(buyer__in=buyers).order_by("received_at", "id"), WAITING
        ),
        "impressions": rows_of(Impression.objects.filter(buyer__in=buyers).order_by("received_at", "id"), IMPRESSION),
        "lists": rows_of(ServedList.objects.filter(buyer__in=buyers).order_by("served_at"), LIST),
        "saved_searches": rows_of(SavedSearch.objects.filter(buyer__in=buyers).order_by("created_at"), SEARCH),
        "alerts": rows_of(CarAlert.objects.filter(buyer__in=buyers).order_by("found_at", "id"), ALERT),
        "alert_messages": rows_of(AlertMessage.objects.filter(buyer__in=buyers).order_by("created_at"), ALERT_MESSAGE),
        "alert_settings": rows_of(AlertSettings.objects.filter(buyer__in=buyers).order_by("id"), ALERT_SETTINGS),
        "sellers_of_own_or_blocked": rows_of(
            BuyerSeller.objects.filter(buyer__in=buyers).order_by("created_at", "id"), SELLER
        ),
        "cars_shown_again": rows_of(ShownAgain.objects.filter(buyer__in=buyers).order_by("at", "id"), AGAIN),
        "bot_marks": rows_of(BotMark.objects.filter(buyer__in=buyers).order_by("decided_at"), BOT_MARK),
        "preferences": [
            preference_row(preference)
            for preference in Preference.objects.filter(buyer__in=buyers).order_by("computed_at")
        ],
    }


# key in the file -> field of the row
EVENT = {
    "event_id": "event_id", "kind": "kind_id", "listing_id": "listing_id",
    "external_id": "listing__external_id", "source": "listing__source", "url": "listing__url", "query": "query",
    "occurred_at": "occurred_at", "received_at": "received_at", "list_id": "served_list_id", "position": "position",
    "dwell_seconds": "dwell_seconds", "value": "value",
}  # fmt: skip
WAITING = {
    "event_id": "event_id", "kind": "kind_id", "external_id": "external_id", "source": "source", "query": "query",
    "occurred_at": "occurred_at", "received_at": "received_at", "list_id": "served_list_id", "position": "position",
    "dwell_seconds": "dwell_seconds", "value": "value",
}  # fmt: skip
IMPRESSION = {
    "event_id": "event_id", "list_id": "served_list_id", "positions": "positions", "listing_ids": "listing_ids",
    "occurred_at": "occurred_at", "received_at": "received_at",
}  # fmt: skip
LIST = {
    "list_id": "id", "served_at": "served_at", "placement": "placement__slug", "variant": "variant",
    "filters": "filters", "listing_ids": "listing_ids",
}  # fmt: skip
SELLER = {"seller": "seller_external_id", "relation": "relation", "since": "created_at"}
AGAIN = {"listing_id": "listing_id", "external_id": "listing__external_id", "source": "listing__source", "at": "at"}
BOT_MARK = {"is_bot": "is_bot", "reason": "reason", "detail": "detail", "decided_at": "decided_at"}
SEARCH = {"name": "name", "query": "query", "alerts": "is_alerting", "created_at": "created_at"}
ALERT_SETTINGS = {
    name: name for name in ("is_enabled", "frequency", "per_day", "time_zone", "quiet_from", "quiet_until")
}
ALERT = {
    "listing_id": "listing_id", "external_id": "listing__external_id", "source": "listing__source",
    "saved_search": "search__name", "reason": "reason", "status": "status", "found_at": "found_at",
    "alert_id": "message_id",
}  # fmt: skip
ALERT_MESSAGE = {
    "alert_id": "id",
    "sent_at": "created_at",
    "n_cars": "n_cars",
    "webhook_id": "webhook_id",
    "email": "mail",
}


def rows_of(rows: Any, columns: dict[str, str]) -> Rows:
    return [dict(zip(columns, row, strict=True)) for row in rows.values_list(*columns.values())]


def preference_row(preference: Preference) -> dict[str, Any]:
    """The vector itself, and the same in words where its version can still be read."""
    row: dict[str, Any] = {
        "version": preference.version_id,
        "computed_at": preference.computed_at,
        "n_events": preference.n_interactions,
        "vector": [float(number) for number in preference.mean],
    }
    with suppress(RankerRefused):
        profile = profile_of(preference)
        row["certainty"] = profile.certainty
        row["wishes"] = [
            {"field": wish.field, "wanted": wish.wanted, "unwanted": wish.unwanted} for wish in profile.wishes
        ]
    return row
