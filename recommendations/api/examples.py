"""Examples for the description of the API."""

from drf_spectacular.utils import OpenApiExample

from catalog.search.parameters import SET_PARAMETERS

CARD = {
    "id": 4711,
    "external_id": "A-1017",
    "listing_source": "garage",
    "source": "garage",
    "url": "https://garage.example/cars/A-1017",
    "brand": "Skoda",
    "model": "Octavia",
    "name": "Skoda Octavia Combi 1.4 TSI",
    "selling_price": 12500.0,
    "currency": "GBP",
    "year": 2019,
    "km_driven": 61200,
    "fuel": "petrol",
    "gearbox": "manual",
    "body": "estate",
    "drive": "front",
    "colour": "blue",
    "power_kw": 110,
    "engine_l": 1.4,
    "condition": "used",
    "damage": "none",
    "seller_type": "dealer",
    "place": "Leeds",
    "photo_url": "",
    "published_at": "2026-11-02T09:30:00Z",
    "market_price": {"label": "good", "low": 12650.0, "median": 13900.0, "high": 15200.0, "currency": "GBP"},
}
CAR = CARD | {
    "transmission": "manual",
    "owner": 1,
    "seller_name": "Aire Valley Cars",
    "status": "live",
    "description": "One owner, full history.",
    "tags": ["towbar"],
    "doors": 5,
    "seats": 5,
    "consumption_l_100km": 5.4,
    "annual_tax": 165.0,
    "first_registration": "2019-03",
    "posted_at": "2026-11-02T09:30:00Z",
    "photos": [],
    "manufacturer_colour": "Tornado Red",
    "vat": "included",
    "latitude": 53.8,
    "longitude": -1.55,
    "ended_at": None,
}
SEARCH_ANSWER = {
    "count": 1,
    "next": None,
    "previous": None,
    "listings": [CARD],
    "understood": [
        {"text": "estate", "field": "body", "value": "estate"},
        {"text": "under 15k", "field": "max_price", "value": 15000},
    ],
    "rest": "tow bar",
    "is_rest_found": True,
    "facets": {
        **{parameter: [] for parameter in SET_PARAMETERS},
        "brand": [{"value": "skoda", "count": 1}],
        "fuel": [{"value": "petrol", "count": 1}],
    },
}
COMPLETIONS_ANSWER = {
    "completions": [{"text": "red Octavia", "field": "model", "value": "octavia", "count": 27}],
}
RECOMMENDED = CARD | {
    "position": 1,
    "score": 2.31,
    "source": "taste",
    "reason": "An estate, as you like them.",
    "promoted": False,
    "placed_by": "score",
    "propensity": 1.0,
}
LIST_ID = "0b6f3c2e-7d7a-4b0e-9f1e-3a2f5d1c8e90"
RECOMMENDATIONS_QUESTION = {"k": 10, "max_price": 15000, "exclude": [4711], "exclude_external": ["A-1017"]}
RECOMMENDATIONS_ANSWER = {
    "recommended": [RECOMMENDED],
    "list_id": LIST_ID,
    "after": None,
    "next": f"https://cars.example/api/v1/cars/recommendations?after={LIST_ID}&k=1",
    "experiment": "",
    "variant": "",
    "version": 3,
    "is_personalised": True,
    "n_events": 12,
}
PLACEMENTS_QUESTION = {
    "lists": [{"placement": "home", "k": 10}, {"placement": "home", "k": 4, "body": "estate"}],
    "exclude": [4711],
}
PLACEMENTS_ANSWER = {
    "lists": [
        RECOMMENDATIONS_ANSWER | {"placement": "home"},
        RECOMMENDATIONS_ANSWER
        | {
            "recommended": [RECOMMENDED | {"id": 4712, "external_id": "A-1018"}],
            "list_id": "5b0c2a43-64cf-4f3b-8f52-0d6e7d0a4c11",
            "next": None,
            "placement": "home",
        },
    ]
}
RANK_QUESTION = {"listing_ids": [4711, 4712], "external_ids": ["A-1019"], "source": "garage"}
RANK_ANSWER = {
    "ranked": [RECOMMENDED | {"source": "ordered"}],
    "left_out": [
        {"listing_id": 4712, "external_id": None, "reason": "not_for_sale"},
        {"listing_id": None, "external_id": "A-1019", "reason": "unknown"},
    ],
    "list_id": LIST_ID,
    "version": 3,
    "is_personalised": True,
    "n_events": 12,
}
SIMILAR_ANSWER = {
    "similar": [RECOMMENDED | {"source": "similar", "reason": "Much like the car you are looking at."}],
    "list_id": LIST_ID,
}
QUESTIONNAIRE = {
    "budget_min": 8000,
    "budget_max": 15000,
    "bodies": ["estate", "mpv"],
    "fuels": ["petrol", "hybrid"],
    "gearboxes": [],
    "drives": [],
    "colours": [],
    "brands": ["skoda"],
    "models": [],
    "min_year": 2018,
    "max_mileage": 80000,
    "min_seats": 5,
    "use": "family",
}
EVENT = {"kind": "like", "event_id": "9f8b5c1e-like-4711", "listing_id": 4711}
EVENT_BY_EXTERNAL_ID = {"kind": "contact", "buyer": "customer-42", "external_id": "A-1017", "source": "garage"}
EVENTS = [
    OpenApiExample("One event", value=EVENT, request_only=True),
    OpenApiExample(
        "Several events, by a client system",
        value={
            "events": [
                EVENT | {"buyer": "customer-42", "occurred_at": "2026-11-20T18:04:05Z"},
                EVENT_BY_EXTERNAL_ID,
                {"kind": "search", "buyer": "customer-42", "query": {"brand": ["skoda"], "max_price": 15000}},
            ]
        },
        request_only=True,
    ),
    OpenApiExample(
        "Of three events one was known",
        value={
            "recorded": 2,
            "waiting": 0,
            "repeated": 1,
            "events": [
                {"event_id": "9f8b5c1e-like-4711", "status": "repeated", "fields": {}},
                {"event_id": "0b6c2f6e9d4c4c0f8f9f3f1a2b3c4d5e", "status": "recorded", "fields": {}},
                {"event_id": "5d1f0a77c1b64f0e9a3b8e2c6d7f4a10", "status": "recorded", "fields": {}},
            ],
        },
        response_only=True,
        status_codes=["201"],
    ),
]
