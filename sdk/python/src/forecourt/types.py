"""The types of questions and answers.

Made by sdk/generate.py from the description of the API; do not edit. `make sdk` makes it again.
"""


from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from uuid import UUID


class AlertSettings(TypedDict):
    """Fields that are left out stay as they are; null, or an empty time zone, stands for the setting of the site."""

    is_enabled: NotRequired[bool]
    """False: no alerts for any saved search."""
    frequency: NotRequired[FrequencyEnum]
    """`instant`: as cars come. `daily`: once a day, in one message."""
    per_day: NotRequired[int | None]
    """The most messages within 24 hours."""
    time_zone: NotRequired[str]
    """Time zone of the quiet hours, such as `Europe/London`."""
    quiet_from: NotRequired[int | None]
    """The hour at which quiet hours begin."""
    quiet_until: NotRequired[int | None]
    """The hour at which they end; the same as `quiet_from` for none."""


class Beacon(TypedDict):
    """What a guest did, and who they are."""

    partial: NotRequired[bool]
    """Record the events that are right, though others are not. Left out: `true`."""
    visitor_key: str
    """As the header `X-Visitor-Key` has it elsewhere."""
    events: list[Event]


class Buyer(TypedDict):
    external_id: str
    """Of the buyer that the id stands for, after a merge too."""
    location: Location | None
    country: str
    """Empty where it is not known."""
    locale: str
    """Empty where it is not known."""
    own_sellers: list[SellerAnswer]
    is_personalised: bool
    merged_external_ids: list[str]
    """Other ids of your system that stand for this buyer."""
    n_events: int
    created_at: str
    answers: Questionnaire
    """What the buyer answered to the questionnaire."""
    profile: BuyerProfile | None
    """Null for a buyer with no history, or one who opted out, and before a training."""


class BuyerChange(TypedDict):
    """What a client system says of a buyer."""

    location: NotRequired[Location | None]
    """Where the buyer is; null: not known."""
    country: NotRequired[str]
    """Home country, two letters as in ISO 3166."""
    locale: NotRequired[str]
    """Language and region, as `en-GB`."""
    own_sellers: NotRequired[list[SellerReference]]
    """Sellers that the buyer is: no list shows the buyer a car of theirs."""
    is_personalised: NotRequired[bool]
    """False: the lists of a new visitor. Left out: as it is, with PUT too."""


class BuyerProfile(TypedDict):
    """What was learned of a buyer, in words."""

    version: int
    """Of the ranker."""
    computed_at: str
    n_events: int
    """Events that it rests on."""
    confidence: float
    """0 to 1: the share of the spread among all buyers that this buyer's events have removed."""
    wishes: list[Wish]
    """The strongest first."""


class Car(TypedDict):
    """Everything about one car."""

    id: int
    """Our id."""
    external_id: str | None
    """The id its source knows it by; null without one."""
    listing_source: str
    """Whose id that is."""
    source: str
    """The same as `listing_source`."""
    url: str
    """The page of the advertisement; empty where it is unknown."""
    brand: NotRequired[str]
    """Empty where it is unknown."""
    model: NotRequired[str]
    """Empty where it is unknown."""
    name: str
    """The title of the advertisement, or brand and model."""
    selling_price: float | None
    currency: str
    year: int | None
    km_driven: int | None
    fuel: str
    """Empty where it is unknown."""
    gearbox: str
    """Empty where it is unknown."""
    body: str
    """Empty where it is unknown."""
    drive: str
    """Empty where it is unknown."""
    colour: str
    """Empty where it is unknown."""
    power_kw: int | None
    engine_l: float | None
    condition: str
    """Empty where it is unknown."""
    damage: str
    """`none` where the seller says so; empty where nothing is said."""
    seller_type: NotRequired[str]
    """`dealer`, `private`, or empty."""
    place: str
    photo_url: str
    """The first of the photos; empty where there is none."""
    published_at: str | None
    transmission: str
    """The same as `gearbox`."""
    seller_name: NotRequired[str]
    status: ListingStatus
    description: str
    tags: list[str]
    consumption_l_100km: float | None
    doors: int | None
    seats: int | None
    owner: int | None
    """How many owners it has had."""
    annual_tax: float | None
    first_registration: str | None
    """Year and month: `2018-03`. Null where it is unknown."""
    posted_at: str | None
    """When its source put the advertisement online."""
    photos: list[str]
    """Web addresses, the main photo first."""
    manufacturer_colour: str
    """What the manufacturer calls the colour, as the seller writes it."""
    vat: str
    """What is known of the value added tax in the price; empty where nothing is said."""
    latitude: float | None
    longitude: float | None
    ended_at: str | None


class ChangeAlertSettingsQuery(TypedDict):
    """The query string of `change_alert_settings`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class ChangeListingByExternalIdQuery(TypedDict):
    """The query string of `change_listing_by_external_id`."""

    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class ChangeSavedSearchQuery(TypedDict):
    """The query string of `change_saved_search`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class CompleteSearchQuery(TypedDict):
    """The query string of `complete_search`."""

    limit: NotRequired[int]
    q: NotRequired[str]
    """What has been typed so far."""


class CompleteSet(TypedDict):
    """All external ids of a source, or of one of its sellers, that are for sale."""

    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    seller_id: NotRequired[str]
    """Your id of the seller whose set it is."""
    external_ids: list[str]
    confirm: NotRequired[bool]
    """Withdraw even if it is much of the set. Left out: `false`."""


class Completed(TypedDict):
    kept: int
    """Listings of the set that are as they were."""
    withdrawn: int
    """Listings that were not in the set, and are off the market now."""
    unknown: list[str]
    """Ids that no listing has, 100 at most: bring them in."""


class Completion(TypedDict):
    text: str
    """What was typed, with its last word completed."""
    field: str
    """The parameter of the search that the completion sets."""
    value: str
    count: int
    """Cars for sale that have it, a minute ago at most."""


class CompletionsAnswer(TypedDict):
    completions: list[Completion]


class Credentials(TypedDict):
    """The login of an account."""

    email: str
    """Upper and lower case are the same."""
    password: str
    code: NotRequired[str]
    """Of the second factor, where the account has one; or a recovery code."""


