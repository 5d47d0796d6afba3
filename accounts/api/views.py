"""Tokens, and oneself."""

from contextlib import suppress

from django.conf import settings
from django.contrib.auth import authenticate
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.api.authentication import VISITOR_KEY
from accounts.api.identity import BUYER, known_named_buyer_of, named_buyer_of
from accounts.api.permissions import IsUser, IsUserOrHasScope, is_client_system
from accounts.api.serializers import (
    CredentialsSerializer,
    EmailSerializer,
    FakeTokenSerializer,
    MeSerializer,
    PrivacySerializer,
    RefreshTokenSerializer,
    TokenPairSerializer,
)
from accounts.api.throttles import CALLER_THROTTLES, GuestThrottle
from accounts.exceptions import EraseRefused, MergeRefused, TokenRefused, TooManyTries
from accounts.login import two_factor
from accounts.login.attempts import looked_at
from accounts.login.backends import refusal_of
from accounts.models import ApiKey, Buyer, FailedLogins, User
from accounts.services import (
    buyer_for_user,
    erase_person,
    export_person,
    known_buyer,
    merge_guest,
    set_personalised,
    spend_visitor_key,
)
from accounts.tokens import access_token_of, end_family, log_in, log_out_everywhere, renew
from web.addresses import address_of
from web.strict import StrictView, checked

TOKENS = ["Tokens"]
ME = ["Me"]


class TokenRoute(StrictView):
    """A route for callers who have no token yet, or that takes a token in its body."""

    authentication_classes = []
    permission_classes = []

    def get_authenticate_header(self, request: Request) -> str:
        """Without an authentication class to ask for a challenge, REST framework answers a wrong password by 403."""
        return 'Bearer realm="api"'


