"""The pages of the shop window. Each answers a whole page, or to HTMX the parts of it that changed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.api.throttles import throttled_page
from accounts.origins import origin_of
from catalog.models import Listing
from catalog.units import number
from recommendations.buyers.relations import show_listing_again
from recommendations.events.log import SEARCH, Event
from recommendations.exceptions import EventsRefused
from recommendations.listings.market_prices import market_prices_of
from recommendations.models import SavedSearch
from recommendations.serving.recommended import RecommendedListing
from recommendations.serving.similar import similar_listings
from shop import levers, tour
from shop.beliefs import belief_about
from shop.cards import LIKE, UNLIKE, Card, card_of, cards_of_recommended, liked_by, strong_points
from shop.lessons import Lesson, learn, moves_between, said_of
from shop.questions import ORDERINGS, Question, facets, read_back, read_question
from shop.visitors import GUEST, NEW, Visitor, remember, roles, visitor_of
from shop.windows import Window, assessed, open_window
from shop.words import all_facts

N_SIMILAR = 6
LARGEST_ID = 2**63 - 1
LAST_PLACE = 32_767
LONGEST_NUMBER = 18  # digits; Python itself refuses to read thousands of them
SHOWN_AT_MOST = 400
SAVED_AT_MOST = 20  # searches of one visitor
DEEDS = {LIKE: "like", UNLIKE: "dislike", "hide": "hide", "contact": "contact"}  # button -> kind of event
ROLE_NAMES = {NEW: gettext_lazy("New visitor"), GUEST: gettext_lazy("Guest")}
View = Callable[..., HttpResponse]


def for_the_public_in_demo_mode(view: View) -> View:
    """Everyone in demo mode; staff elsewhere, who are sent to log in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.DEMO_MODE or is_staff(request):
            return view(request, *args, **kwargs)
        return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("shop"))

    return throttled_page(guarded)


def is_staff(request: HttpRequest) -> bool:
    """Who may open the console: a second factor that it asks for is asked for here too."""
    return admin.site.has_permission(request)


def is_htmx(request: HttpRequest) -> bool:
    """Whether only parts are wanted; a page that the browser's history asks for anew is wanted whole."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"


# --- The window ------------------------------------------------------------------------------------------------------


@for_the_public_in_demo_mode
@require_safe
def window(request: HttpRequest) -> HttpResponse:
    """The list, for whom the cookie names; a search with conditions is an event, as with the API."""
    visitor, question = visitor_of(request), read_question(request.GET)
    said = visitor.said
    lesson = None
    if request.method == "GET" and question.filters and question.page == 1:
        lesson = learn_quietly(request, visitor, search_event(visitor, question), in_short(question))
    shown = open_window(visitor.known_buyer(), question)
    if lesson and not said:
        said = said_of(lesson, shown, moves_between(shown_ids(request.GET), shown))
    visitor = replace(visitor, said={}, tour=tour.noted(visitor.tour, shown, lesson))
    template = "shop/parts.html" if is_htmx(request) else "shop/window.html"
    return remember(render(request, template, page_of(request, visitor, shown, said)), visitor)


def page_of(request: HttpRequest, visitor: Visitor, shown: Window, said: dict[str, Any]) -> dict[str, Any]:
    """What the list and everything around it needs."""
    return {
        **frame_of(request, visitor),
        "window": shown,
        "found": found_in_words(shown),
        "cards": with_levers(request, shown.cards),
        "question": shown.question,
        "orderings": ORDERINGS.items(),
        "facets": facets(shown.question.given),
        "belief": belief_about(visitor.known_buyer()),
        "said": said,
        "step": tour.step_of(visitor.tour, shown.listing_ids),
        "shown": ",".join(map(str, shown.listing_ids)),
    }


def found_in_words(shown: Window) -> str:
    """``1,204 cars for sale``; of a search, that match."""
    n = shown.n_found
    said = (
        ngettext("%(n)s car for sale that matches", "%(n)s cars for sale that match", n)
        if shown.question.filters
        else ngettext("%(n)s car for sale", "%(n)s cars for sale", n)
    )
    return said % {"n": number(n)}


def frame_of(request: HttpRequest, visitor: Visitor) -> dict[str, Any]:
    """What every page has: who is looking, and what they may do."""
    return {
        "visitor": visitor,
        "roles": [(role, ROLE_NAMES.get(role, role)) for role in roles()],
        "is_staff": is_staff(request),
        "lab": lab_of(request, visitor),
    }


def with_levers(request: HttpRequest, cards: list[Card]) -> list[Card]:
    """The same cards with what the person who looks may do to each of them, for every visitor."""
    if not is_staff(request):
        return cards
    on = levers.levers_on([card.listing for card in cards])
    return [
        replace(card, levers=tuple(levers.buttons_of(request.user, card.listing, on.get(card.listing.pk, ()))))
        for card in cards
    ]


def lab_of(request: HttpRequest, visitor: Visitor) -> str:
    """The page of the console that explains this visitor's lists; empty for whom there is none."""
    buyer = visitor.known_buyer() if is_staff(request) and request.user.has_perm("accounts.view_buyer") else None
    return f"{reverse('admin:index')}accounts/buyer/{buyer.pk}/lab/" if buyer else ""