class DetailQuestion(TypedDict):
    """The query string of `get_car_by_reference`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    list_id: NotRequired[UUID | str]
    """The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out."""
    position: NotRequired[int]
    """1 is the top."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class Error(TypedDict):
    """The one shape of every error."""

    error: dict[str, Any]


class Event(TypedDict):
    """Something a buyer did."""

    list_id: NotRequired[UUID | str]
    """The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out."""
    position: NotRequired[int]
    """1 is the top."""
    kind: str
    """`view`, `like`, `contact`, …; the admin lists them."""
    event_id: NotRequired[str]
    """Made by you; an event sent twice with it counts once."""
    listing_id: NotRequired[int | None]
    """Our id of the car; or else `external_id`."""
    external_id: NotRequired[str | None]
    """Your id of the car."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    query: NotRequired[Filters | None]
    """What a search asked for, with the parameters of `/cars/search`."""
    occurred_at: NotRequired[datetime | str]
    """Now, when left out."""
    positions: NotRequired[list[int] | None]
    """Of an `impression`: which positions of the list `list_id` were seen."""
    listing_ids: NotRequired[list[int] | None]
    """Of an `impression`: which cars were seen, in place of `positions`."""
    external_ids: NotRequired[list[str] | None]
    """The same, by your ids."""
    dwell_seconds: NotRequired[float | None]
    """Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more with this."""
    value: NotRequired[float | Decimal | str | None]
    """With an API key, of a contact or a sale: what it is worth to you, in the market's currency. Experiments add it up."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer."""


class EventDetails(TypedDict):
    """Something a buyer did."""

    list_id: NotRequired[UUID | str]
    """The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out."""
    position: NotRequired[int]
    """1 is the top."""
    event_id: NotRequired[str]
    """Made by you; an event sent twice with it counts once."""
    listing_id: NotRequired[int | None]
    """Our id of the car; or else `external_id`."""
    external_id: NotRequired[str | None]
    """Your id of the car."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    query: NotRequired[Filters | None]
    """What a search asked for, with the parameters of `/cars/search`."""
    occurred_at: NotRequired[datetime | str]
    """Now, when left out."""
    positions: NotRequired[list[int] | None]
    """Of an `impression`: which positions of the list `list_id` were seen."""
    listing_ids: NotRequired[list[int] | None]
    """Of an `impression`: which cars were seen, in place of `positions`."""
    external_ids: NotRequired[list[str] | None]
    """The same, by your ids."""
    dwell_seconds: NotRequired[float | None]
    """Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more with this."""
    value: NotRequired[float | Decimal | str | None]
    """With an API key, of a contact or a sale: what it is worth to you, in the market's currency. Experiments add it up."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer."""


class EventResult(TypedDict):
    """What became of one event of a list."""

    event_id: str
    """Yours, or made here; empty for one that could not be read."""
    status: EventResultStatusEnum
    """`conflict`: the id is that of another event of yours. `waiting`: it is recorded once its listing comes."""
    fields: dict[str, list[str]]
    """Why it was not recorded, by field."""


class Events(TypedDict):
    """One event by itself, a list of events, or this."""

    events: list[Event]
    partial: NotRequired[bool]
    """The same as the parameter `partial`."""


class ExportMeQuery(TypedDict):
    """The query string of `export_me`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class FacetValue(TypedDict):
    value: str
    count: int
    """Cars that the search would find with this value."""


class Facets(TypedDict):
    """The values of each field, the most frequent first, by the search without that field's own filter."""

    brand: list[FacetValue]
    model: list[FacetValue]
    fuel: list[FacetValue]
    gearbox: list[FacetValue]
    body: list[FacetValue]
    drive: list[FacetValue]
    colour: list[FacetValue]
    condition: list[FacetValue]
    damage: list[FacetValue]
    vat: list[FacetValue]
    seller_type: list[FacetValue]


class Filters(TypedDict):
    """Conditions on listings. Ranges are inclusive; a listing without the attribute does not match."""

    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    min_year: NotRequired[int]
    max_year: NotRequired[int]
    min_price: NotRequired[float]
    """In the market's currency."""
    max_price: NotRequired[float]
    """In the market's currency."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""
    min_mileage: NotRequired[int]
    """In km."""
    max_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    max_power: NotRequired[int]
    """In kW."""
    min_doors: NotRequired[int]
    max_doors: NotRequired[int]
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    min_seats: NotRequired[int]
    max_seats: NotRequired[int]
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""


class FindCarsSimilarToReferenceQuery(TypedDict):
    """The query string of `find_cars_similar_to_reference`."""

    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    external_id: NotRequired[str]
    """Your id of the car."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    k: NotRequired[int]
    """How many cars."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    listing_id: NotRequired[int]
    """Our id of the car; or else `external_id`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    max_doors: NotRequired[int]
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_mileage: NotRequired[int]
    """In km."""
    max_power: NotRequired[int]
    """In kW."""
    max_price: NotRequired[float]
    """In the market's currency."""
    max_seats: NotRequired[int]
    max_year: NotRequired[int]
    min_doors: NotRequired[int]
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    min_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    min_price: NotRequired[float]
    """In the market's currency."""
    min_seats: NotRequired[int]
    min_year: NotRequired[int]
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""


class FindSimilarCarsQuery(TypedDict):
    """The query string of `find_similar_cars`."""

    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    k: NotRequired[int]
    """How many cars."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    max_doors: NotRequired[int]
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_mileage: NotRequired[int]
    """In km."""
    max_power: NotRequired[int]
    """In kW."""
    max_price: NotRequired[float]
    """In the market's currency."""
    max_seats: NotRequired[int]
    max_year: NotRequired[int]
    min_doors: NotRequired[int]
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    min_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    min_price: NotRequired[float]
    """In the market's currency."""
    min_seats: NotRequired[int]
    min_year: NotRequired[int]
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""


class ForgetMeQuery(TypedDict):
    """The query string of `forget_me`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class GetAlertSettingsQuery(TypedDict):
    """The query string of `get_alert_settings`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class GetAnswersQuery(TypedDict):
    """The query string of `get_answers`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class GetCarByReferenceQuery(TypedDict):
    """The query string of `get_car_by_reference`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    external_id: NotRequired[str]
    """Your id of the car."""
    list_id: NotRequired[UUID | str]
    """The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out."""
    listing_id: NotRequired[int]
    """Our id of the car; or else `external_id`."""
    position: NotRequired[int]
    """1 is the top."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class GetCarQuery(TypedDict):
    """The query string of `get_car`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    list_id: NotRequired[UUID | str]
    """The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out."""
    position: NotRequired[int]
    """1 is the top."""