class TokenView(TokenRoute):
    """An access and a refresh token for an email address and a password."""

    throttle_classes = [GuestThrottle]  # and what is tried on one account is counted with the password

    @extend_schema(
        tags=TOKENS,
        summary="Log in",
        operation_id="log_in",
        description=(
            "Send `X-Visitor-Key` along, and what this guest has done so far becomes the user's. The key is spent by "
            "this: what it sends from now on is another guest's."
        ),
        auth=[{"visitorKey": []}, {}],  # type: ignore[list-item]
        request=CredentialsSerializer,
        responses={
            200: TokenPairSerializer,
            401: OpenApiResponse(description="The address, the password or the code is wrong, or a code is missing."),
            429: OpenApiResponse(description="Too many wrong passwords: nothing was looked at; see `Retry-After`."),
        },
        examples=[
            OpenApiExample("A demo user", value={"email": "john0@example.com", "password": "demo"}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        asked = checked(CredentialsSerializer, request.data)
        email, password = asked["email"], asked["password"]
        user = authenticate(request._request, username=email, password=password)
        if refusal := refusal_of(request._request):
            raise Throttled(refusal.seconds, str(refusal))
        if not isinstance(user, User):
            raise AuthenticationFailed(_("No active account has this address and this password."))
        _check_second_factor(request, user, asked.get("code", ""))
        _merge_guest_of(request, user)
        refresh = log_in(user)
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


def _check_second_factor(request: Request, user: User, code: str) -> None:
    """Raise what refuses a right password alone, where a second factor is set up or must be."""
    if two_factor.must_set_one_up(user):
        raise AuthenticationFailed(_("Staff need a second factor here: set one up by logging in to the admin."))
    if not two_factor.is_asked_for_code(user):
        return
    if not code:
        raise AuthenticationFailed(_("This account has a second factor: send its code as “code”."))
    address = address_of(request.META)
    try:
        is_right = looked_at(FailedLogins.Kind.CODE, user, address, lambda: two_factor.is_right_code(user, code))
    except TooManyTries as refusal:
        raise Throttled(refusal.seconds, str(refusal)) from None
    if not is_right:
        raise AuthenticationFailed(_("The code is wrong, or was used already."))


def _merge_guest_of(request: Request, user: User) -> None:
    """Merge the guest of this browser, if something was recorded of it, and spend the key.

    In a browser that two people share, what the first did before their own login stays theirs.
    """
    if (visitor_key := _visitor_key_of(request)) is None:
        return
    if guest := known_buyer(visitor_key=visitor_key):
        with suppress(MergeRefused):  # the login is good all the same
            merge_guest(guest=guest, into=buyer_for_user(user))
    spend_visitor_key(visitor_key)


def _visitor_key_of(request: Request) -> str | None:
    visitor_key = request.headers.get("X-Visitor-Key", "")
    return visitor_key if VISITOR_KEY.fullmatch(visitor_key) else None


class TokenRefreshView(TokenRoute):
    """A new pair of tokens for a refresh token, which is spent by this. To spend it again ends the login."""

    throttle_classes = [GuestThrottle]

    @extend_schema(
        tags=TOKENS,
        summary="Renew the tokens",
        operation_id="renew_tokens",
        auth=[],
        request=RefreshTokenSerializer,
        responses={
            200: TokenPairSerializer,
            401: OpenApiResponse(description="The token is not one of ours, expired, spent or revoked."),
        },
    )
    def post(self, request: Request) -> Response:
        try:
            refresh = renew(RefreshToken(_refresh_token_in(request)))  # type: ignore[arg-type]
        except (TokenError, TokenRefused):
            raise AuthenticationFailed(_("This token is not one of ours, expired, spent or revoked.")) from None
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class TokenRevokeView(TokenRoute):
    """Log out: the refresh token buys nothing any more, and the access tokens of this login are over."""

    throttle_classes = [GuestThrottle]

    @extend_schema(
        tags=TOKENS,
        summary="Log out",
        operation_id="log_out",
        description="Send `X-Visitor-Key` along, and it is spent: what it sends from now on is another guest's.",
        auth=[{"visitorKey": []}, {}],  # type: ignore[list-item]
        request=RefreshTokenSerializer,
        responses={
            204: None,
            401: OpenApiResponse(description="The token is not one of ours, expired, spent or already revoked."),
        },
    )
    def post(self, request: Request) -> Response:
        try:
            was_logged_in = end_family(RefreshToken(_refresh_token_in(request)))  # type: ignore[arg-type]
        except TokenError:
            was_logged_in = False
        if not was_logged_in:
            raise AuthenticationFailed(_("This token is not one of ours, expired, spent or already revoked."))
        if visitor_key := _visitor_key_of(request):
            spend_visitor_key(visitor_key)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _refresh_token_in(request: Request) -> str:
    token: str = checked(RefreshTokenSerializer, request.data)["refresh"]
    return token


class LogOutEverywhereView(StrictView):
    """End every session and every token of one's own, the one this is asked with included."""

    permission_classes = [IsUser]
    throttle_classes = CALLER_THROTTLES
    without_body = ("post",)

    @extend_schema(
        tags=TOKENS,
        summary="Log out everywhere",
        operation_id="log_out_everywhere",
        request=None,
        responses={204: None},
    )
    def post(self, request: Request) -> Response:
        if isinstance(request.user, User):
            log_out_everywhere(request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class FakeTokenView(TokenRoute):
    """A token by email address alone; outside demo mode this route does not exist."""

    throttle_classes = [GuestThrottle]

    @extend_schema(
        tags=TOKENS,
        summary="Become a demo user",
        operation_id="become_demo_user",
        description="Only in demo mode (`DEMO_MODE=True`); 404 otherwise.",
        auth=[],
        request=EmailSerializer,
        responses={200: FakeTokenSerializer, 404: OpenApiResponse(description="No such user, or not in demo mode.")},
        examples=[OpenApiExample("A demo user", value={"email": "john0@example.com"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        if not settings.DEMO_MODE:
            raise Http404(_("This exists in demo mode only."))
        asked = checked(EmailSerializer, request.data)
        user = User.objects.filter(email__iexact=asked["email"], is_active=True).first()
        if user is None:
            raise Http404(_("No user has this address."))
        return Response({"token": str(access_token_of(user))})


class Conflict(APIException):
    """Well asked, but not of this person."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class MeView(StrictView):
    """The account of the caller, and its erasure."""

    required_scope = ApiKey.Scope.ADMIN
    throttle_classes = CALLER_THROTTLES
    parameters = {"delete": [BUYER]}
    without_body = ("delete",)

    def get_permissions(self) -> list[BasePermission]:
        return [IsUserOrHasScope() if self.request.method == "DELETE" else IsUser()]

    @extend_schema(tags=ME, summary="Read one's account", operation_id="get_me", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(request.user).data)

    @extend_schema(
        tags=ME,
        summary="Erase one's account",
        operation_id="forget_me",
        description=(
            "Erases the account and everything known about its buyer, at once and for good: events, lists shown, "
            "preferences, saved searches, tokens. A client system with the scope `admin` does so for the buyer it "
            "names; asking again changes nothing."
        ),
        parameters=parameters["delete"],
        responses={204: None, 409: OpenApiResponse(description="An operator, whose account others rely on.")},
    )
    def delete(self, request: Request) -> Response:
        buyer = known_named_buyer_of(request)
        if buyer is None and isinstance(request.user, User):
            buyer = buyer_for_user(request.user)  # an account that has done nothing yet goes in the same way
        if buyer is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        try:
            erase_person(buyer=buyer)
        except EraseRefused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class ExportView(StrictView):
    """Everything known about oneself, as one file."""

    permission_classes = [IsUserOrHasScope]
    required_scope = ApiKey.Scope.ADMIN
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [BUYER]}

    @extend_schema(
        tags=ME,
        summary="Export one's data",
        operation_id="export_me",
        description="For users about themselves, and for a client system with the scope `admin`.",
        parameters=parameters["get"],
        responses={
            (200, "application/json"): OpenApiTypes.OBJECT,
            404: OpenApiResponse(description="Nothing is known about the buyer that the key names."),
        },
    )
    def get(self, request: Request) -> Response:
        buyer = known_named_buyer_of(request)
        if buyer is None and is_client_system(request):
            raise Http404(_("Nothing is known about this buyer."))
        exported = export_person(buyer=buyer, user=request.user if isinstance(request.user, User) else None)
        return Response(exported, headers={"Content-Disposition": 'attachment; filename="forecourt-export.json"'})


class PrivacyView(StrictView):
    """Whether one's lists may be personal."""

    permission_classes = [IsUserOrHasScope]
    required_scope = ApiKey.Scope.INGEST
    throttle_classes = CALLER_THROTTLES
    parameters = {"get": [BUYER], "patch": [BUYER]}

    @extend_schema(
        tags=ME,
        summary="Read one's privacy setting",
        operation_id="get_privacy",
        parameters=parameters["get"],
        responses=PrivacySerializer,
    )
    def get(self, request: Request) -> Response:
        return Response(PrivacySerializer(known_named_buyer_of(request) or Buyer()).data)

    @extend_schema(
        tags=ME,
        summary="Opt out of personal lists, or back in",
        operation_id="set_privacy",
        description="A client system with the scope `ingest` does so for the buyer it names.",
        parameters=parameters["patch"],
        request=PrivacySerializer,
        responses=PrivacySerializer,
    )
    def patch(self, request: Request) -> Response:
        asked = checked(PrivacySerializer, request.data)
        buyer = set_personalised(buyer=named_buyer_of(request), is_personalised=asked["is_personalised"])
        return Response(PrivacySerializer(buyer).data)
