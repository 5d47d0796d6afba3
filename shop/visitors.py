"""Who looks at the shop window: a guest of this browser, a visitor who was never here, or a buyer of the demo.

One signed cookie holds it, with what the next page has to say; nothing is stored before a visitor does something.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from accounts.models import Buyer, User
from accounts.origins import UNKNOWN, Origin
from accounts.services import buyer_for_user, buyer_for_visitor, known_buyer

COOKIE, SALT, PATH = "shop_visitor", "shop.visitor", "/shop/"
MAX_AGE_SECONDS = 180 * 86_400
GUEST, NEW, DEMO_BUYER = "guest", "new", "john7"
DEMO_EMAIL = f"{DEMO_BUYER}@example.com"


@dataclass(frozen=True)
class Visitor:
    """A browser in front of the window.

    Attributes:
        guest: Visitor key of this browser.
        newcomer: Visitor key of the newest "new visitor".
        role: Whom it plays: ``GUEST``, ``NEW`` or, in demo mode, ``DEMO_BUYER``.
        said: What the next page has to say, where this one is not answered by a page.
        tour: Where the tour stands, as ``shop.tour`` keeps it; empty when it is not taken.
    """

    guest: str
    newcomer: str = ""
    role: str = GUEST
    said: dict[str, Any] = field(default_factory=dict)
    tour: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.newcomer if self.role == NEW and self.newcomer else self.guest

    @property
    def name(self) -> str:
        return {NEW: _("a new visitor"), DEMO_BUYER: DEMO_BUYER}.get(self.role, _("a guest"))

    def playing(self, role: str) -> Self:
        """The same browser as another visitor; each "new visitor" is another one. Unknown roles are the guest."""
        role = role if role in roles() else GUEST
        return replace(self, role=role, newcomer=new_key() if role == NEW else self.newcomer, said={}, tour={})

    def known_buyer(self) -> Buyer | None:
        """For reading: None before anything was recorded."""
        if user := self._user():
            return known_buyer(user=user)
        return known_buyer(visitor_key=self.key)

    def buyer(self, origin: Origin = UNKNOWN) -> Buyer:
        """For recording, made at first sight; ``origin`` is where the request came from."""
        if user := self._user():
            return buyer_for_user(user)
        return buyer_for_visitor(self.key, origin)

    def _user(self) -> User | None:
        if self.role != DEMO_BUYER or not settings.DEMO_MODE:
            return None
        return User.objects.filter(email=DEMO_EMAIL, is_active=True).first()


def roles() -> tuple[str, ...]:
    return (NEW, DEMO_BUYER, GUEST) if settings.DEMO_MODE else (NEW, GUEST)


def new_key() -> str:
    return f"shop-{uuid.uuid4().hex}"


def visitor_of(request: HttpRequest) -> Visitor:
    """Who asks; a browser without a cookie that we signed is a new guest."""
    try:
        held = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=MAX_AGE_SECONDS)
        visitor = Visitor(**held)
    except (signing.BadSignature, TypeError, ValueError):
        return Visitor(new_key())
    return visitor if visitor.role in roles() else replace(visitor, role=GUEST)


def remember(response: HttpResponse, visitor: Visitor) -> HttpResponse:
    """Also says that the answer to HTMX is another one, if only parts of the page."""
    patch_vary_headers(response, ("HX-Request", "HX-History-Restore-Request"))
    response.set_cookie(
        COOKIE, signing.dumps(asdict(visitor), salt=SALT, compress=True), max_age=MAX_AGE_SECONDS, path=PATH,
        httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
    return response
