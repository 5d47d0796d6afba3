"""Which car a request is about: by our id, or by the id that its source knows it by."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.models import ApiKey
from catalog.api.fields import QuestionSerializer
from catalog.models import Listing
from catalog.querysets import ITEMS

SOURCE_HELP = "Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."


def default_source(request: Request) -> str:
    """The source of listing ids where a request names none."""
    own = request.auth.source if isinstance(request.auth, ApiKey) else ""
    return own or settings.LISTING_SOURCE


class ExternalIdField(serializers.CharField):
    """The id that a source knows a car by: opaque, so that " 7" is not "7"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 255, "trim_whitespace": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, float):  # 7.0 is not the id "7", whatever a client makes of its numbers
            self.fail("invalid")
        return str(super().to_internal_value(data))


class SourceField(serializers.CharField):
    """A system whose ids are apart from those of every other one."""

    default_error_messages = {"reserved": gettext_lazy("“items” are the items of /add_items, which are no cars.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 80, "required": False, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        source = super().to_internal_value(data)
        if source == ITEMS:
            self.fail("reserved")
        return source


class ListingReferenceSerializer(QuestionSerializer):
    """One listing: by `listing_id`, or by `external_id` and `source`."""

    listing_id = serializers.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, help_text="Our id of the car; or else `external_id`."
    )
    external_id = ExternalIdField(required=False, help_text="Your id of the car.")
    source = SourceField(help_text=SOURCE_HELP)  # type: ignore[assignment]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("listing_id" in attrs) == ("external_id" in attrs):
            raise ValidationError({"listing_id": _("Name the car by listing_id or by external_id, one of the two.")})
        return attrs


def referenced_listing(
    request: Request, listings: QuerySet[Listing], listing_id: str | None = None, named: Any = None
) -> Listing:
    """The car that the path, ``named`` (a body) or else the query names, among ``listings``.

    Raises ValidationError where it is named wrongly, and Http404 where there is no such car among them.
    """
    if listing_id is not None:
        return _only(listings.filter(pk=int(listing_id)))
    reference = ListingReferenceSerializer(data=request.query_params if named is None else named)
    reference.is_valid(raise_exception=True)
    checked = reference.validated_data
    if "listing_id" in checked:
        return _only(listings.filter(pk=checked["listing_id"]))
    return listing_of(listings, checked.get("source", default_source(request)), checked["external_id"])


def listing_of(listings: QuerySet[Listing], source: str, external_id: str) -> Listing:
    """The car that a source knows by an id; Http404 without one."""
    return _only(listings.filter(source=source, external_id=external_id))


def _only(listings: QuerySet[Listing]) -> Listing:
    listing = listings.first()
    if listing is None:
        raise Http404(_("There is no such car."))
    return listing
