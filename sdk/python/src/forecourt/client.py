"""The client.

Made of `aio.py` by sdk/generate.py; do not edit.

    with Client("https://cars.example.com", api_key=KEY, source="garage") as forecourt:
        forecourt.listings.upsert(external_id="A-1017", brand="Skoda", price=12_500)
        page = forecourt.lists.recommend(buyer="customer-42", k=10)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack, cast

import httpx

from forecourt import core, queues, types
from forecourt.core import API, Call, Query


class Client:
    """A site, and who calls it.

    Args:
        base_url: Of the site, as in `https://cars.example.com`.
        api_key: Of a client system, made in the admin; or else one of the next two.
        token: Of a user who has logged in.
        visitor_key: Of a guest.
        source: Of the listing ids that are yours, where a call names none; left out, that of the API key.
        language: Of reasons and errors, as `de` or `en-GB`.
        timeout: Seconds to wait for each attempt.
        retries: How often a question is asked again when the site is away or asks for patience.
        queue: How events that are added are gathered.
        transport: Of httpx, as for a proxy or a test.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        visitor_key: str | None = None,
        source: str | None = None,
        language: str | None = None,
        timeout: float = 10.0,
        retries: core.Retries | None = None,
        queue: queues.QueueOptions | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.source = source
        self._retries = retries or core.Retries()
        self._connection = partial(
            httpx.Client,
            base_url=base_url.rstrip("/"),
            headers=core.headers_of(api_key=api_key, token=token, visitor_key=visitor_key, language=language),
            timeout=timeout,
            transport=transport,
        )
        self._http = self._connection()
        core.begin_anew_when_forked(self)
        self.listings = Listings(self)
        self.events = Events(self, queue or queues.QueueOptions())
        self.lists = Lists(self)
        self.search = Search(self)
        self.saved_searches = SavedSearches(self)
        self.buyers = Buyers(self)

    def forked(self) -> None:
        """A forked process talks to the site over connections of its own."""
        self._http = self._connection()

    def ask(self, call: Call) -> Any:
        """The answer to a call, as JSON. Raises ForecourtError, after as many attempts as `retries` allows."""
        attempt = 1
        while True:
            outcome = self._attempt(call)
            wait = self._retries.wait(outcome, attempt)
            if wait is None:
                return core.result_of(call, outcome, attempt)
            core.pause(wait)
            attempt += 1

    def _attempt(self, call: Call) -> httpx.Response | httpx.TransportError:
        content = call.content
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            return self._http.request(
                call.method, API + call.path, params=tuple(call.query) or None, content=content, headers=headers
            )
        except httpx.TransportError as problem:
            return problem

    def close(self) -> None:
        """Send the events that wait, and close all connections. Raises ForecourtError where events cannot be sent:
        `events.unsent` has them."""
        try:
            self.events.close()
        finally:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Part:
    """Some of the routes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _ask(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Any:
        return self._client.ask(Call(method, path, query or [], body))

    def _sourced(self, source: str | None) -> dict[str, Any]:
        return core.given(source=source or self._client.source)

    def _car(self, listing_id: int | None, external_id: str | None, source: str | None) -> dict[str, Any]:
        """How a car is named: by our id, or by yours and its source."""
        if (listing_id is None) == (external_id is None):
            raise ValueError("Name the car by listing_id or by external_id.")
        return (
            {"listing_id": listing_id} if external_id is None else {"external_id": external_id, **self._sourced(source)}
        )


class Listings(Part):
    """The stock. A key needs the scope `ingest`."""

    def upsert(self, *, source: str | None = None, **listing: Unpack[types.ListingIn]) -> types.ListingKey:
        """Add a listing, or change what is named of one that is there; None clears a field."""
        stored = self.bulk([listing], source=source, partial=False)
        return stored["listings"][0]

    def bulk(
        self, listings: Iterable[types.ListingIn], *, source: str | None = None, partial: bool = True
    ) -> types.Stored:
        """Add or change any number of listings, 1,000 at once. Those that are wrong are in `refused`, by the `index` in
        what was given; with `partial=False` one that is wrong raises Invalid, and its 1,000 are not stored."""
        total: types.Stored = {"created": 0, "updated": 0, "unchanged": 0, "listings": [], "refused": []}
        for number, chunk in enumerate(core.chunks(listings)):
            body = {"listings": chunk, **self._sourced(source)}
            query = core.query_of({"partial": partial or None})
            stored: types.Stored = self._ask("POST", "/listings", query, body)
            total["created"] += stored["created"]
            total["updated"] += stored["updated"]
            total["unchanged"] += stored["unchanged"]
            total["listings"] += stored["listings"]
            total["refused"] += [{**each, "index": each["index"] + number * core.AT_ONCE} for each in stored["refused"]]
        return total

    def patch(self, *, source: str | None = None, **listing: Unpack[types.ListingIn]) -> types.ListingKey:
        """Change what is named of a listing that is there; None clears a field. Raises NotFound."""
        body = {"listings": [listing], **self._sourced(source)}
        stored: types.Stored = self._ask("PATCH", "/listings", body=body)
        return stored["listings"][0]

    def change(
        self,
        *,
        external_id: str | None = None,
        listing_id: int | None = None,
        source: str | None = None,
        **change: Unpack[types.PatchedListingChange],
    ) -> types.Car:
        """Mark a listing as sold, reserved or withdrawn, put it back on sale, or change its price. Raises Conflict for
        a step that leads nowhere."""
        path, query = self._one(listing_id, external_id, source)
        return cast(types.Car, self._ask("PATCH", path, query, change))

    def replace(
        self, external_id: str, /, *, source: str | None = None, **listing: Unpack[types.Replacement]
    ) -> types.ListingKey:
        """Create a listing, or replace it: what is left out is cleared, but for price, status and seller."""
        path, query = self._one(None, external_id, source)
        stored: types.Stored = self._ask("PUT", path, query, listing)
        return stored["listings"][0]

    def complete(
        self,
        external_ids: Iterable[str],
        *,
        source: str | None = None,
        seller_id: str | None = None,
        confirm: bool = False,
    ) -> types.Completed:
        """These are all my cars, or all of one seller: what is for sale and not named is withdrawn. Raises Conflict
        where that would be many, unless confirmed."""
        body = {"external_ids": list(external_ids), "confirm": confirm, **core.given(seller_id=seller_id)}
        return cast(types.Completed, self._ask("POST", "/listings/complete", body=body | self._sourced(source)))

    def get(
        self, *, external_id: str | None = None, listing_id: int | None = None, source: str | None = None
    ) -> types.Car:
        """One listing of any status. Raises NotFound."""
        return cast(types.Car, self._ask("GET", *self._one(listing_id, external_id, source)))

    def delete(
        self, *, external_id: str | None = None, listing_id: int | None = None, source: str | None = None
    ) -> None:
        """Withdraw a listing; its history stays."""
        self._ask("DELETE", *self._one(listing_id, external_id, source))

    def iterate(
        self, *, source: str | None = None, status: str | None = None, page_size: int = 100
    ) -> Iterator[types.Car]:
        """All listings of a source, drafts included."""
        query = core.query_of({"status": status, "page_size": page_size, **self._sourced(source)})
        while True:
            page: types.Stock = self._ask("GET", "/listings", query)
            for car in page["listings"]:
                yield car
            if page["next"] is None:
                return
            query = core.query_in(page["next"])

    def buyers(self, listing_id: int, *, k: int = 20) -> list[types.MatchingBuyer]:
        """Buyers who want the car most. A key needs the scope `buyers`."""
        answer: types.MatchingBuyers = self._ask("GET", f"/listings/{listing_id}/buyers", core.query_of({"k": k}))
        return answer["buyers"]

    def _one(self, listing_id: int | None, external_id: str | None, source: str | None) -> tuple[str, Query]:
        named = self._car(listing_id, external_id, source)
        if external_id is None:
            return f"/listings/{listing_id}", []
        del named["external_id"]
        return f"/listings/by-external-id/{core.part(external_id)}", core.query_of(named)


class Events(Part):
    """What buyers did. A key needs the scope `ingest`."""

    def __init__(self, client: Client, options: queues.QueueOptions) -> None:
        super().__init__(client)
        self._queue = queues.EventQueue(self._send_batch, options)

    def add(self, kind: str, **event: Unpack[types.EventDetails]) -> None:
        """Take an event; it is sent in the background, with others. Ids and times are made here, so that no attempt
        counts it twice."""
        self._queue.add(self._complete({"kind": kind, **event}))

    def flush(self) -> None:
        """Send all events that were added, now. Raises ForecourtError; what could not be sent goes on waiting."""
        self._queue.flush()

    def close(self) -> None:
        self._queue.close()

    @property
    def unsent(self) -> list[types.Event]:
        """Events that were added and that the site has not answered for."""
        return self._queue.unsent

    def send(self, events: Iterable[types.Event], *, partial: bool = False) -> types.Recorded:
        """Send events at once, 1,000 in a request. Raises Invalid where one is wrong, and then none of its request is
        recorded; with `partial` those that are right, and the answer says of each what became of it."""
        total: types.Recorded = {"recorded": 0, "waiting": 0, "repeated": 0, "events": []}
        for chunk in core.chunks(events):
            batch = [queues.completed(self._complete(event)) for event in chunk]
            recorded = self._record(batch, partial)
            total["recorded"] += recorded["recorded"]
            total["waiting"] += recorded["waiting"]
            total["repeated"] += recorded["repeated"]
            total["events"] += recorded["events"]
        return total

    def _send_batch(self, batch: list[types.Event]) -> types.Recorded:
        return self._record(batch, True)

    def _record(self, batch: list[types.Event], partial: bool) -> types.Recorded:
        return cast(types.Recorded, self._ask("POST", "/events", body={"events": batch, "partial": partial}))

    def _complete(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """With the source that an external id belongs to."""
        is_by_external_id = event.get("external_id") is not None and event.get("source") is None
        return {**event, **(self._sourced(None) if is_by_external_id else {})}


class Lists(Part):
    """The best cars for a buyer. A client system names the buyer; without one, the list is that of a new visitor."""

    def recommend(
        self, *, buyer: str | None = None, **question: Unpack[types.RecommendationsQuestion]
    ) -> types.RecommendationsAnswer:
        """The best `k` cars among those that the filters leave. Keep `list_id`, and send it with events."""
        answer = self._ask("POST", "/cars/recommendations", core.query_of({"buyer": buyer}), question)
        return cast(types.RecommendationsAnswer, answer)

    def next(self, page: types.RecommendationsAnswer) -> types.RecommendationsAnswer | None:
        """The following cars of the same question, without a car of the pages before; None where the list ends."""
        if page["next"] is None:
            return None
        answer = self._ask("GET", "/cars/recommendations", core.query_in(page["next"]))
        return cast(types.RecommendationsAnswer, answer)

    def pages(
        self, *, buyer: str | None = None, **question: Unpack[types.RecommendationsQuestion]
    ) -> Iterator[types.RecommendationsAnswer]:
        """The list page after page; each has a `list_id` of its own, which its events name."""
        page: types.RecommendationsAnswer | None = self.recommend(buyer=buyer, **question)
        while page is not None:
            yield page
            page = self.next(page)

    def placements(
        self, lists: Iterable[types.PlacementQuestion], *, buyer: str | None = None, **leave_out: Unpack[types.LeaveOut]
    ) -> list[types.PlacementList]:
        """Several lists of one page, in the order in which they choose; no car is in two of them."""
        body = {"lists": list(lists), **leave_out}
        path = "/cars/recommendations/placements"
        answer: types.PlacementsAnswer = self._ask("POST", path, core.query_of({"buyer": buyer}), body)
        return answer["lists"]

    def rank(
        self,
        *,
        external_ids: Iterable[str] = (),
        listing_ids: Iterable[int] = (),
        source: str | None = None,
        buyer: str | None = None,
    ) -> types.RankAnswer:
        """These cars, the best for the buyer first; up to 1,000 of each kind of id."""
        body = {"external_ids": list(external_ids), "listing_ids": list(listing_ids), **self._sourced(source)}
        return cast(types.RankAnswer, self._ask("POST", "/cars/rank", core.query_of({"buyer": buyer}), body))

    def similar(
        self,
        *,
        external_id: str | None = None,
        listing_id: int | None = None,
        **question: Unpack[types.SimilarQuestion],
    ) -> types.SimilarAnswer:
        """Cars like one."""
        named = self._car(listing_id, external_id, question.get("source"))
        return cast(types.SimilarAnswer, self._ask("GET", "/cars/similar", core.query_of({**question, **named})))

    def car(
        self,
        *,
        external_id: str | None = None,
        listing_id: int | None = None,
        **question: Unpack[types.DetailQuestion],
    ) -> types.PricedCar:
        """Everything about one car. For a named buyer that is an event: a look at it."""
        named = self._car(listing_id, external_id, question.get("source"))
        return cast(types.PricedCar, self._ask("GET", "/cars/detail", core.query_of({**question, **named})))


class Search(Part):
    """Cars by words and filters. A search for a named buyer is an event."""

    def cars(self, **question: Unpack[types.SearchCarsQuery]) -> types.SearchAnswer:
        """One page."""
        return cast(types.SearchAnswer, self._ask("GET", "/cars/search", core.query_of(question)))

    def iterate(self, **question: Unpack[types.SearchCarsQuery]) -> Iterator[types.PricedCard]:
        """All cars of a search, page after page."""
        query = core.query_of(question)
        while True:
            page: types.SearchAnswer = self._ask("GET", "/cars/search", query)
            for car in page["listings"]:
                yield car
            if page["next"] is None:
                return
            query = core.query_in(page["next"])

    def complete(self, q: str, *, limit: int = 8) -> list[types.Completion]:
        """What may be meant by what has been typed so far."""
        query = core.query_of({"q": q, "limit": limit})
        answer: types.CompletionsAnswer = self._ask("GET", "/cars/completions", query)
        return answer["completions"]


class SavedSearches(Part):
    """Searches that are kept, and the alerts about cars that match. A client system names the buyer."""

    def save(self, *, buyer: str | None = None, **search: Unpack[types.SavedSearchIn]) -> types.SavedSearch:
        """Keep a search; the same query again changes its name and alerts."""
        answer = self._ask("POST", "/users/me/saved-searches", core.query_of({"buyer": buyer}), search)
        return cast(types.SavedSearch, answer)

    def all(self, *, buyer: str | None = None) -> list[types.SavedSearch]:
        query = core.query_of({"buyer": buyer})
        answer: types.SavedSearches = self._ask("GET", "/users/me/saved-searches", query)
        return answer["searches"]

    def get(self, search_id: int, *, buyer: str | None = None) -> types.SavedSearch:
        answer = self._ask("GET", f"/users/me/saved-searches/{search_id}", core.query_of({"buyer": buyer}))
        return cast(types.SavedSearch, answer)

    def change(
        self, search_id: int, *, buyer: str | None = None, **change: Unpack[types.PatchedSavedSearchChange]
    ) -> types.SavedSearch:
        path = f"/users/me/saved-searches/{search_id}"
        return cast(types.SavedSearch, self._ask("PATCH", path, core.query_of({"buyer": buyer}), change))

    def delete(self, search_id: int, *, buyer: str | None = None) -> None:
        self._ask("DELETE", f"/users/me/saved-searches/{search_id}", core.query_of({"buyer": buyer}))

    def alerts(self, *, buyer: str | None = None) -> types.AlertSettings:
        """How often, and when, the buyer hears of cars that match."""
        answer = self._ask("GET", "/users/me/alerts", core.query_of({"buyer": buyer}))
        return cast(types.AlertSettings, answer)

    def change_alerts(
        self, *, buyer: str | None = None, **change: Unpack[types.PatchedAlertSettings]
    ) -> types.AlertSettings:
        answer = self._ask("PATCH", "/users/me/alerts", core.query_of({"buyer": buyer}), change)
        return cast(types.AlertSettings, answer)


class Buyers(Part):
    """Your customers, by your ids. A key needs the scope `ingest`; to export and to erase, `admin`."""

    def get(self, external_id: str) -> types.Buyer:
        """With what was learned of them. Raises NotFound."""
        return cast(types.Buyer, self._ask("GET", self._path(external_id)))

    def put(self, external_id: str, **buyer: Unpack[types.BuyerChange]) -> types.Buyer:
        """Create a buyer, or replace what is said of them."""
        return cast(types.Buyer, self._ask("PUT", self._path(external_id), body=buyer))

    def patch(self, external_id: str, **buyer: Unpack[types.PatchedBuyerChange]) -> types.Buyer:
        """Change some of what is said of them. Raises NotFound."""
        return cast(types.Buyer, self._ask("PATCH", self._path(external_id), body=buyer))

    def merge(self, into: str, *, external_id: str | None = None, visitor_key: str | None = None) -> types.Buyer:
        """Two that are one person: all of the other becomes `into`'s, for good."""
        body = core.given(external_id=external_id, visitor_key=visitor_key)
        return cast(types.Buyer, self._ask("POST", self._path(into, "/merge"), body=body))

    def block_seller(
        self, external_id: str, *, seller_id: str, source: str | None = None
    ) -> list[types.SellerAnswer]:
        """No list of the buyer holds a car of that seller."""
        body = {"seller_id": seller_id, **self._sourced(source)}
        answer: types.Sellers = self._ask("POST", self._path(external_id, "/blocked-sellers"), body=body)
        return answer["sellers"]

    def unblock_seller(self, external_id: str, *, seller_id: str, source: str | None = None) -> None:
        query = core.query_of({"seller_id": seller_id, **self._sourced(source)})
        self._ask("DELETE", self._path(external_id, "/blocked-sellers"), query)

    def blocked_sellers(self, external_id: str) -> list[types.SellerAnswer]:
        answer: types.Sellers = self._ask("GET", self._path(external_id, "/blocked-sellers"))
        return answer["sellers"]

    def hide_car(
        self, buyer: str, *, external_id: str | None = None, listing_id: int | None = None, source: str | None = None
    ) -> list[types.HiddenCar]:
        """No list of the buyer holds that car, whatever advertises it."""
        body = self._car(listing_id, external_id, source)
        answer: types.HiddenCars = self._ask("POST", self._path(buyer, "/hidden-cars"), body=body)
        return answer["cars"]

    def show_car(
        self, buyer: str, *, external_id: str | None = None, listing_id: int | None = None, source: str | None = None
    ) -> None:
        """Lists may hold that car again."""
        query = core.query_of(self._car(listing_id, external_id, source))
        self._ask("DELETE", self._path(buyer, "/hidden-cars"), query)

    def hidden_cars(self, buyer: str) -> list[types.HiddenCar]:
        answer: types.HiddenCars = self._ask("GET", self._path(buyer, "/hidden-cars"))
        return answer["cars"]

    def answer(self, buyer: str, **answers: Unpack[types.Questionnaire]) -> types.Questionnaire:
        """What the buyer states outright: budget, bodies, fuels, brands, use. A new statement replaces the last one."""
        answered = self._ask("POST", "/users/me/preferences", core.query_of({"buyer": buyer}), answers)
        return cast(types.Questionnaire, answered)

    def export(self, external_id: str) -> dict[str, Any]:
        """Everything that is known about the buyer."""
        return cast(dict[str, Any], self._ask("GET", self._path(external_id, "/export")))

    def erase(self, external_id: str) -> None:
        """Forget the buyer, at once and for good."""
        self._ask("DELETE", self._path(external_id))

    def _path(self, external_id: str, below: str = "") -> str:
        return f"/buyers/{core.part(external_id)}{below}"
