"""Record events: one or many, from buyers for themselves or from a client system for the buyers it names."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.identity import BUYER_REQUIRED, NOT_ANOTHER_BUYER, own_buyer_of
from accounts.api.permissions import IsBuyerOrHasScope
from accounts.api.throttles import CALLER_THROTTLES, carried
from accounts.models import ApiKey, Buyer
from accounts.services import buyers_for_external_ids
from catalog.api.fields import FiltersSerializer, QuestionSerializer
from catalog.api.references import default_source
from catalog.models import Listing
from recommendations.api import examples
from recommendations.api.event_serializers import SEVERAL_CARS, EventSerializer, EventsSerializer, RecordedSerializer
from recommendations.events.impressions import PROBLEMS_NAMED
from recommendations.events.log import IMPRESSION
from recommendations.events.recording import Event, Outcome, Recorded, Result, record_interactions_of_many
from recommendations.exceptions import EventsConflict, EventsRefused
from web.errors import flattened
from web.strict import StrictView, checked, field_names, unknown_names

EVENTS = ["Events"]
PARTIAL = OpenApiParameter(
    "partial", bool, default=False,
    description="Record the events that are right, and say of each other one why it is not.",
)  # fmt: skip
CARS_SEEN_PER_REQUEST = 20_000  # in all impressions together, each of which counts as one event
ATTEMPTS = 2  # a buyer may be erased while an event of theirs comes in


class EventIdTaken(ValidationError):
    """An event id that its sender gave to another event; names both."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class PartialSerializer(QuestionSerializer):
    partial = serializers.BooleanField(default=False)  # type: ignore[assignment]


@dataclass
class Item:
    """One event of a body: its checked fields, or its problems as pairs of field and reason."""

    event: dict[str, Any] | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Batch:
    """The events of a body. ``path`` names one of them in errors: ``events[{index}].``, or empty for a single event."""

    items: list[Item]
    path: str
    is_single: bool

    def refuse_problems(self) -> None:
        problems: dict[str, list[str]] = {}
        for index, item in enumerate(self.items):
            for name, reason in item.problems:
                problems.setdefault(_joined(self.path.format(index=index), name), []).append(reason)
        if problems:
            raise ValidationError(problems)


