"""Whose taste a request is about."""

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.fields import CharField
from rest_framework.request import Request

from accounts.api.authentication import VisitorKey
from accounts.api.permissions import is_client_system
from accounts.models import Buyer, User
from accounts.origins import origin_of
from accounts.services import buyer_asked_for, buyer_for_external_id, buyer_for_user, buyer_for_visitor, known_buyer

BUYER = OpenApiParameter("buyer", str, description="With an API key: your id of the buyer this is about.")
FOR_BUYERS = _("This is for users and guests.")
NOT_ANOTHER_BUYER = _("Only a client system may name another buyer.")
BUYER_REQUIRED = _("Required with an API key.")
_external_id = CharField(max_length=255, trim_whitespace=False)  # ids are opaque: " 7" is not "7"


def buyer_of(request: Request) -> Buyer | None:
    """The buyer a request is about, made at first sight: oneself, or whom a client system names with ``?buyer=``.

    For what records something; what only reads asks ``known_buyer_of``.

    None for a client system that names no buyer. Raises PermissionDenied when any other caller names another buyer.
    """
    if is_client_system(request):
        named = request.query_params.get("buyer")
        return buyer_for_external_id(_checked(named)) if named is not None else None
    return own_buyer_of(request)


def acting_buyer_of(request: Request) -> Buyer | None:
    """As ``buyer_of``, for what is recorded of a question: it does not make a buyer who was erased."""
    if is_client_system(request):
        named = request.query_params.get("buyer")
        return buyer_asked_for(_checked(named)) if named is not None else None
    return own_buyer_of(request)


def known_buyer_of(request: Request) -> Buyer | None:
    """As ``buyer_of``, for reading: makes no buyer, and is None for one of whom nothing has been recorded."""
    named = request.query_params.get("buyer")
    if is_client_system(request):
        return known_buyer(external_id=_checked(named)) if named is not None else None
    if isinstance(request.user, User):
        buyer = known_buyer(user=request.user)
    elif isinstance(request.auth, VisitorKey):
        buyer = known_buyer(visitor_key=request.auth.value)
    else:
        raise PermissionDenied(FOR_BUYERS)
    if named is not None and named != (buyer.external_id if buyer else None):
        raise PermissionDenied(NOT_ANOTHER_BUYER)
    return buyer


def known_named_buyer_of(request: Request) -> Buyer | None:
    """As ``known_buyer_of``; raises ValidationError when a client system names no buyer."""
    if is_client_system(request) and "buyer" not in request.query_params:
        raise ValidationError({"buyer": [BUYER_REQUIRED]})
    return known_buyer_of(request)


def named_buyer_of(request: Request) -> Buyer:
    """As ``buyer_of``, for what makes no sense without a buyer: raises ValidationError when none is named."""
    buyer = buyer_of(request)
    if buyer is None:
        raise ValidationError({"buyer": [BUYER_REQUIRED]})
    return buyer


def own_buyer_of(request: Request) -> Buyer:
    """The user or the guest who sent it, as a buyer; PermissionDenied for a caller that names another."""
    buyer = _caller(request)
    named = request.query_params.get("buyer")
    if named is not None and named != buyer.external_id:
        raise PermissionDenied(NOT_ANOTHER_BUYER)
    return buyer


def _caller(request: Request) -> Buyer:
    if isinstance(request.user, User):
        return buyer_for_user(request.user, origin_of(request.META))
    if isinstance(request.auth, VisitorKey):
        return buyer_for_visitor(request.auth.value, origin_of(request.META))
    raise PermissionDenied(FOR_BUYERS)


def _checked(external_id: str) -> str:
    try:
        checked: str = _external_id.run_validation(external_id)
        return checked
    except ValidationError as error:
        raise ValidationError({"buyer": error.detail}) from None
