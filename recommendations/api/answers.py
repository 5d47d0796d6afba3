"""Lists as JSON without the serializers: the same bytes, several times faster.

The serializers stay the description of the answer (OpenAPI, the browsable API); a test compares both byte for byte.
Items are kept between lists of one buyer (``serving.kept_lists``), and so is the JSON of each.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any
from weakref import WeakKeyDictionary

from cachetools import LRUCache
from django.http import HttpResponse
from rest_framework.fields import DateTimeField
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from catalog.attributes import ATTRIBUTES, AnyAttribute, Category, Moment, Number, Text, month_as_text
from catalog.models import Listing
from recommendations.listings.market_prices import ListingMarketPrice
from recommendations.serving.recommended import RecommendedList, RecommendedListing

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_moment = DateTimeField(allow_null=True)
_kept: WeakKeyDictionary[RecommendedListing, str] = WeakKeyDictionary()
CARDS_KEPT = 2000  # of one process; a kB each, and rows that ``serving.rows`` keeps as well
_cards: LRUCache[int, tuple[Listing, ListingMarketPrice | None, tuple[str, str]]] = LRUCache(CARDS_KEPT)
_cards_lock = threading.Lock()


def number(value: Any) -> float | None:
    """As ``FiniteFloatField`` has it: null for what JSON has no number for."""
    return float(value) if value is not None and isfinite(value) else None


def moment(value: datetime | None) -> str | None:
    """As ``DateTimeField`` has it."""
    return _moment.to_representation(value) if value else None


def _shown(attribute: AnyAttribute) -> Callable[[Any], Any]:
    """How the fields of ``CarCardSerializer`` have the values of an attribute."""
    match attribute:
        case Number(kind="month"):
            return lambda value: None if value is None else month_as_text(value)
        case Number(kind="fraction" | "money"):
            return number
        case Moment():
            return moment
        case Category() | Number() | Text():
            return lambda value: value
    return list


def _answered(*, is_on_card: bool) -> list[tuple[str, str, Callable[[Any], Any]]]:
    """For each attribute: field name of the answer, column, and the function that formats its values."""
    some = (attribute for attribute in ATTRIBUTES if attribute.is_on_card == is_on_card)
    return [(attribute.answers_as, attribute.column, _shown(attribute)) for attribute in some]


ON_CARDS, ON_PAGES = _answered(is_on_card=True), _answered(is_on_card=False)


def is_plain_json(request: Request) -> bool:
    """Whether the caller wants JSON and nothing particular about it, such as an indent."""
    return bool(request.accepted_media_type == JSONRenderer.media_type)


def list_response(answer: RecommendedList, next_page: str | None) -> HttpResponse:
    """The body of ``RecommendationsAnswerSerializer``."""
    fields = _encoder.encode(list_fields(answer, next_page))
    return json_response(f'{{"recommended":{items_json(answer.items)},{fields[1:]}')


def list_fields(answer: RecommendedList, next_page: str | None) -> dict[str, Any]:
    """What the API answers of a list beside its cars, by the names of the answer."""
    return {
        "list_id": str(answer.id),
        "after": str(answer.goes_on_from) if answer.goes_on_from else None,
        "next": next_page,
        "experiment": answer.experiment,
        "variant": answer.variant,
        "version": answer.version_id,
        "is_personalised": answer.is_personalised,
        "n_events": answer.n_events,
    }


def similar_response(answer: RecommendedList) -> HttpResponse:
    """The body of ``SimilarAnswerSerializer``."""
    return json_response(f'{{"similar":{items_json(answer.items)},"list_id":"{answer.id}"}}')


def search_response(answer: Mapping[str, Any]) -> HttpResponse:
    """The body of ``SearchAnswerSerializer``, of what it is given."""
    cars = ",".join(priced_card_json(each["listing"], each["market_price"]) for each in answer["listings"])
    start = _encoder.encode({name: answer[name] for name in ("count", "next", "previous")})
    end = _encoder.encode(
        {
            "understood": [
                {"text": each.text, "field": each.field, "value": each.value} for each in answer["understood"]
            ],
            **{name: answer[name] for name in ("rest", "is_rest_found", "facets")},
        }
    )
    return json_response(f'{start[:-1]},"listings":[{cars}],{end[1:]}')


def priced_card_json(listing: Listing, market_price: ListingMarketPrice | None) -> str:
    """As ``PricedCardSerializer`` has it."""
    start, end = card_parts(listing, market_price)
    return f'{start},"source":{_encoder.encode(listing.source)},{end}}}'


def card_parts(listing: Listing, market_price: ListingMarketPrice | None) -> tuple[str, str]:
    """What stands before and after the source of a priced card; kept for the same row and the same price.

    In a list the source is who found the car, so it differs where the rest of the card is the same.
    """
    with _cards_lock:
        kept = _cards.get(listing.pk)
    if kept and kept[0] is listing and kept[1] == market_price:
        return kept[2]
    content = list({**card(listing), "market_price": price(market_price)}.items())
    at = next(at for at, (name, _) in enumerate(content) if name == "source")
    parts = _encoder.encode(dict(content[:at]))[:-1], _encoder.encode(dict(content[at + 1 :]))[1:-1]
    with _cards_lock:
        _cards[listing.pk] = listing, market_price, parts
    return parts


def car_response(listing: Listing, market_price: ListingMarketPrice | None) -> HttpResponse:
    """The body of ``PricedCarSerializer``."""
    return json_response(_encoder.encode({**car(listing), "market_price": price(market_price)}))


def json_response(body: str) -> HttpResponse:
    # as REST framework's renderer has it: JSON may hold these two, JavaScript may not
    body = body.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return HttpResponse(body.encode(), content_type=JSONRenderer.media_type)


def items_json(items: Sequence[RecommendedListing]) -> str:
    return f"[{','.join(map(item_json, items))}]"


def item_json(item: RecommendedListing) -> str:
    """As ``RecommendedCarSerializer`` has it."""
    kept = _kept.get(item)
    if kept is None:
        place = _encoder.encode(
            {
                "position": item.position,
                "score": float(item.score),
                "reason": item.reason,
                "promoted": item.is_promoted,
                "placed_by": item.placed_by,
                "propensity": item.propensity,
            }
        )
        start, end = card_parts(item.listing, item.market_price)
        kept = _kept[item] = f'{start},"source":{_encoder.encode(item.source)},{end},{place[1:]}'
    return kept


def card(listing: Listing) -> dict[str, Any]:
    """As ``CarCardSerializer`` has it."""
    return {
        "id": listing.pk,
        "external_id": listing.external_id,
        "listing_source": listing.source,
        "source": listing.source,
        "url": listing.url,
        "brand": listing.make.name if listing.make else "",
        "model": listing.car_model.name if listing.car_model else "",
        "name": listing.name,
        "selling_price": number(listing.price),
        "currency": listing.currency,
        "year": listing.year,
        **{name: show(getattr(listing, column)) for name, column, show in ON_CARDS},
        "seller_type": listing.seller.kind if listing.seller else "",
        "place": listing.place,
        "photo_url": listing.photo_url,
        "published_at": moment(listing.published_at),
    }


def car(listing: Listing) -> dict[str, Any]:
    """As ``CarSerializer`` has it."""
    return {
        **card(listing),
        "transmission": listing.gearbox,
        "seller_name": listing.seller.name if listing.seller else "",
        "status": listing.status,
        "description": listing.description,
        "tags": list(listing.tags),
        **{name: show(getattr(listing, column)) for name, column, show in ON_PAGES},
        "latitude": number(listing.latitude),
        "longitude": number(listing.longitude),
        "ended_at": moment(listing.ended_at),
    }


def price(market_price: ListingMarketPrice | None) -> dict[str, Any] | None:
    """As ``MarketPriceSerializer`` has it."""
    if market_price is None:
        return None
    return {
        "label": market_price.label,
        "low": float(market_price.low),
        "median": float(market_price.median),
        "high": float(market_price.high),
        "currency": market_price.currency,
    }