class GetListingByExternalIdQuery(TypedDict):
    """The query string of `get_listing_by_external_id`."""

    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class GetPrivacyQuery(TypedDict):
    """The query string of `get_privacy`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class GetSavedSearchQuery(TypedDict):
    """The query string of `get_saved_search`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class HiddenCar(TypedDict):
    id: int
    """Our id."""
    external_id: str | None
    """The id its source knows it by; null without one."""
    listing_source: str
    """Whose id that is."""
    source: str
    """The same as `listing_source`."""
    url: str
    """The page of the advertisement; empty where it is unknown."""
    brand: NotRequired[str]
    """Empty where it is unknown."""
    model: NotRequired[str]
    """Empty where it is unknown."""
    name: str
    """The title of the advertisement, or brand and model."""
    selling_price: float | None
    currency: str
    year: int | None
    km_driven: int | None
    fuel: str
    """Empty where it is unknown."""
    gearbox: str
    """Empty where it is unknown."""
    body: str
    """Empty where it is unknown."""
    drive: str
    """Empty where it is unknown."""
    colour: str
    """Empty where it is unknown."""
    power_kw: int | None
    engine_l: float | None
    condition: str
    """Empty where it is unknown."""
    damage: str
    """`none` where the seller says so; empty where nothing is said."""
    seller_type: NotRequired[str]
    """`dealer`, `private`, or empty."""
    place: str
    photo_url: str
    """The first of the photos; empty where there is none."""
    published_at: str | None
    hidden_at: str
    kind: str
    """Of the event that hid it."""


class HiddenCars(TypedDict):
    cars: list[HiddenCar]
    """The newest first, at most 1,000."""


class LeaveOut(TypedDict):
    """Several lists of one page, in the order in which they choose their cars."""

    exclude: NotRequired[list[int] | int]
    """Cars to leave out, by our ids; up to 1,000."""
    exclude_external: NotRequired[list[str] | str]
    """Cars to leave out, by your ids, one in each parameter; up to 1,000."""
    exclude_source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class LeftOutCar(TypedDict):
    """A car that was named and is not in the order; as it was named."""

    listing_id: int | None
    external_id: str | None
    reason: ReasonEnum
    """`hidden`: dismissed or blocked by the buyer, their own, or hidden by the site."""


class ListBuyersOfListingQuery(TypedDict):
    """The query string of `list_buyers_of_listing`."""

    k: NotRequired[int]
    """How many buyers at most."""


class ListListingsQuery(TypedDict):
    """The query string of `list_listings`."""

    cursor: NotRequired[int]
    """From `next`; left out: the first page."""
    page_size: NotRequired[int]
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    status: NotRequired[Literal["draft", "live", "reserved", "sold", "withdrawn"] | str]
    """Left out: of every status."""


class ListSavedSearchesQuery(TypedDict):
    """The query string of `list_saved_searches`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class ListingIn(TypedDict):
    """A listing as a client system sends it. Fields that are left out stay as they are; null clears a field."""

    external_id: str
    """Your id of the listing."""
    vin: NotRequired[str]
    """Vehicle identification number: one of 17 characters names the car, whichever sources advertise it."""
    brand: NotRequired[str]
    """Refused where it is nearly written like a known one. Cut at 80 letters, with a note."""
    make: NotRequired[str]
    """The same as `brand`. Cut at 80 letters, with a note."""
    model: NotRequired[str]
    """Cut at 120 letters, with a note."""
    title: NotRequired[str | None]
    """Cut at 255 letters, with a note."""
    description: NotRequired[str | None]
    """Cut at 20,000 letters, with a note."""
    tags: NotRequired[list[str] | None]
    year: NotRequired[int | None]
    price: NotRequired[float | Decimal | str | None]
    currency: NotRequired[str]
    """The market's, when left out."""
    mileage_km: NotRequired[int | str | None]
    """A text may name its unit: `37,442 miles`."""
    fuel: NotRequired[Fuel | str | None]
    """Any word for it that an import reads is understood."""
    gearbox: NotRequired[Gearbox | str | None]
    """Any word for it that an import reads is understood."""
    body: NotRequired[Body | str | None]
    """Any word for it that an import reads is understood."""
    drive: NotRequired[Drive | str | None]
    """Any word for it that an import reads is understood."""
    colour: NotRequired[str | None]
    """Cut at 30 letters, with a note."""
    power_kw: NotRequired[int | None]
    engine_l: NotRequired[float | None]
    consumption_l_100km: NotRequired[float | None]
    doors: NotRequired[int | None]
    seats: NotRequired[int | None]
    owner_count: NotRequired[int | None]
    """How many owners it has had."""
    annual_tax: NotRequired[float | Decimal | str | None]
    first_registration: NotRequired[str | None]
    """Year and month: `2018-03`."""
    condition: NotRequired[Condition | str | None]
    """Any word for it that an import reads is understood."""
    damage: NotRequired[Damage | str | None]
    """`none` where the seller says so; empty where nothing is said. Any word for it that an import reads is understood."""
    posted_at: NotRequired[datetime | str | None]
    """When its source put the advertisement online."""
    photos: NotRequired[list[str] | None]
    """Web addresses, the main photo first."""
    manufacturer_colour: NotRequired[str | None]
    """What the manufacturer calls the colour, as the seller writes it. Cut at 60 letters, with a note."""
    vat: NotRequired[VatEnum | str | None]
    """What is known of the value added tax in the price; empty where nothing is said. Any word for it that an import reads is understood."""
    photo_url: NotRequired[str | None]
    """The first of the photos; alone it is all of them."""
    url: NotRequired[str | None]
    """The page of the advertisement."""
    place: NotRequired[str | None]
    """Cut at 120 letters, with a note."""
    latitude: NotRequired[float | None]
    longitude: NotRequired[float | None]
    seller_id: NotRequired[str]
    """Your id of the seller."""
    seller_name: NotRequired[str]
    """Cut at 200 letters, with a note."""
    seller_type: NotRequired[SellerTypeEnum | str]
    """Any word for it that an import reads is understood."""
    status: NotRequired[ListingStatusToSet | str]
    """A new listing with a price goes live by itself. Any word for it that an import reads is understood."""