class EventsView(StrictView):
    """Record events: users and guests send their own, client systems those of the buyers they name."""

    permission_classes = [IsBuyerOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    carried_in = ("events", "positions", "listing_ids", "external_ids")  # the last three: of one impression
    parameters = {"post": [PARTIAL]}

    @extend_schema(
        tags=EVENTS,
        summary="Record events",
        operation_id="record_events",
        description=(
            'One event, a list of events, or `{"events": […]}`, at most EVENTS_PER_REQUEST (1,000) at once. All of '
            "them are recorded or, when one is refused, none; with `partial=true` those that are right. The answer to "
            "a list says of each event, in order, what became of it. An `event_id` belongs to its sender, which is the "
            "API key or else the buyer: sent again with the same content it is `repeated` and changes nothing, with "
            "other content it is a conflict, which names both. An event that names an `external_id` which no listing "
            "has is `waiting`: it is recorded, as of when it occurred, once the listing comes, and removed when none "
            "came within EVENTS_WAITING_DAYS (7). An `impression` says which cars of a list were seen: its `list_id` "
            "with `positions`, `listing_ids` or `external_ids`, many at once. By itself it says nothing of a taste; "
            "what was served and not seen no longer counts as turned down, or as shown."
        ),
        parameters=parameters["post"],
        request=PolymorphicProxySerializer(
            "EventsQuestion", [EventSerializer, EventsSerializer, EventSerializer(many=True)], None, many=False
        ),
        responses={
            201: RecordedSerializer,
            200: OpenApiResponse(RecordedSerializer, description="With `partial=true`: none of them was recorded."),
            403: OpenApiResponse(description="A key without the scope `ingest`, or an event of another buyer."),
            409: OpenApiResponse(description="An `event_id` of this sender is that of another event."),
        },
        examples=examples.EVENTS,
    )
    def post(self, request: Request) -> Response:
        question = checked(PartialSerializer, request.query_params)
        is_partial = question["partial"] or _wants_partial(request.data)
        batch = batch_in(request.data)
        resolve_listings(request, batch)
        resolve_seen_listings(request, batch)
        if not is_partial:
            batch.refuse_problems()
        results = record(request, batch, is_partial)
        is_any = any(result.is_kept for result in results)
        code = status.HTTP_201_CREATED if is_any else status.HTTP_200_OK
        return Response(answer_of(results, batch.is_single), status=code)


def _wants_partial(data: Any) -> bool:
    """Whether the body asks for ``partial``, beside its events."""
    if not isinstance(data, dict) or "events" not in data or "partial" not in data:
        return False
    if not isinstance(data["partial"], bool):
        raise ValidationError({"partial": [_("true or false is expected.")]})
    return data["partial"]


def batch_in(data: Any) -> Batch:
    """The events of a body, each checked by itself. Raises ValidationError for no events, or too many."""
    if isinstance(data, dict) and "events" not in data:
        return Batch([_checked(data)], "", is_single=True)
    events = data["events"] if isinstance(data, dict) else data
    _refuse_wrong_number(events)
    if isinstance(data, dict) and (unknown := unknown_names(data, field_names(EventsSerializer))):
        raise ValidationError(unknown)
    return Batch([_checked(event) for event in events], "events[{index}].", is_single=False)


def _checked(data: Any) -> Item:
    try:
        return Item(checked(EventSerializer, data))
    except ValidationError as refusal:
        return Item(None, list(flattened(refusal.detail)))


def _refuse_wrong_number(events: Any) -> None:
    """Raise ValidationError for no events or too many, before any is checked, so that a huge list costs nothing."""
    if not isinstance(events, list) or not events:
        raise ValidationError({"events": [_("A list of at least one event is expected.")]})
    if len(events) > settings.EVENTS_PER_REQUEST:
        too_many = _("At most %(n)s events are taken at once.") % {"n": settings.EVENTS_PER_REQUEST}
        raise ValidationError({"events": [too_many]})
    if sum(carried(event, tuple(SEVERAL_CARS)) for event in events) > CARS_SEEN_PER_REQUEST + len(events):
        too_many = _("Impressions of at most %(n)s cars are taken at once.") % {"n": CARS_SEEN_PER_REQUEST}
        raise ValidationError({"events": [too_many]})


def record(request: Request, batch: Batch, is_partial: bool) -> list[Result]:
    """Record a batch; returns what became of each event.

    Raises EventIdTaken or ValidationError where an event cannot be recorded and ``is_partial`` is false.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():  # buyers who are new do not stay either when an event is refused
                return _record_once(request, batch, is_partial)
        except EventsConflict as refusal:
            raise EventIdTaken(_problems_by_path(refusal, batch.path)) from None
        except EventsRefused as refusal:
            raise ValidationError(_problems_by_path(refusal, batch.path)) from None
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _record_once(request: Request, batch: Batch, is_partial: bool) -> list[Result]:
    key = request.auth if isinstance(request.auth, ApiKey) else None
    own = None if key else own_buyer_of(request)
    check_buyers(own, batch)
    if not is_partial:
        batch.refuse_problems()
    right = [item.event for item in batch.items if item.event is not None and not item.problems]
    events = pair_with_buyers(own, right)
    recorded = record_interactions_of_many(
        events_by_buyer=events, key=key, is_partial=is_partial
    ) if right else Recorded([])  # fmt: skip
    buyers = [*([own] if own else []), *(buyer for buyer, _ in events)]
    kept = {buyer.pk for (buyer, _), result in zip(events, recorded.results, strict=True) if result.is_kept}
    remove_unused_buyers(buyers, kept)
    results = iter(recorded.results)
    return [
        next(results) if item.event is not None and not item.problems else Result("", Outcome.REFUSED, item.problems)
        for item in batch.items
    ]


def resolve_seen_listings(request: Request, batch: Batch) -> None:
    """Replace the external ids in impressions by listing ids, in one query. An unknown id is a problem: an impression
    cannot wait for its listing."""
    source = default_source(request)
    seen = [item for item in batch.items if item.event is not None and item.event["kind"] == IMPRESSION]
    references = {
        (item.event.get("source", source), name)
        for item in seen
        if item.event is not None
        for name in external_ids_seen(item.event)
    }
    known = Listing.objects.ids_by_reference(references) if references else {}
    for item in seen:
        if item.event is None:
            continue
        named = [(item.event.get("source", source), name) for name in external_ids_seen(item.event)]
        item.problems += [("external_ids", no_such_listing(*name)) for name in named if name not in known][
            :PROBLEMS_NAMED
        ]
        item.event["seen_ids"] = [known[name] for name in named if name in known]


def no_such_listing(source: str, external_id: str) -> str:
    return _("there is no listing “%(external_id)s” of “%(source)s”") % {"external_id": external_id, "source": source}


def external_ids_seen(event: dict[str, Any]) -> list[str]:
    """The external ids in an impression."""
    of_one = [event["external_id"]] if event.get("external_id") is not None else []
    return [*of_one, *(event.get("external_ids") or ())]


def resolve_listings(request: Request, batch: Batch) -> None:
    """Replace the external ids in other events by listing ids, in one query; with an unknown one, the event will wait
    for its listing."""
    source = default_source(request)
    named = [
        (item.event, (item.event.get("source", source), item.event["external_id"]))
        for item in batch.items
        if item.event is not None and item.event.get("external_id") is not None and item.event["kind"] != IMPRESSION
    ]
    known = Listing.objects.ids_by_reference({reference for _, reference in named})
    for event, reference in named:
        event |= {"listing_id": known[reference]} if reference in known else {"waits_for": reference}


def remove_unused_buyers(buyers: Iterable[Buyer], kept: Collection[int]) -> None:
    """Remove new buyers without a recorded event, so that a refused event cannot bring an erased buyer back."""
    if unused := {buyer.pk for buyer in buyers if buyer.is_new} - {*kept}:
        Buyer.objects.filter(pk__in=unused).delete()


def check_buyers(own: Buyer | None, batch: Batch) -> None:
    """Add a problem to events that lack a buyer, where ``own`` is None, and to those that may not have a value.

    Raises PermissionDenied for an event of another buyer than ``own``.
    """
    for index, item in enumerate(batch.items):
        if item.event is None:
            continue
        if own is None and "buyer" not in item.event:
            missing = ("buyer", str(BUYER_REQUIRED))
            item.problems = [*(each for each in item.problems if each != missing), missing]
        elif own is not None and item.event.get("buyer") not in (None, own.external_id):
            path = batch.path.format(index=index)
            raise PermissionDenied(f"{path}buyer: {NOT_ANOTHER_BUYER}")
        elif own is not None and item.event.get("value") is not None:  # anyone could decide an experiment with it
            item.problems = [*item.problems, ("value", _("Only a client system says what it is worth."))]


def pair_with_buyers(own: Buyer | None, events: Sequence[dict[str, Any]]) -> list[tuple[Buyer, Event]]:
    """Each event with its buyer: ``own``, or else the buyer it names, who is created if new."""
    if own is not None:
        return [(own, _as_event(event)) for event in events]
    buyers = buyers_for_external_ids(event["buyer"] for event in events)
    return [(buyers[event["buyer"]], _as_event(event)) for event in events]


def _as_event(event: dict[str, Any]) -> Event:
    if event["kind"] == IMPRESSION:
        return _as_impression(event)
    query = event.get("query")
    return Event(
        kind=event["kind"],
        event_id=event["event_id"],
        listing_id=event.get("listing_id"),
        waits_for=event.get("waits_for"),
        query=FiltersSerializer.filters_of(query).as_query() if query else None,
        occurred_at=event.get("occurred_at"),
        served_list_id=event.get("list_id"),
        position=event.get("position"),
        dwell_seconds=event.get("dwell_seconds"),
        value=event.get("value"),
    )


def _as_impression(event: dict[str, Any]) -> Event:
    """An impression names one car or position in the fields of other events, and several in its own fields."""
    of_one = {name: [event[name]] if event.get(name) is not None else [] for name in ("listing_id", "position")}
    return Event(
        kind=IMPRESSION,
        event_id=event["event_id"],
        occurred_at=event.get("occurred_at"),
        served_list_id=event.get("list_id"),
        seen_positions=[*of_one["position"], *(event.get("positions") or ())],
        seen_ids=[*of_one["listing_id"], *(event.get("listing_ids") or ()), *event["seen_ids"]],
    )


def _problems_by_path(refusal: EventsRefused, path: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for problem in refusal.problems:
        fields.setdefault(path.format(index=problem.index) + problem.field, []).append(problem.reason)
    return fields


def _joined(path: str, name: str) -> str:
    """``events[3].`` and ``kind`` → ``events[3].kind``; a problem of the whole event is named by the path alone."""
    is_whole = name in ("", "non_field_errors")
    return path.rstrip(".") if is_whole else path + name


def answer_of(results: Sequence[Result], is_single: bool) -> dict[str, Any]:
    recorded = Recorded(list(results))
    counts = {"recorded": recorded.n_recorded, "waiting": recorded.n_waiting, "repeated": recorded.n_repeated}
    return counts if is_single else {**counts, "events": [_result(result) for result in results]}


def _result(result: Result) -> dict[str, Any]:
    fields: dict[str, list[str]] = {}
    for name, reason in result.problems:
        fields.setdefault(name, []).append(reason)
    return {"event_id": result.event_id, "status": result.outcome.value, "fields": fields}
