"""Events as they are sent, and what became of them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.api.fields import AmountField, FiltersSerializer, FiniteFloatField
from catalog.api.references import SOURCE_HELP, ExternalIdField, SourceField
from recommendations.api.car_serializers import OriginSerializer
from recommendations.buyers.histories import VIEW
from recommendations.events.log import IMPRESSION, SEARCH

EARLIEST_EVENT = datetime(1990, 1, 1, tzinfo=UTC)  # anything before is a broken clock
SEEN_AT_MOST = 1000  # cars of one impression
SEVERAL_CARS = {"positions", "listing_ids", "external_ids"}  # fields of an impression
LONGEST_DWELL_SECONDS = 86_400


class EventSerializer(OriginSerializer):
    """Something a buyer did."""

    kind = serializers.CharField(max_length=40, help_text="`view`, `like`, `contact`, …; the admin lists them.")
    event_id = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=64,
        help_text="Made by you; an event sent twice with it counts once.",
    )  # fmt: skip
    listing_id = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**63 - 1,
        help_text="Our id of the car; or else `external_id`.",
    )  # fmt: skip
    external_id = ExternalIdField(required=False, allow_null=True, help_text="Your id of the car.")
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]
    query = FiltersSerializer(
        required=False, allow_null=True, help_text="What a search asked for, with the parameters of `/cars/search`."
    )
    occurred_at = serializers.DateTimeField(required=False, help_text="Now, when left out.")
    positions = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=32_767), required=False, allow_null=True,
        max_length=SEEN_AT_MOST, help_text="Of an `impression`: which positions of the list `list_id` were seen.",
    )  # fmt: skip
    listing_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False, allow_null=True,
        max_length=SEEN_AT_MOST, help_text="Of an `impression`: which cars were seen, in place of `positions`.",
    )  # fmt: skip
    external_ids = serializers.ListField(
        child=ExternalIdField(), required=False, allow_null=True, max_length=SEEN_AT_MOST,
        help_text="The same, by your ids.",
    )  # fmt: skip
    dwell_seconds = FiniteFloatField(
        required=False, allow_null=True, min_value=0, max_value=LONGEST_DWELL_SECONDS,
        help_text="Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more "
        "with this.",
    )  # fmt: skip
    value = AmountField(
        max_digits=12, decimal_places=2, required=False, allow_null=True, min_value=0,
        help_text="With an API key, of a contact or a sale: what it is worth to you, in the market's currency. "
        "Experiments add it up.",
    )  # fmt: skip
    buyer = serializers.CharField(
        required=False, max_length=255, trim_whitespace=False, help_text="With an API key: your id of the buyer."
    )

    def validate_occurred_at(self, moment: datetime) -> datetime:
        if moment < EARLIEST_EVENT:
            raise serializers.ValidationError(_("Lies too far in the past to be true."))
        return moment

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("listing_id") is not None and attrs.get("external_id") is not None:
            raise serializers.ValidationError({"external_id": _("Name the car by listing_id or by this, not by both.")})
        if problems := misplaced_fields(attrs):
            raise serializers.ValidationError(problems)
        return attrs


def misplaced_fields(event: Mapping[str, Any]) -> dict[str, str]:
    """Errors for fields that an event of this kind does not take."""
    kind = event["kind"]
    given = {name for name in (*SEVERAL_CARS, "query", "dwell_seconds", "value") if event.get(name)}
    given |= {name for name in ("dwell_seconds", "value") if event.get(name) is not None}
    if kind == IMPRESSION:
        nothing_else = _("An impression says which cars were seen, and nothing else.")
        return dict.fromkeys(given - SEVERAL_CARS, nothing_else)
    problems = dict.fromkeys(given & SEVERAL_CARS, _("Only an impression is about several cars."))
    if kind != VIEW and "dwell_seconds" in given:
        problems["dwell_seconds"] = _("Only a view has it.")
    if kind in (VIEW, SEARCH) and "value" in given:
        problems["value"] = _("A view or a search has no value; a contact or a sale has.")
    return problems


class EventsSerializer(serializers.Serializer[Any]):
    """One event by itself, a list of events, or this."""

    events = EventSerializer(many=True)
    partial = serializers.BooleanField(  # type: ignore[assignment]
        required=False, help_text="The same as the parameter `partial`."
    )


class EventResultSerializer(serializers.Serializer[Any]):
    """What became of one event of a list."""

    event_id = serializers.CharField(help_text="Yours, or made here; empty for one that could not be read.")
    status = serializers.ChoiceField(
        ["recorded", "waiting", "repeated", "conflict", "refused"],
        help_text="`conflict`: the id is that of another event of yours. `waiting`: it is recorded once its listing "
        "comes.",
    )
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), help_text="Why it was not recorded, by field."
    )


class RecordedSerializer(serializers.Serializer[Any]):
    recorded = serializers.IntegerField(help_text="New events.")
    waiting = serializers.IntegerField(help_text="New events whose listing is yet to come.")
    repeated = serializers.IntegerField(help_text="Events that this sender had sent before.")
    events = EventResultSerializer(many=True, required=False, help_text="Of a list: each event, in order.")