class ListingKey(TypedDict):
    external_id: str
    source: str
    """Whose id that is."""
    id: int
    """Our id, as in `/cars/detail/{id}`."""
    result: ResultEnum
    notes: dict[str, str]
    """Field -> what was done to its text."""


class ListingReference(TypedDict):
    """One listing: by `listing_id`, or by `external_id` and `source`."""

    listing_id: NotRequired[int]
    """Our id of the car; or else `external_id`."""
    external_id: NotRequired[str]
    """Your id of the car."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class ListingsIn(TypedDict):
    """Listings of one source."""

    source: NotRequired[str]
    """Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key."""
    listings: list[ListingIn]


class Location(TypedDict):
    """A location in degrees (WGS 84)."""

    latitude: float
    longitude: float


class MarketPrice(TypedDict):
    """What such a car costs: the middle 80% of prices lie from `low` to `high`."""

    label: LabelEnum
    """`good` below the range, `high` above it, `fair` within."""
    low: float
    median: float
    high: float
    currency: str
    """The listing's own."""


class MatchingBuyer(TypedDict):
    buyer_id: int
    """Our id."""
    external_id: str | None
    """Your id; null for accounts and guests of this site."""
    rank: int
    """About where the car stands among all cars for this buyer; 1 is the top."""
    share_better: float
    """Share of the cars for sale that suit the buyer better, 0 to 1."""
    score: float
    """Of the car for the buyer; higher is better."""
    last_event_at: str


class MatchingBuyers(TypedDict):
    buyers: list[MatchingBuyer]
    """Those who want the car most first."""


class Me(TypedDict):
    email: str
    first_name: str
    surname: str


class Merge(TypedDict):
    """Who turned out to be the same person: one of the two."""

    visitor_key: NotRequired[str]
    """Of a guest; the key is spent by this."""
    external_id: NotRequired[str]
    """Another id of your system."""


class PatchedAlertSettings(TypedDict):
    """Fields that are left out stay as they are; null, or an empty time zone, stands for the setting of the site."""

    is_enabled: NotRequired[bool]
    """False: no alerts for any saved search."""
    frequency: NotRequired[FrequencyEnum]
    """`instant`: as cars come. `daily`: once a day, in one message."""
    per_day: NotRequired[int | None]
    """The most messages within 24 hours."""
    time_zone: NotRequired[str]
    """Time zone of the quiet hours, such as `Europe/London`."""
    quiet_from: NotRequired[int | None]
    """The hour at which quiet hours begin."""
    quiet_until: NotRequired[int | None]
    """The hour at which they end; the same as `quiet_from` for none."""


class PatchedBuyerChange(TypedDict):
    """What a client system says of a buyer."""

    location: NotRequired[Location | None]
    """Where the buyer is; null: not known."""
    country: NotRequired[str]
    """Home country, two letters as in ISO 3166."""
    locale: NotRequired[str]
    """Language and region, as `en-GB`."""
    own_sellers: NotRequired[list[SellerReference]]
    """Sellers that the buyer is: no list shows the buyer a car of theirs."""
    is_personalised: NotRequired[bool]
    """False: the lists of a new visitor. Left out: as it is, with PUT too."""


class PatchedListingChange(TypedDict):
    """What can be changed about one listing; at least one of the two."""

    status: NotRequired[ListingStatusToSet | str]
    """Any word for it that an import reads is understood."""
    price: NotRequired[float | Decimal | str]


class PatchedListingsIn(TypedDict):
    """Listings of one source."""

    source: NotRequired[str]
    """Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key."""
    listings: NotRequired[list[ListingIn]]


class PatchedPrivacy(TypedDict):
    """Whether a buyer's lists may be personal."""

    is_personalised: NotRequired[bool]
    """False: the lists of a new visitor, whatever is known about you."""


class PatchedSavedSearchChange(TypedDict):
    """What is left out stays as it is."""

    name: NotRequired[str]
    query: NotRequired[Filters]
    alerts: NotRequired[bool]


class PlacementList(TypedDict):
    recommended: list[RecommendedCar]
    list_id: str
    """Send it back with events about these cars, or for the next page."""
    after: str | None
    """The list that this is the next page of; null for a first one."""
    next: str | None
    """The address of the next page; null where the list ends here."""
    experiment: str
    """The experiment that the list is part of; empty outside of any."""
    variant: str
    """The arm of the experiment that the list is part of, “holdout” for buyers who take part in none; empty outside of experiments."""
    version: int | None
    """Of the ranker; null before the first training."""
    is_personalised: bool
    n_events: int
    """How many events of this buyer the list rests on."""
    placement: str