def search_event(visitor: Visitor, question: Question) -> Event:
    """The same search within an hour is one event, however often its page is read."""
    query = question.filters.as_query()
    occasion = f"{visitor.key} {visitor.role} {json.dumps(query, sort_keys=True)} {timezone.now():%Y%m%d%H}"
    return Event(kind=SEARCH, event_id=f"shop-{hashlib.sha256(occasion.encode()).hexdigest()[:40]}", query=query)


def in_short(question: Question) -> str:
    asked = [value for name, value in question.given.items() if name not in ("ordering", "page")]
    return ", ".join(asked)[:80]


def learn_quietly(request: HttpRequest, visitor: Visitor, event: Event, name: str) -> Lesson | None:
    """As ``learn``; None where the event could not be recorded, which never keeps a page from its reader."""
    with suppress(EventsRefused, IntegrityError):
        return learn(visitor.buyer(origin_of(request.META)), event, name)
    return None


def shown_ids(sent: Any) -> list[int]:
    """The ids that were shown, in their order; what is no id is left out."""
    words = str(sent.get("shown", ""))[:10_000].split(",")[:SHOWN_AT_MOST]
    return [key for word in words if (key := number_in(word)) is not None]


def number_in(text: str) -> int | None:
    """A number as our pages send it, such as an id or a position; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


# --- One car ---------------------------------------------------------------------------------------------------------


@for_the_public_in_demo_mode
@require_safe
def car(request: HttpRequest, listing_id: int) -> HttpResponse:
    """Everything about one car, and what is like it. Opening it is an event, as with the API."""
    listing = visible(listing_id)
    visitor, back = visitor_of(request), read_back(request.GET.get("back", ""))
    said, lesson = visitor.said, None
    found = assessed(visitor.known_buyer(), listing) if listing.is_available else None  # before this click counts
    if request.method == "GET" and "quiet" not in request.GET:
        origin = Origin.read(request.GET.get("list_id", ""), request.GET.get("position", ""))
        event = Event(kind="view", listing_id=listing.pk, served_list_id=origin.list_id, position=origin.position)
        lesson = learn_quietly(request, visitor, event, listing.name)
    buyer = visitor.known_buyer()
    shown = open_window(buyer, back) if is_htmx(request) else None
    if lesson:
        said = said_of(lesson, shown, moves_between(shown_ids(request.GET), shown) if shown else None)
    visitor = replace(visitor, said={}, tour=tour.noted(visitor.tour, shown, lesson, "view" if lesson else ""))
    context = {**car_context(request, listing, visitor, found), "back": back, "said": said}
    if shown:
        context = {**page_of(request, visitor, shown, said), **context}
        return remember(render(request, "shop/car_parts.html", context), visitor)
    context["step"] = tour.step_of(visitor.tour, ())
    return remember(render(request, "shop/car.html", context), visitor)


def car_context(
    request: HttpRequest, listing: Listing, visitor: Visitor, found: RecommendedListing | None
) -> dict[str, Any]:
    liked = liked_by(visitor.known_buyer())
    card = card_of(listing, market_prices_of([listing])[0], liked, found)
    return {
        **frame_of(request, visitor),
        "card": with_levers(request, [card])[0],
        "strong_points": strong_points(found),
        "facts": all_facts(listing),
        "similar": with_levers(request, cards_of_recommended(similar_listings(listing, N_SIMILAR), liked)),
    }


def visible(listing_id: int) -> Listing:
    """A car that is or was for sale; Http404 for others."""
    if listing_id > LARGEST_ID:
        raise Http404
    cars = Listing.objects.exclude(status=Listing.Status.DRAFT).cars().with_card_data()
    listing = cars.filter(pk=listing_id).first()
    if listing is None:
        raise Http404
    return listing


@dataclass(frozen=True)
class Origin:
    """Which list a car was found in, and where; None for what was not sent or cannot be read."""

    list_id: uuid.UUID | None = None
    position: int | None = None

    @classmethod
    def read(cls, list_id: str, position: str) -> Origin:
        try:
            found = uuid.UUID(list_id)
        except ValueError:
            return cls()
        place = number_in(position)
        return cls(found, place if place and place <= LAST_PLACE else None)


# --- What a visitor does ---------------------------------------------------------------------------------------------


@for_the_public_in_demo_mode
@require_POST
def act(request: HttpRequest) -> HttpResponse:
    """A button of a card: heart, hide, contact, show again; for staff, what they do to it for every visitor."""
    deed, _space, rest = request.POST.get("act", "").partition(" ")
    key, list_id, position = (*rest.split(" ")[:3], "", "", "")[:3]
    listing_id = number_in(key)
    if listing_id is None:
        return answer_act(request, visitor_of(request), Said())
    listing, visitor = visible(listing_id), visitor_of(request)
    lesson, note, undo = None, "", ""
    if deed in DEEDS:
        origin = Origin.read(list_id, position)
        event = Event(kind=DEEDS[deed], listing_id=listing.pk, served_list_id=origin.list_id, position=origin.position)
        lesson = learn_quietly(request, visitor, event, listing.name)
    elif deed == "show":
        note = show_again(visitor, listing)
    elif deed in levers.DEEDS and is_staff(request):
        outcome = levers.do(deed, listing, request.user)  # type: ignore[arg-type]
        note, undo = outcome.note.rstrip("."), outcome.undo
    if deed == "hide" and lesson:
        undo = "show"
    return answer_act(request, visitor, Said(lesson, note, undo), deed, listing)


def show_again(visitor: Visitor, listing: Listing) -> str:
    buyer = visitor.known_buyer()
    is_back = buyer is not None and show_listing_again(buyer=buyer, listing=listing)
    said = _("%(car)s may be shown again") if is_back else _("%(car)s was not hidden")
    return said % {"car": listing.name}


@dataclass(frozen=True)
class Said:
    """What a deed taught, or what is to be said of it, and the deed that takes it back."""

    lesson: Lesson | None = None
    note: str = ""
    undo: str = ""


def answer_act(
    request: HttpRequest, visitor: Visitor, what: Said, deed: str = "", listing: Listing | None = None
) -> HttpResponse:
    """The list anew with what was learned; without scripts, the page it came from, which says so."""
    question = read_back(request.POST.get("back", ""))
    shown = open_window(visitor.known_buyer(), question) if is_htmx(request) else None
    move = moves_between(shown_ids(request.POST), shown) if shown else None
    lesson, note = what.lesson, what.note
    said: dict[str, Any] = said_of(lesson, shown, move) if lesson else {"what": note} if note else {}
    if listing and what.undo:
        said["undo"] = f"{what.undo} {listing.pk}"
    visitor = replace(visitor, tour=tour.noted(visitor.tour, shown, lesson, DEEDS.get(deed, "") if lesson else ""))
    if shown is None:
        return remember(HttpResponseRedirect(page_before(request, deed)), replace(visitor, said=said))
    context = page_of(request, visitor, shown, said)
    if (key := open_car(request)) is not None:
        car = visible(key)
        found = assessed(visitor.known_buyer(), car) if car.is_available else None
        context |= {**car_context(request, car, visitor, found), "back": question, "in_car": True}
    return remember(render(request, "shop/parts.html", context), visitor)


def open_car(request: HttpRequest) -> int | None:
    """The car whose page a button was on; it may be another than the button's, which is that of a similar car.

    Pages from before an upgrade send ``in_car=1``, which is no id.
    """
    return number_in(request.POST.get("open_car", ""))


def page_before(request: HttpRequest, deed: str) -> str:
    question = read_back(request.POST.get("back", ""))
    if (key := open_car(request)) is not None and deed != "hide":
        return f"{reverse('shop-car', args=[key])}?{urlencode({'back': question.as_query, 'quiet': '1'})}"
    return f"{reverse('shop')}?{question.as_query}"


@for_the_public_in_demo_mode
@require_POST
def visitor(request: HttpRequest) -> HttpResponse:
    """Be someone else, or take the tour, which begins as a new visitor; or end it."""
    role, who = request.POST.get("role", ""), visitor_of(request)
    if role == "tour":
        who = replace(who.playing("new"), tour=tour.begin())
    elif role == "end":
        who = replace(who, tour={})
    else:
        who = who.playing(role)
    return remember(HttpResponseRedirect(reverse("shop")), who)


@for_the_public_in_demo_mode
@require_POST
def searches(request: HttpRequest) -> HttpResponse:
    """Save the search of the page; the next lists look for such cars too."""
    who, question = visitor_of(request), read_back(request.POST.get("back", ""))
    if not question.filters:
        note = _("Choose a make, a body, a price or some words first: then there is a search to save")
    else:
        name, query = in_short(question)[:120], question.filters.as_query()
        buyer = who.buyer(origin_of(request.META))
        saved = SavedSearch.objects.filter(buyer=buyer)
        if not saved.filter(query=query).exists():
            SavedSearch.objects.create(buyer=buyer, name=name, query=query)
            saved.filter(pk__in=saved.order_by("-created_at").values("pk")[SAVED_AT_MOST:]).delete()
        note = _("Saved: %(name)s. Lists will look for such cars too") % {"name": name}
    return remember(HttpResponseRedirect(f"{reverse('shop')}?{question.as_query}"), replace(who, said={"what": note}))