class PlacementQuestion(TypedDict):
    """One list of several; as a question of `/cars/recommendations`."""

    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    min_year: NotRequired[int]
    max_year: NotRequired[int]
    min_price: NotRequired[float]
    """In the market's currency."""
    max_price: NotRequired[float]
    """In the market's currency."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""
    min_mileage: NotRequired[int]
    """In km."""
    max_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    max_power: NotRequired[int]
    """In kW."""
    min_doors: NotRequired[int]
    max_doors: NotRequired[int]
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    min_seats: NotRequired[int]
    max_seats: NotRequired[int]
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    k: NotRequired[int]
    """How many cars; left out, as many as the placement is made for."""
    source: NotRequired[SourceEnum]
    """Left out: `"hybrid"`."""
    placement: NotRequired[str]
    """The spot on the site; see the admin. Left out: `"home"`."""


class PlacementsAnswer(TypedDict):
    lists: list[PlacementList]
    """In the order of the question; no car is in two of them."""


class PlacementsQuestion(TypedDict):
    """Several lists of one page, in the order in which they choose their cars."""

    exclude: NotRequired[list[int] | int]
    """Cars to leave out, by our ids; up to 1,000."""
    exclude_external: NotRequired[list[str] | str]
    """Cars to leave out, by your ids, one in each parameter; up to 1,000."""
    exclude_source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    lists: list[PlacementQuestion]


class PricedCar(TypedDict):
    """Everything about one car, with its market price."""

    id: int
    """Our id."""
    external_id: str | None
    """The id its source knows it by; null without one."""
    listing_source: str
    """Whose id that is."""
    source: str
    """The same as `listing_source`."""
    url: str
    """The page of the advertisement; empty where it is unknown."""
    brand: NotRequired[str]
    """Empty where it is unknown."""
    model: NotRequired[str]
    """Empty where it is unknown."""
    name: str
    """The title of the advertisement, or brand and model."""
    selling_price: float | None
    currency: str
    year: int | None
    km_driven: int | None
    fuel: str
    """Empty where it is unknown."""
    gearbox: str
    """Empty where it is unknown."""
    body: str
    """Empty where it is unknown."""
    drive: str
    """Empty where it is unknown."""
    colour: str
    """Empty where it is unknown."""
    power_kw: int | None
    engine_l: float | None
    condition: str
    """Empty where it is unknown."""
    damage: str
    """`none` where the seller says so; empty where nothing is said."""
    seller_type: NotRequired[str]
    """`dealer`, `private`, or empty."""
    place: str
    photo_url: str
    """The first of the photos; empty where there is none."""
    published_at: str | None
    transmission: str
    """The same as `gearbox`."""
    seller_name: NotRequired[str]
    status: ListingStatus
    description: str
    tags: list[str]
    consumption_l_100km: float | None
    doors: int | None
    seats: int | None
    owner: int | None
    """How many owners it has had."""
    annual_tax: float | None
    first_registration: str | None
    """Year and month: `2018-03`. Null where it is unknown."""
    posted_at: str | None
    """When its source put the advertisement online."""
    photos: list[str]
    """Web addresses, the main photo first."""
    manufacturer_colour: str
    """What the manufacturer calls the colour, as the seller writes it."""
    vat: str
    """What is known of the value added tax in the price; empty where nothing is said."""
    latitude: float | None
    longitude: float | None
    ended_at: str | None
    market_price: MarketPrice | None
    """Null where such cars' prices spread too widely to say, or the price is no price."""


class PricedCard(TypedDict):
    """A car card with its market price."""

    id: int
    """Our id."""
    external_id: str | None
    """The id its source knows it by; null without one."""
    listing_source: str
    """Whose id that is."""
    source: str
    """The same as `listing_source`."""
    url: str
    """The page of the advertisement; empty where it is unknown."""
    brand: NotRequired[str]
    """Empty where it is unknown."""
    model: NotRequired[str]
    """Empty where it is unknown."""
    name: str
    """The title of the advertisement, or brand and model."""
    selling_price: float | None
    currency: str
    year: int | None
    km_driven: int | None
    fuel: str
    """Empty where it is unknown."""
    gearbox: str
    """Empty where it is unknown."""
    body: str
    """Empty where it is unknown."""
    drive: str
    """Empty where it is unknown."""
    colour: str
    """Empty where it is unknown."""
    power_kw: int | None
    engine_l: float | None
    condition: str
    """Empty where it is unknown."""
    damage: str
    """`none` where the seller says so; empty where nothing is said."""
    seller_type: NotRequired[str]
    """`dealer`, `private`, or empty."""
    place: str
    photo_url: str
    """The first of the photos; empty where there is none."""
    published_at: str | None
    market_price: MarketPrice | None
    """Null where such cars' prices spread too widely to say, or the price is no price."""


class Privacy(TypedDict):
    """Whether a buyer's lists may be personal."""

    is_personalised: bool
    """False: the lists of a new visitor, whatever is known about you."""


class Questionnaire(TypedDict):
    """What a buyer states outright. Everything is optional; what is left out is open. `budget` (the most that may be spent), `body`, `fuel`, `gearbox`, `drive`, `colour`, `brand`, `make`, `model`, `year` (the oldest), `mileage` (the most) and `seats` (the fewest) are understood as well."""

    budget_min: NotRequired[float | None]
    """In the market's currency."""
    budget_max: NotRequired[float | None]
    """In the market's currency."""
    bodies: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]]
    fuels: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]]
    gearboxes: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str]]
    drives: NotRequired[list[Literal["front", "rear", "all"] | str]]
    colours: NotRequired[list[str]]
    """Any word for a colour."""
    brands: NotRequired[list[str]]
    """Name or slug, any case."""
    models: NotRequired[list[str]]
    """Name or slug, any case."""
    min_year: NotRequired[int | None]
    """Built in this year or later."""
    max_mileage: NotRequired[int | None]
    """In km."""
    min_seats: NotRequired[int | None]
    """So many seats or more."""
    use: NotRequired[UseEnum | NullEnum]
    """What the car is for."""


class RankAnswer(TypedDict):
    ranked: list[RecommendedCar]
    """The best for the buyer first."""
    left_out: list[LeftOutCar]
    list_id: str
    """Send it back with events about these cars."""
    version: int | None
    """Of the ranker; null before the first training."""
    is_personalised: bool
    n_events: int
    """How many events of this buyer the order rests on."""


class RankCarsQuery(TypedDict):
    """The query string of `rank_cars`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class RankQuestion(TypedDict):
    """Cars to put in order, by our ids, by yours, or some by each; up to 1,000 of either."""

    listing_ids: NotRequired[list[int] | int]
    """Our ids."""
    external_ids: NotRequired[list[str] | str]
    """Your ids."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class RecommendCarsByBodyQuery(TypedDict):
    """The query string of `recommend_cars_by_body`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class RecommendCarsQuery(TypedDict):
    """The query string of `recommend_cars`."""

    after: NotRequired[UUID | str]
    """The `list_id` of a list of this buyer: the answer is its next page, the following `k` cars of the same question. Only `k` and what to exclude may be asked along with it; anything else must be as it was."""
    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    exclude: NotRequired[list[int] | int]
    """Cars to leave out, by our ids; up to 1,000."""
    exclude_external: NotRequired[list[str] | str]
    """Cars to leave out, by your ids, one in each parameter; up to 1,000."""
    exclude_source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    k: NotRequired[int]
    """How many cars; left out, as many as the placement is made for."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    max_doors: NotRequired[int]
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_mileage: NotRequired[int]
    """In km."""
    max_power: NotRequired[int]
    """In kW."""
    max_price: NotRequired[float]
    """In the market's currency."""
    max_seats: NotRequired[int]
    max_year: NotRequired[int]
    min_doors: NotRequired[int]
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    min_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    min_price: NotRequired[float]
    """In the market's currency."""
    min_seats: NotRequired[int]
    min_year: NotRequired[int]
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    placement: NotRequired[str]
    """The spot on the site; see the admin."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    source: NotRequired[Literal["hybrid", "content", "collaborative"]]
    """What the score may look at: the car itself, what like-minded buyers looked at, or both."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""


class RecommendForPlacementsQuery(TypedDict):
    """The query string of `recommend_for_placements`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class RecommendationsAnswer(TypedDict):
    recommended: list[RecommendedCar]
    list_id: str
    """Send it back with events about these cars, or for the next page."""
    after: str | None
    """The list that this is the next page of; null for a first one."""
    next: str | None
    """The address of the next page; null where the list ends here."""
    experiment: str
    """The experiment that the list is part of; empty outside of any."""
    variant: str
    """The arm of the experiment that the list is part of, “holdout” for buyers who take part in none; empty outside of experiments."""
    version: int | None
    """Of the ranker; null before the first training."""
    is_personalised: bool
    n_events: int
    """How many events of this buyer the list rests on."""


class RecommendationsQuestion(TypedDict):
    """Conditions on the cars of a list, its length, and what to exclude."""

    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    min_year: NotRequired[int]
    max_year: NotRequired[int]
    min_price: NotRequired[float]
    """In the market's currency."""
    max_price: NotRequired[float]
    """In the market's currency."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""
    min_mileage: NotRequired[int]
    """In km."""
    max_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    max_power: NotRequired[int]
    """In kW."""
    min_doors: NotRequired[int]
    max_doors: NotRequired[int]
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    min_seats: NotRequired[int]
    max_seats: NotRequired[int]
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    exclude: NotRequired[list[int] | int]
    """Cars to leave out, by our ids; up to 1,000."""
    exclude_external: NotRequired[list[str] | str]
    """Cars to leave out, by your ids, one in each parameter; up to 1,000."""
    exclude_source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    after: NotRequired[UUID | str]
    """The `list_id` of a list of this buyer: the answer is its next page, the following `k` cars of the same question. Only `k` and what to exclude may be asked along with it; anything else must be as it was."""
    k: NotRequired[int]
    """How many cars; left out, as many as the placement is made for."""
    source: NotRequired[SourceEnum]
    """What the score may look at: the car itself, what like-minded buyers looked at, or both."""
    placement: NotRequired[str]
    """The spot on the site; see the admin. Left out: `"home"`."""


class RecommendedCar(TypedDict):
    """A car card, and why it is there."""

    id: int
    """Our id."""
    external_id: str | None
    """The id its source knows it by; null without one."""
    listing_source: str
    """Whose id that is."""
    source: str
    """Which way it came into the list; whose listing it is says `listing_source`."""
    url: str
    """The page of the advertisement; empty where it is unknown."""
    brand: NotRequired[str]
    """Empty where it is unknown."""
    model: NotRequired[str]
    """Empty where it is unknown."""
    name: str
    """The title of the advertisement, or brand and model."""
    selling_price: float | None
    currency: str
    year: int | None
    km_driven: int | None
    fuel: str
    """Empty where it is unknown."""
    gearbox: str
    """Empty where it is unknown."""
    body: str
    """Empty where it is unknown."""
    drive: str
    """Empty where it is unknown."""
    colour: str
    """Empty where it is unknown."""
    power_kw: int | None
    engine_l: float | None
    condition: str
    """Empty where it is unknown."""
    damage: str
    """`none` where the seller says so; empty where nothing is said."""
    seller_type: NotRequired[str]
    """`dealer`, `private`, or empty."""
    place: str
    photo_url: str
    """The first of the photos; empty where there is none."""
    published_at: str | None
    market_price: MarketPrice | None
    """Null where such cars' prices spread too widely to say, or the price is no price."""
    position: int
    """1 is the top."""
    score: float
    """How well it suits this buyer; higher is better."""
    reason: str
    """One sentence for the buyer, in the language of the request."""
    promoted: bool
    """Whether it stands where it does because that was paid for: label it."""
    placed_by: str
    """What put it where it stands. Cars with `score` stand in the order of their scores; others say what came before the score: `pinned`, `promoted`, `exploration`, `new`, `wish`, `cap`, `variety`, `shown often`, `stand-in` or, in lists that two variants of an experiment make together, `interleaved`."""
    propensity: float | None
    """How likely it was to stand here, given those above it; 1 where nothing was left to chance, null where that is not known."""


class RecordEventsQuery(TypedDict):
    """The query string of `record_events`."""

    partial: NotRequired[bool]
    """Record the events that are right, and say of each other one why it is not."""


class Recorded(TypedDict):
    recorded: int
    """New events."""
    waiting: int
    """New events whose listing is yet to come."""
    repeated: int
    """Events that this sender had sent before."""
    events: NotRequired[list[EventResult]]
    """Of a list: each event, in order."""


class RefreshToken(TypedDict):
    """The refresh token of a login."""

    refresh: str
    """The newest refresh token you were given."""


class RefusedListing(TypedDict):
    index: int
    """Which of the listings that were sent; 0 is the first."""
    external_id: str
    """Empty where it has none that can be read."""
    fields: dict[str, list[str]]
    """Field -> what is wrong with it."""


class RemoveSavedSearchQuery(TypedDict):
    """The query string of `remove_saved_search`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class ReplaceListingByExternalIdQuery(TypedDict):
    """The query string of `replace_listing_by_external_id`."""

    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class Replacement(TypedDict):
    """A listing as it is from now on: what is left out is cleared."""

    external_id: NotRequired[str]
    """Left out, or the same as in the path."""
    vin: NotRequired[str]
    """Vehicle identification number: one of 17 characters names the car, whichever sources advertise it."""
    brand: NotRequired[str]
    """Refused where it is nearly written like a known one. Cut at 80 letters, with a note."""
    make: NotRequired[str]
    """The same as `brand`. Cut at 80 letters, with a note."""
    model: NotRequired[str]
    """Cut at 120 letters, with a note."""
    title: NotRequired[str | None]
    """Cut at 255 letters, with a note."""
    description: NotRequired[str | None]
    """Cut at 20,000 letters, with a note."""
    tags: NotRequired[list[str] | None]
    year: NotRequired[int | None]
    price: NotRequired[float | Decimal | str | None]
    currency: NotRequired[str]
    """The market's, when left out."""
    mileage_km: NotRequired[int | str | None]
    """A text may name its unit: `37,442 miles`."""
    fuel: NotRequired[Fuel | str | None]
    """Any word for it that an import reads is understood."""
    gearbox: NotRequired[Gearbox | str | None]
    """Any word for it that an import reads is understood."""
    body: NotRequired[Body | str | None]
    """Any word for it that an import reads is understood."""
    drive: NotRequired[Drive | str | None]
    """Any word for it that an import reads is understood."""
    colour: NotRequired[str | None]
    """Cut at 30 letters, with a note."""
    power_kw: NotRequired[int | None]
    engine_l: NotRequired[float | None]
    consumption_l_100km: NotRequired[float | None]
    doors: NotRequired[int | None]
    seats: NotRequired[int | None]
    owner_count: NotRequired[int | None]
    """How many owners it has had."""
    annual_tax: NotRequired[float | Decimal | str | None]
    first_registration: NotRequired[str | None]
    """Year and month: `2018-03`."""
    condition: NotRequired[Condition | str | None]
    """Any word for it that an import reads is understood."""
    damage: NotRequired[Damage | str | None]
    """`none` where the seller says so; empty where nothing is said. Any word for it that an import reads is understood."""
    posted_at: NotRequired[datetime | str | None]
    """When its source put the advertisement online."""
    photos: NotRequired[list[str] | None]
    """Web addresses, the main photo first."""
    manufacturer_colour: NotRequired[str | None]
    """What the manufacturer calls the colour, as the seller writes it. Cut at 60 letters, with a note."""
    vat: NotRequired[VatEnum | str | None]
    """What is known of the value added tax in the price; empty where nothing is said. Any word for it that an import reads is understood."""
    photo_url: NotRequired[str | None]
    """The first of the photos; alone it is all of them."""
    url: NotRequired[str | None]
    """The page of the advertisement."""
    place: NotRequired[str | None]
    """Cut at 120 letters, with a note."""
    latitude: NotRequired[float | None]
    longitude: NotRequired[float | None]
    seller_id: NotRequired[str]
    """Your id of the seller."""
    seller_name: NotRequired[str]
    """Cut at 200 letters, with a note."""
    seller_type: NotRequired[SellerTypeEnum | str]
    """Any word for it that an import reads is understood."""
    status: NotRequired[ListingStatusToSet | str]
    """A new listing with a price goes live by itself. Any word for it that an import reads is understood."""


class SaveAnswersQuery(TypedDict):
    """The query string of `save_answers`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class SaveSearchQuery(TypedDict):
    """The query string of `save_search`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class SavedSearch(TypedDict):
    id: int
    name: str
    query: dict[str, Any]
    """As events of searches have it."""
    alerts: bool
    created_at: str


class SavedSearchIn(TypedDict):
    """A search to save."""

    name: NotRequired[str]
    """As the buyer calls it."""
    query: Filters
    """What is asked for, in the parameters of our own search."""
    alerts: NotRequired[bool]
    """New and cheaper cars that match reach the buyer. Left out: `true`."""


class SavedSearches(TypedDict):
    searches: list[SavedSearch]
    """The newest first."""


class SearchAnswer(TypedDict):
    count: int
    """Of all pages."""
    next: str | None
    previous: str | None
    listings: list[PricedCard]
    understood: list[Understood]
    """What was understood of `q`, and can be undone."""
    rest: str
    """The words of `q` that were looked for in the texts."""
    is_rest_found: bool
    """False: no car has the words of `rest`, and the cars that satisfy the other filters are shown."""
    facets: Facets | None
    """Null unless asked for."""


class SearchCarsQuery(TypedDict):
    """The query string of `search_cars`."""

    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    facets: NotRequired[bool]
    """Count the values of each field."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    literal: NotRequired[bool]
    """Look for `q` as it stands; understand nothing."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    max_doors: NotRequired[int]
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_mileage: NotRequired[int]
    """In km."""
    max_power: NotRequired[int]
    """In kW."""
    max_price: NotRequired[float]
    """In the market's currency."""
    max_seats: NotRequired[int]
    max_year: NotRequired[int]
    min_doors: NotRequired[int]
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    min_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    min_price: NotRequired[float]
    """In the market's currency."""
    min_seats: NotRequired[int]
    min_year: NotRequired[int]
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    near: NotRequired[str]
    """A town; `radius_km` around it, or 50."""
    not_understood: NotRequired[list[str] | str]
    """Parameters, or words of `q`, that are not to be understood."""
    ordering: NotRequired[Literal["newest", "price", "-price", "year", "-year", "mileage", "-mileage", "recommended"]]
    """A minus sign: the highest first; `recommended`: what suits the buyer best. Left out, `newest`."""
    page: NotRequired[int]
    page_size: NotRequired[int]
    q: NotRequired[str]
    """Typed words: names, amounts and words of closed sets become filters, the others are looked for in title, description and equipment; “quoted” phrases, OR and -without work as on the web."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""


class SellerAnswer(TypedDict):
    seller_id: str
    source: str


class SellerReference(TypedDict):
    """A seller by the id that a source knows them by."""

    seller_id: str
    """As in the `seller_id` of listings."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class Sellers(TypedDict):
    sellers: list[SellerAnswer]


class SetPrivacyQuery(TypedDict):
    """The query string of `set_privacy`."""

    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""


class ShowCarAgainQuery(TypedDict):
    """The query string of `show_car_again`."""

    external_id: NotRequired[str]
    """Your id of the car."""
    listing_id: NotRequired[int]
    """Our id of the car; or else `external_id`."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class SimilarAnswer(TypedDict):
    similar: list[RecommendedCar]
    list_id: str
    """Send it back with events about these cars."""


class SimilarQuestion(TypedDict):
    """The query string of `find_cars_similar_to_reference`."""

    body: NotRequired[list[Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str] | Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"] | str]
    """Several are alternatives."""
    brand: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    buyer: NotRequired[str]
    """With an API key: your id of the buyer this is about."""
    colour: NotRequired[list[str] | str]
    """Several are alternatives."""
    condition: NotRequired[list[Literal["new", "used", "demo"] | str] | Literal["new", "used", "demo"] | str]
    """Several are alternatives."""
    damage: NotRequired[list[Literal["none", "repaired", "damaged", "written_off"] | str] | Literal["none", "repaired", "damaged", "written_off"] | str]
    """Several are alternatives."""
    doors: NotRequired[int]
    """The same as `min_doors` and `max_doors`."""
    drive: NotRequired[list[Literal["front", "rear", "all"] | str] | Literal["front", "rear", "all"] | str]
    """Several are alternatives."""
    first_registration: NotRequired[str]
    """Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`."""
    fuel: NotRequired[list[Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str] | Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"] | str]
    """Several are alternatives."""
    gearbox: NotRequired[list[Literal["manual", "automatic", "semi_automatic"] | str] | Literal["manual", "automatic", "semi_automatic"] | str]
    """Several are alternatives."""
    k: NotRequired[int]
    """How many cars."""
    lat: NotRequired[float]
    """With `lon` and `radius_km`."""
    lon: NotRequired[float]
    """With `lat` and `radius_km`."""
    make: NotRequired[list[str] | str]
    """The same as `brand`."""
    max_doors: NotRequired[int]
    max_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    max_mileage: NotRequired[int]
    """In km."""
    max_power: NotRequired[int]
    """In kW."""
    max_price: NotRequired[float]
    """In the market's currency."""
    max_seats: NotRequired[int]
    max_year: NotRequired[int]
    min_doors: NotRequired[int]
    min_first_registration: NotRequired[str]
    """Year and month: `2018-03`."""
    min_mileage: NotRequired[int]
    """In km."""
    min_power: NotRequired[int]
    """In kW."""
    min_price: NotRequired[float]
    """In the market's currency."""
    min_seats: NotRequired[int]
    min_year: NotRequired[int]
    model: NotRequired[list[str] | str]
    """Name or slug, any case; several are alternatives."""
    q: NotRequired[str]
    """Words of title and description; “quoted” phrases, OR and -without work as on the web."""
    radius_km: NotRequired[float]
    """With `lat` and `lon`."""
    seats: NotRequired[int]
    """The same as `min_seats` and `max_seats`."""
    seller_type: NotRequired[list[Literal["dealer", "private"] | str] | Literal["dealer", "private"] | str]
    """Several are alternatives."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""
    tag: NotRequired[list[str] | str]
    """Several must all be present."""
    vat: NotRequired[list[Literal["included", "reclaimable", "margin", "added", "excluded"] | str] | Literal["included", "reclaimable", "margin", "added", "excluded"] | str]
    """Several are alternatives."""
    year: NotRequired[int]
    """The same as `min_year` and `max_year`."""


class Stock(TypedDict):
    listings: list[Car]
    next: str | None
    """The next page; null on the last."""


class StoreListingsQuery(TypedDict):
    """The query string of `store_listings`."""

    partial: NotRequired[bool]
    """Store the listings that are right, and name those that are wrong in `refused`."""


class Stored(TypedDict):
    created: int
    updated: int
    unchanged: int
    listings: list[ListingKey]
    refused: list[RefusedListing]
    """Of a request with `partial`; else one is refused whole."""


class TokenPair(TypedDict):
    access: str
    """Send it as `Authorization: Bearer …`."""
    refresh: str
    """Good for one new pair, at `/api/v1/token/refresh`."""


class UnblockSellerQuery(TypedDict):
    """The query string of `unblock_seller`."""

    seller_id: NotRequired[str]
    """As in the `seller_id` of listings."""
    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


class Understood(TypedDict):
    """A part of `q` that became a filter; several of one field are alternatives."""

    text: str
    """The words, as they were typed."""
    field: str
    """The parameter of the search that they set."""
    value: str | float
    """Its value, as the parameter takes it."""


class Wish(TypedDict):
    field: str
    """`make`, `body`, `price`, `age`, …"""
    wanted: str
    """In words; empty where nothing stands out."""
    unwanted: str
    """In words; empty where nothing stands out."""
    strength: float
    """The largest utility at stake, from 0; higher decides more."""


class WithdrawListingByExternalIdQuery(TypedDict):
    """The query string of `withdraw_listing_by_external_id`."""

    source: NotRequired[str]
    """Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE."""


Body: TypeAlias = Literal["hatchback", "saloon", "estate", "suv", "coupe", "convertible", "mpv", "pickup", "van", "other"]
Condition: TypeAlias = Literal["new", "used", "demo"]
Damage: TypeAlias = Literal["none", "repaired", "damaged", "written_off"]
Drive: TypeAlias = Literal["front", "rear", "all"]
EventResultStatusEnum: TypeAlias = Literal["recorded", "waiting", "repeated", "conflict", "refused"]
EventsQuestion: TypeAlias = "Event | Events | list[Event]"
FrequencyEnum: TypeAlias = Literal["instant", "daily"]
Fuel: TypeAlias = Literal["petrol", "diesel", "hybrid", "plugin_hybrid", "electric", "lpg", "cng", "ethanol", "hydrogen", "other"]
Gearbox: TypeAlias = Literal["manual", "automatic", "semi_automatic"]
LabelEnum: TypeAlias = Literal["good", "fair", "high"]
ListingStatus: TypeAlias = Literal["draft", "live", "reserved", "sold", "withdrawn", "expired"]
ListingStatusToSet: TypeAlias = Literal["draft", "live", "reserved", "sold", "withdrawn"]
NullEnum: TypeAlias = None
ReasonEnum: TypeAlias = Literal["unknown", "not_for_sale", "hidden"]
ResultEnum: TypeAlias = Literal["created", "updated", "unchanged"]
SellerTypeEnum: TypeAlias = Literal["dealer", "private"]
SourceEnum: TypeAlias = Literal["hybrid", "content", "collaborative"]
UseEnum: TypeAlias = Literal["city", "commuting", "family", "leisure", "long_distance", "towing", "work"]
VatEnum: TypeAlias = Literal["included", "reclaimable", "margin", "added", "excluded"]
