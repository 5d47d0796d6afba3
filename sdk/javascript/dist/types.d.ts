// Made by sdk/generate.py from the description of the API; do not edit. `make sdk` makes it again.

/** Fields that are left out stay as they are; null, or an empty time zone, stands for the setting of the site. */
export interface AlertSettings {
  /** False: no alerts for any saved search. */
  is_enabled?: boolean;
  /** `instant`: as cars come. `daily`: once a day, in one message. */
  frequency?: FrequencyEnum;
  /** The most messages within 24 hours. */
  per_day?: number | null;
  /** Time zone of the quiet hours, such as `Europe/London`. */
  time_zone?: string;
  /** The hour at which quiet hours begin. */
  quiet_from?: number | null;
  /** The hour at which they end; the same as `quiet_from` for none. */
  quiet_until?: number | null;
}

/** What a guest did, and who they are. */
export interface Beacon {
  /** Record the events that are right, though others are not. Left out: `true`. */
  partial?: boolean;
  /** As the header `X-Visitor-Key` has it elsewhere. */
  visitor_key: string;
  events: Array<Event>;
}

export type Body = "hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other";

export interface Buyer {
  /** Of the buyer that the id stands for, after a merge too. */
  external_id: string;
  location: Location | null;
  /** Empty where it is not known. */
  country: string;
  /** Empty where it is not known. */
  locale: string;
  own_sellers: Array<SellerAnswer>;
  is_personalised: boolean;
  /** Other ids of your system that stand for this buyer. */
  merged_external_ids: Array<string>;
  n_events: number;
  created_at: string;
  /** What the buyer answered to the questionnaire. */
  answers: Questionnaire;
  /** Null for a buyer with no history, or one who opted out, and before a training. */
  profile: BuyerProfile | null;
}

/** What a client system says of a buyer. */
export interface BuyerChange {
  /** Where the buyer is; null: not known. */
  location?: Location | null;
  /** Home country, two letters as in ISO 3166. */
  country?: string;
  /** Language and region, as `en-GB`. */
  locale?: string;
  /** Sellers that the buyer is: no list shows the buyer a car of theirs. */
  own_sellers?: Array<SellerReference>;
  /** False: the lists of a new visitor. Left out: as it is, with PUT too. */
  is_personalised?: boolean;
}

/** What was learned of a buyer, in words. */
export interface BuyerProfile {
  /** Of the ranker. */
  version: number;
  computed_at: string;
  /** Events that it rests on. */
  n_events: number;
  /** 0 to 1: the share of the spread among all buyers that this buyer's events have removed. */
  confidence: number;
  /** The strongest first. */
  wishes: Array<Wish>;
}

/** Everything about one car. */
export interface Car {
  /** Our id. */
  id: number;
  /** The id its source knows it by; null without one. */
  external_id: string | null;
  /** Whose id that is. */
  listing_source: string;
  /** The same as `listing_source`. */
  source: string;
  /** The page of the advertisement; empty where it is unknown. */
  url: string;
  /** Empty where it is unknown. */
  brand?: string;
  /** Empty where it is unknown. */
  model?: string;
  /** The title of the advertisement, or brand and model. */
  name: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  /** Empty where it is unknown. */
  fuel: string;
  /** Empty where it is unknown. */
  gearbox: string;
  /** Empty where it is unknown. */
  body: string;
  /** Empty where it is unknown. */
  drive: string;
  /** Empty where it is unknown. */
  colour: string;
  power_kw: number | null;
  engine_l: number | null;
  /** Empty where it is unknown. */
  condition: string;
  /** `none` where the seller says so; empty where nothing is said. */
  damage: string;
  /** `dealer`, `private`, or empty. */
  seller_type?: string;
  place: string;
  /** The first of the photos; empty where there is none. */
  photo_url: string;
  published_at: string | null;
  /** The same as `gearbox`. */
  transmission: string;
  seller_name?: string;
  status: ListingStatus;
  description: string;
  tags: Array<string>;
  consumption_l_100km: number | null;
  doors: number | null;
  seats: number | null;
  /** How many owners it has had. */
  owner: number | null;
  annual_tax: number | null;
  /** Year and month: `2018-03`. Null where it is unknown. */
  first_registration: string | null;
  /** When its source put the advertisement online. */
  posted_at: string | null;
  /** Web addresses, the main photo first. */
  photos: Array<string>;
  /** What the manufacturer calls the colour, as the seller writes it. */
  manufacturer_colour: string;
  /** What is known of the value added tax in the price; empty where nothing is said. */
  vat: string;
  latitude: number | null;
  longitude: number | null;
  ended_at: string | null;
}

/** The query string of `change_alert_settings`. */
export interface ChangeAlertSettingsQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `change_listing_by_external_id`. */
export interface ChangeListingByExternalIdQuery {
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** The query string of `change_saved_search`. */
export interface ChangeSavedSearchQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `complete_search`. */
export interface CompleteSearchQuery {
  limit?: number;
  /** What has been typed so far. */
  q?: string;
}

/** All external ids of a source, or of one of its sellers, that are for sale. */
export interface CompleteSet {
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** Your id of the seller whose set it is. */
  seller_id?: string;
  external_ids: Array<string>;
  /** Withdraw even if it is much of the set. Left out: `false`. */
  confirm?: boolean;
}

export interface Completed {
  /** Listings of the set that are as they were. */
  kept: number;
  /** Listings that were not in the set, and are off the market now. */
  withdrawn: number;
  /** Ids that no listing has, 100 at most: bring them in. */
  unknown: Array<string>;
}

export interface Completion {
  /** What was typed, with its last word completed. */
  text: string;
  /** The parameter of the search that the completion sets. */
  field: string;
  value: string;
  /** Cars for sale that have it, a minute ago at most. */
  count: number;
}

export interface CompletionsAnswer {
  completions: Array<Completion>;
}

export type Condition = "new" | "used" | "demo";

/** The login of an account. */
export interface Credentials {
  /** Upper and lower case are the same. */
  email: string;
  password: string;
  /** Of the second factor, where the account has one; or a recovery code. */
  code?: string;
}

export type Damage = "none" | "repaired" | "damaged" | "written_off";

/** The query string of `get_car_by_reference`. */
export interface DetailQuestion {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out. */
  list_id?: string;
  /** 1 is the top. */
  position?: number;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

export type Drive = "front" | "rear" | "all";

/** The one shape of every error. */
export interface Error {
  error: Record<string, unknown>;
}

/** Something a buyer did. */
export interface Event {
  /** The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out. */
  list_id?: string;
  /** 1 is the top. */
  position?: number;
  /** `view`, `like`, `contact`, …; the admin lists them. */
  kind: string;
  /** Made by you; an event sent twice with it counts once. */
  event_id?: string;
  /** Our id of the car; or else `external_id`. */
  listing_id?: number | null;
  /** Your id of the car. */
  external_id?: string | null;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** What a search asked for, with the parameters of `/cars/search`. */
  query?: Filters | null;
  /** Now, when left out. */
  occurred_at?: Date | string;
  /** Of an `impression`: which positions of the list `list_id` were seen. */
  positions?: Array<number> | null;
  /** Of an `impression`: which cars were seen, in place of `positions`. */
  listing_ids?: Array<number> | null;
  /** The same, by your ids. */
  external_ids?: Array<string> | null;
  /** Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more with this. */
  dwell_seconds?: number | null;
  /** With an API key, of a contact or a sale: what it is worth to you, in the market's currency. Experiments add it up. */
  value?: number | string | null;
  /** With an API key: your id of the buyer. */
  buyer?: string;
}

/** Something a buyer did. */
export interface EventDetails {
  /** The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out. */
  list_id?: string;
  /** 1 is the top. */
  position?: number;
  /** Made by you; an event sent twice with it counts once. */
  event_id?: string;
  /** Our id of the car; or else `external_id`. */
  listing_id?: number | null;
  /** Your id of the car. */
  external_id?: string | null;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** What a search asked for, with the parameters of `/cars/search`. */
  query?: Filters | null;
  /** Now, when left out. */
  occurred_at?: Date | string;
  /** Of an `impression`: which positions of the list `list_id` were seen. */
  positions?: Array<number> | null;
  /** Of an `impression`: which cars were seen, in place of `positions`. */
  listing_ids?: Array<number> | null;
  /** The same, by your ids. */
  external_ids?: Array<string> | null;
  /** Of a `view`: for how long the page was looked at. Send the view when the page is left, or once more with this. */
  dwell_seconds?: number | null;
  /** With an API key, of a contact or a sale: what it is worth to you, in the market's currency. Experiments add it up. */
  value?: number | string | null;
  /** With an API key: your id of the buyer. */
  buyer?: string;
}

/** What became of one event of a list. */
export interface EventResult {
  /** Yours, or made here; empty for one that could not be read. */
  event_id: string;
  /** `conflict`: the id is that of another event of yours. `waiting`: it is recorded once its listing comes. */
  status: EventResultStatusEnum;
  /** Why it was not recorded, by field. */
  fields: Record<string, Array<string>>;
}

/** * `recorded` - recorded * `waiting` - waiting * `repeated` - repeated * `conflict` - conflict * `refused` - refused */
export type EventResultStatusEnum = "recorded" | "waiting" | "repeated" | "conflict" | "refused";

/** One event by itself, a list of events, or this. */
export interface Events {
  events: Array<Event>;
  /** The same as the parameter `partial`. */
  partial?: boolean;
}

export type EventsQuestion = Event | Events | Array<Event>;

/** The query string of `export_me`. */
export interface ExportMeQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

export interface FacetValue {
  value: string;
  /** Cars that the search would find with this value. */
  count: number;
}

/** The values of each field, the most frequent first, by the search without that field's own filter. */
export interface Facets {
  brand: Array<FacetValue>;
  model: Array<FacetValue>;
  fuel: Array<FacetValue>;
  gearbox: Array<FacetValue>;
  body: Array<FacetValue>;
  drive: Array<FacetValue>;
  colour: Array<FacetValue>;
  condition: Array<FacetValue>;
  damage: Array<FacetValue>;
  vat: Array<FacetValue>;
  seller_type: Array<FacetValue>;
}

/** Conditions on listings. Ranges are inclusive; a listing without the attribute does not match. */
export interface Filters {
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** The same as `brand`. */
  make?: Array<string> | string;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  min_year?: number;
  max_year?: number;
  /** In the market's currency. */
  min_price?: number;
  /** In the market's currency. */
  max_price?: number;
  /** The same as `min_year` and `max_year`. */
  year?: number;
  /** In km. */
  min_mileage?: number;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In kW. */
  max_power?: number;
  min_doors?: number;
  max_doors?: number;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  min_seats?: number;
  max_seats?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** With `lat` and `lon`. */
  radius_km?: number;
}

/** The query string of `find_cars_similar_to_reference`. */
export interface FindCarsSimilarToReferenceQuery {
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Your id of the car. */
  external_id?: string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** How many cars. */
  k?: number;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** Our id of the car; or else `external_id`. */
  listing_id?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** The same as `brand`. */
  make?: Array<string> | string;
  max_doors?: number;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  max_power?: number;
  /** In the market's currency. */
  max_price?: number;
  max_seats?: number;
  max_year?: number;
  min_doors?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** In km. */
  min_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In the market's currency. */
  min_price?: number;
  min_seats?: number;
  min_year?: number;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** The same as `min_year` and `max_year`. */
  year?: number;
}

/** The query string of `find_similar_cars`. */
export interface FindSimilarCarsQuery {
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** How many cars. */
  k?: number;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** The same as `brand`. */
  make?: Array<string> | string;
  max_doors?: number;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  max_power?: number;
  /** In the market's currency. */
  max_price?: number;
  max_seats?: number;
  max_year?: number;
  min_doors?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** In km. */
  min_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In the market's currency. */
  min_price?: number;
  min_seats?: number;
  min_year?: number;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** The same as `min_year` and `max_year`. */
  year?: number;
}

/** The query string of `forget_me`. */
export interface ForgetMeQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** * `instant` - As cars come, several in one message where they come together * `daily` - Once a day, in one message */
export type FrequencyEnum = "instant" | "daily";

export type Fuel = "petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other";

export type Gearbox = "manual" | "automatic" | "semi_automatic";

/** The query string of `get_alert_settings`. */
export interface GetAlertSettingsQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `get_answers`. */
export interface GetAnswersQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `get_car_by_reference`. */
export interface GetCarByReferenceQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Your id of the car. */
  external_id?: string;
  /** The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out. */
  list_id?: string;
  /** Our id of the car; or else `external_id`. */
  listing_id?: number;
  /** 1 is the top. */
  position?: number;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** The query string of `get_car`. */
export interface GetCarQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** The `list_id` of the recommendations it came from. A list that is unknown, another buyer's, or without this car or position is left out. */
  list_id?: string;
  /** 1 is the top. */
  position?: number;
}

/** The query string of `get_listing_by_external_id`. */
export interface GetListingByExternalIdQuery {
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** The query string of `get_privacy`. */
export interface GetPrivacyQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `get_saved_search`. */
export interface GetSavedSearchQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

export interface HiddenCar {
  /** Our id. */
  id: number;
  /** The id its source knows it by; null without one. */
  external_id: string | null;
  /** Whose id that is. */
  listing_source: string;
  /** The same as `listing_source`. */
  source: string;
  /** The page of the advertisement; empty where it is unknown. */
  url: string;
  /** Empty where it is unknown. */
  brand?: string;
  /** Empty where it is unknown. */
  model?: string;
  /** The title of the advertisement, or brand and model. */
  name: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  /** Empty where it is unknown. */
  fuel: string;
  /** Empty where it is unknown. */
  gearbox: string;
  /** Empty where it is unknown. */
  body: string;
  /** Empty where it is unknown. */
  drive: string;
  /** Empty where it is unknown. */
  colour: string;
  power_kw: number | null;
  engine_l: number | null;
  /** Empty where it is unknown. */
  condition: string;
  /** `none` where the seller says so; empty where nothing is said. */
  damage: string;
  /** `dealer`, `private`, or empty. */
  seller_type?: string;
  place: string;
  /** The first of the photos; empty where there is none. */
  photo_url: string;
  published_at: string | null;
  hidden_at: string;
  /** Of the event that hid it. */
  kind: string;
}

export interface HiddenCars {
  /** The newest first, at most 1,000. */
  cars: Array<HiddenCar>;
}

/** * `good` - good * `fair` - fair * `high` - high */
export type LabelEnum = "good" | "fair" | "high";

/** Several lists of one page, in the order in which they choose their cars. */
export interface LeaveOut {
  /** Cars to leave out, by our ids; up to 1,000. */
  exclude?: Array<number> | number;
  /** Cars to leave out, by your ids, one in each parameter; up to 1,000. */
  exclude_external?: Array<string> | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  exclude_source?: string;
}

/** A car that was named and is not in the order; as it was named. */
export interface LeftOutCar {
  listing_id: number | null;
  external_id: string | null;
  /** `hidden`: dismissed or blocked by the buyer, their own, or hidden by the site. */
  reason: ReasonEnum;
}

/** The query string of `list_buyers_of_listing`. */
export interface ListBuyersOfListingQuery {
  /** How many buyers at most. */
  k?: number;
}

/** The query string of `list_listings`. */
export interface ListListingsQuery {
  /** From `next`; left out: the first page. */
  cursor?: number;
  page_size?: number;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** Left out: of every status. */
  status?: "draft" | "live" | "reserved" | "sold" | "withdrawn" | string;
}

/** The query string of `list_saved_searches`. */
export interface ListSavedSearchesQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** A listing as a client system sends it. Fields that are left out stay as they are; null clears a field. */
export interface ListingIn {
  /** Your id of the listing. */
  external_id: string;
  /** Vehicle identification number: one of 17 characters names the car, whichever sources advertise it. */
  vin?: string;
  /** Refused where it is nearly written like a known one. Cut at 80 letters, with a note. */
  brand?: string;
  /** The same as `brand`. Cut at 80 letters, with a note. */
  make?: string;
  /** Cut at 120 letters, with a note. */
  model?: string;
  /** Cut at 255 letters, with a note. */
  title?: string | null;
  /** Cut at 20,000 letters, with a note. */
  description?: string | null;
  tags?: Array<string> | null;
  year?: number | null;
  price?: number | string | null;
  /** The market's, when left out. */
  currency?: string;
  /** A text may name its unit: `37,442 miles`. */
  mileage_km?: number | string | null;
  /** Any word for it that an import reads is understood. */
  fuel?: Fuel | string | null;
  /** Any word for it that an import reads is understood. */
  gearbox?: Gearbox | string | null;
  /** Any word for it that an import reads is understood. */
  body?: Body | string | null;
  /** Any word for it that an import reads is understood. */
  drive?: Drive | string | null;
  /** Cut at 30 letters, with a note. */
  colour?: string | null;
  power_kw?: number | null;
  engine_l?: number | null;
  consumption_l_100km?: number | null;
  doors?: number | null;
  seats?: number | null;
  /** How many owners it has had. */
  owner_count?: number | null;
  annual_tax?: number | string | null;
  /** Year and month: `2018-03`. */
  first_registration?: string | null;
  /** Any word for it that an import reads is understood. */
  condition?: Condition | string | null;
  /** `none` where the seller says so; empty where nothing is said. Any word for it that an import reads is understood. */
  damage?: Damage | string | null;
  /** When its source put the advertisement online. */
  posted_at?: Date | string | null;
  /** Web addresses, the main photo first. */
  photos?: Array<string> | null;
  /** What the manufacturer calls the colour, as the seller writes it. Cut at 60 letters, with a note. */
  manufacturer_colour?: string | null;
  /** What is known of the value added tax in the price; empty where nothing is said. Any word for it that an import reads is understood. */
  vat?: VatEnum | string | null;
  /** The first of the photos; alone it is all of them. */
  photo_url?: string | null;
  /** The page of the advertisement. */
  url?: string | null;
  /** Cut at 120 letters, with a note. */
  place?: string | null;
  latitude?: number | null;
  longitude?: number | null;
  /** Your id of the seller. */
  seller_id?: string;
  /** Cut at 200 letters, with a note. */
  seller_name?: string;
  /** Any word for it that an import reads is understood. */
  seller_type?: SellerTypeEnum | string;
  /** A new listing with a price goes live by itself. Any word for it that an import reads is understood. */
  status?: ListingStatusToSet | string;
}

export interface ListingKey {
  external_id: string;
  /** Whose id that is. */
  source: string;
  /** Our id, as in `/cars/detail/{id}`. */
  id: number;
  result: ResultEnum;
  /** Field -> what was done to its text. */
  notes: Record<string, string>;
}

/** One listing: by `listing_id`, or by `external_id` and `source`. */
export interface ListingReference {
  /** Our id of the car; or else `external_id`. */
  listing_id?: number;
  /** Your id of the car. */
  external_id?: string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** * `draft` - Draft * `live` - Live * `reserved` - Reserved * `sold` - Sold * `withdrawn` - Withdrawn * `expired` - Expired */
export type ListingStatus = "draft" | "live" | "reserved" | "sold" | "withdrawn" | "expired";

export type ListingStatusToSet = "draft" | "live" | "reserved" | "sold" | "withdrawn";

/** Listings of one source. */
export interface ListingsIn {
  /** Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key. */
  source?: string;
  listings: Array<ListingIn>;
}

/** A location in degrees (WGS 84). */
export interface Location {
  latitude: number;
  longitude: number;
}

/** What such a car costs: the middle 80% of prices lie from `low` to `high`. */
export interface MarketPrice {
  /** `good` below the range, `high` above it, `fair` within. */
  label: LabelEnum;
  low: number;
  median: number;
  high: number;
  /** The listing's own. */
  currency: string;
}

export interface MatchingBuyer {
  /** Our id. */
  buyer_id: number;
  /** Your id; null for accounts and guests of this site. */
  external_id: string | null;
  /** About where the car stands among all cars for this buyer; 1 is the top. */
  rank: number;
  /** Share of the cars for sale that suit the buyer better, 0 to 1. */
  share_better: number;
  /** Of the car for the buyer; higher is better. */
  score: number;
  last_event_at: string;
}

export interface MatchingBuyers {
  /** Those who want the car most first. */
  buyers: Array<MatchingBuyer>;
}

export interface Me {
  email: string;
  first_name: string;
  surname: string;
}

/** Who turned out to be the same person: one of the two. */
export interface Merge {
  /** Of a guest; the key is spent by this. */
  visitor_key?: string;
  /** Another id of your system. */
  external_id?: string;
}

export type NullEnum = null;

/** Fields that are left out stay as they are; null, or an empty time zone, stands for the setting of the site. */
export interface PatchedAlertSettings {
  /** False: no alerts for any saved search. */
  is_enabled?: boolean;
  /** `instant`: as cars come. `daily`: once a day, in one message. */
  frequency?: FrequencyEnum;
  /** The most messages within 24 hours. */
  per_day?: number | null;
  /** Time zone of the quiet hours, such as `Europe/London`. */
  time_zone?: string;
  /** The hour at which quiet hours begin. */
  quiet_from?: number | null;
  /** The hour at which they end; the same as `quiet_from` for none. */
  quiet_until?: number | null;
}

/** What a client system says of a buyer. */
export interface PatchedBuyerChange {
  /** Where the buyer is; null: not known. */
  location?: Location | null;
  /** Home country, two letters as in ISO 3166. */
  country?: string;
  /** Language and region, as `en-GB`. */
  locale?: string;
  /** Sellers that the buyer is: no list shows the buyer a car of theirs. */
  own_sellers?: Array<SellerReference>;
  /** False: the lists of a new visitor. Left out: as it is, with PUT too. */
  is_personalised?: boolean;
}

/** What can be changed about one listing; at least one of the two. */
export interface PatchedListingChange {
  /** Any word for it that an import reads is understood. */
  status?: ListingStatusToSet | string;
  price?: number | string;
}

/** Listings of one source. */
export interface PatchedListingsIn {
  /** Whose ids these are; the same id of two sources is two cars. Left out: the source of the API key. */
  source?: string;
  listings?: Array<ListingIn>;
}

/** Whether a buyer's lists may be personal. */
export interface PatchedPrivacy {
  /** False: the lists of a new visitor, whatever is known about you. */
  is_personalised?: boolean;
}

/** What is left out stays as it is. */
export interface PatchedSavedSearchChange {
  name?: string;
  query?: Filters;
  alerts?: boolean;
}

export interface PlacementList {
  recommended: Array<RecommendedCar>;
  /** Send it back with events about these cars, or for the next page. */
  list_id: string;
  /** The list that this is the next page of; null for a first one. */
  after: string | null;
  /** The address of the next page; null where the list ends here. */
  next: string | null;
  /** The experiment that the list is part of; empty outside of any. */
  experiment: string;
  /** The arm of the experiment that the list is part of, “holdout” for buyers who take part in none; empty outside of experiments. */
  variant: string;
  /** Of the ranker; null before the first training. */
  version: number | null;
  is_personalised: boolean;
  /** How many events of this buyer the list rests on. */
  n_events: number;
  placement: string;
}

/** One list of several; as a question of `/cars/recommendations`. */
export interface PlacementQuestion {
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** The same as `brand`. */
  make?: Array<string> | string;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  min_year?: number;
  max_year?: number;
  /** In the market's currency. */
  min_price?: number;
  /** In the market's currency. */
  max_price?: number;
  /** The same as `min_year` and `max_year`. */
  year?: number;
  /** In km. */
  min_mileage?: number;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In kW. */
  max_power?: number;
  min_doors?: number;
  max_doors?: number;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  min_seats?: number;
  max_seats?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** How many cars; left out, as many as the placement is made for. */
  k?: number;
  /** Left out: `"hybrid"`. */
  source?: SourceEnum;
  /** The spot on the site; see the admin. Left out: `"home"`. */
  placement?: string;
}

export interface PlacementsAnswer {
  /** In the order of the question; no car is in two of them. */
  lists: Array<PlacementList>;
}

/** Several lists of one page, in the order in which they choose their cars. */
export interface PlacementsQuestion {
  /** Cars to leave out, by our ids; up to 1,000. */
  exclude?: Array<number> | number;
  /** Cars to leave out, by your ids, one in each parameter; up to 1,000. */
  exclude_external?: Array<string> | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  exclude_source?: string;
  lists: Array<PlacementQuestion>;
}

/** Everything about one car, with its market price. */
export interface PricedCar {
  /** Our id. */
  id: number;
  /** The id its source knows it by; null without one. */
  external_id: string | null;
  /** Whose id that is. */
  listing_source: string;
  /** The same as `listing_source`. */
  source: string;
  /** The page of the advertisement; empty where it is unknown. */
  url: string;
  /** Empty where it is unknown. */
  brand?: string;
  /** Empty where it is unknown. */
  model?: string;
  /** The title of the advertisement, or brand and model. */
  name: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  /** Empty where it is unknown. */
  fuel: string;
  /** Empty where it is unknown. */
  gearbox: string;
  /** Empty where it is unknown. */
  body: string;
  /** Empty where it is unknown. */
  drive: string;
  /** Empty where it is unknown. */
  colour: string;
  power_kw: number | null;
  engine_l: number | null;
  /** Empty where it is unknown. */
  condition: string;
  /** `none` where the seller says so; empty where nothing is said. */
  damage: string;
  /** `dealer`, `private`, or empty. */
  seller_type?: string;
  place: string;
  /** The first of the photos; empty where there is none. */
  photo_url: string;
  published_at: string | null;
  /** The same as `gearbox`. */
  transmission: string;
  seller_name?: string;
  status: ListingStatus;
  description: string;
  tags: Array<string>;
  consumption_l_100km: number | null;
  doors: number | null;
  seats: number | null;
  /** How many owners it has had. */
  owner: number | null;
  annual_tax: number | null;
  /** Year and month: `2018-03`. Null where it is unknown. */
  first_registration: string | null;
  /** When its source put the advertisement online. */
  posted_at: string | null;
  /** Web addresses, the main photo first. */
  photos: Array<string>;
  /** What the manufacturer calls the colour, as the seller writes it. */
  manufacturer_colour: string;
  /** What is known of the value added tax in the price; empty where nothing is said. */
  vat: string;
  latitude: number | null;
  longitude: number | null;
  ended_at: string | null;
  /** Null where such cars' prices spread too widely to say, or the price is no price. */
  market_price: MarketPrice | null;
}

/** A car card with its market price. */
export interface PricedCard {
  /** Our id. */
  id: number;
  /** The id its source knows it by; null without one. */
  external_id: string | null;
  /** Whose id that is. */
  listing_source: string;
  /** The same as `listing_source`. */
  source: string;
  /** The page of the advertisement; empty where it is unknown. */
  url: string;
  /** Empty where it is unknown. */
  brand?: string;
  /** Empty where it is unknown. */
  model?: string;
  /** The title of the advertisement, or brand and model. */
  name: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  /** Empty where it is unknown. */
  fuel: string;
  /** Empty where it is unknown. */
  gearbox: string;
  /** Empty where it is unknown. */
  body: string;
  /** Empty where it is unknown. */
  drive: string;
  /** Empty where it is unknown. */
  colour: string;
  power_kw: number | null;
  engine_l: number | null;
  /** Empty where it is unknown. */
  condition: string;
  /** `none` where the seller says so; empty where nothing is said. */
  damage: string;
  /** `dealer`, `private`, or empty. */
  seller_type?: string;
  place: string;
  /** The first of the photos; empty where there is none. */
  photo_url: string;
  published_at: string | null;
  /** Null where such cars' prices spread too widely to say, or the price is no price. */
  market_price: MarketPrice | null;
}

/** Whether a buyer's lists may be personal. */
export interface Privacy {
  /** False: the lists of a new visitor, whatever is known about you. */
  is_personalised: boolean;
}

/** What a buyer states outright. Everything is optional; what is left out is open. `budget` (the most that may be spent), `body`, `fuel`, `gearbox`, `drive`, `colour`, `brand`, `make`, `model`, `year` (the oldest), `mileage` (the most) and `seats` (the fewest) are understood as well. */
export interface Questionnaire {
  /** In the market's currency. */
  budget_min?: number | null;
  /** In the market's currency. */
  budget_max?: number | null;
  bodies?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string>;
  fuels?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string>;
  gearboxes?: Array<"manual" | "automatic" | "semi_automatic" | string>;
  drives?: Array<"front" | "rear" | "all" | string>;
  /** Any word for a colour. */
  colours?: Array<string>;
  /** Name or slug, any case. */
  brands?: Array<string>;
  /** Name or slug, any case. */
  models?: Array<string>;
  /** Built in this year or later. */
  min_year?: number | null;
  /** In km. */
  max_mileage?: number | null;
  /** So many seats or more. */
  min_seats?: number | null;
  /** What the car is for. */
  use?: UseEnum | NullEnum;
}

export interface RankAnswer {
  /** The best for the buyer first. */
  ranked: Array<RecommendedCar>;
  left_out: Array<LeftOutCar>;
  /** Send it back with events about these cars. */
  list_id: string;
  /** Of the ranker; null before the first training. */
  version: number | null;
  is_personalised: boolean;
  /** How many events of this buyer the order rests on. */
  n_events: number;
}

/** The query string of `rank_cars`. */
export interface RankCarsQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** Cars to put in order, by our ids, by yours, or some by each; up to 1,000 of either. */
export interface RankQuestion {
  /** Our ids. */
  listing_ids?: Array<number> | number;
  /** Your ids. */
  external_ids?: Array<string> | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** * `unknown` - unknown * `not_for_sale` - not_for_sale * `hidden` - hidden */
export type ReasonEnum = "unknown" | "not_for_sale" | "hidden";

/** The query string of `recommend_cars_by_body`. */
export interface RecommendCarsByBodyQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `recommend_cars`. */
export interface RecommendCarsQuery {
  /** The `list_id` of a list of this buyer: the answer is its next page, the following `k` cars of the same question. Only `k` and what to exclude may be asked along with it; anything else must be as it was. */
  after?: string;
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Cars to leave out, by our ids; up to 1,000. */
  exclude?: Array<number> | number;
  /** Cars to leave out, by your ids, one in each parameter; up to 1,000. */
  exclude_external?: Array<string> | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  exclude_source?: string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** How many cars; left out, as many as the placement is made for. */
  k?: number;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** The same as `brand`. */
  make?: Array<string> | string;
  max_doors?: number;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  max_power?: number;
  /** In the market's currency. */
  max_price?: number;
  max_seats?: number;
  max_year?: number;
  min_doors?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** In km. */
  min_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In the market's currency. */
  min_price?: number;
  min_seats?: number;
  min_year?: number;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** The spot on the site; see the admin. */
  placement?: string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** What the score may look at: the car itself, what like-minded buyers looked at, or both. */
  source?: "hybrid" | "content" | "collaborative";
  /** Several must all be present. */
  tag?: Array<string> | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** The same as `min_year` and `max_year`. */
  year?: number;
}

/** The query string of `recommend_for_placements`. */
export interface RecommendForPlacementsQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

export interface RecommendationsAnswer {
  recommended: Array<RecommendedCar>;
  /** Send it back with events about these cars, or for the next page. */
  list_id: string;
  /** The list that this is the next page of; null for a first one. */
  after: string | null;
  /** The address of the next page; null where the list ends here. */
  next: string | null;
  /** The experiment that the list is part of; empty outside of any. */
  experiment: string;
  /** The arm of the experiment that the list is part of, “holdout” for buyers who take part in none; empty outside of experiments. */
  variant: string;
  /** Of the ranker; null before the first training. */
  version: number | null;
  is_personalised: boolean;
  /** How many events of this buyer the list rests on. */
  n_events: number;
}

/** Conditions on the cars of a list, its length, and what to exclude. */
export interface RecommendationsQuestion {
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** The same as `brand`. */
  make?: Array<string> | string;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  min_year?: number;
  max_year?: number;
  /** In the market's currency. */
  min_price?: number;
  /** In the market's currency. */
  max_price?: number;
  /** The same as `min_year` and `max_year`. */
  year?: number;
  /** In km. */
  min_mileage?: number;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In kW. */
  max_power?: number;
  min_doors?: number;
  max_doors?: number;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  min_seats?: number;
  max_seats?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** Cars to leave out, by our ids; up to 1,000. */
  exclude?: Array<number> | number;
  /** Cars to leave out, by your ids, one in each parameter; up to 1,000. */
  exclude_external?: Array<string> | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  exclude_source?: string;
  /** The `list_id` of a list of this buyer: the answer is its next page, the following `k` cars of the same question. Only `k` and what to exclude may be asked along with it; anything else must be as it was. */
  after?: string;
  /** How many cars; left out, as many as the placement is made for. */
  k?: number;
  /** What the score may look at: the car itself, what like-minded buyers looked at, or both. */
  source?: SourceEnum;
  /** The spot on the site; see the admin. Left out: `"home"`. */
  placement?: string;
}

/** A car card, and why it is there. */
export interface RecommendedCar {
  /** Our id. */
  id: number;
  /** The id its source knows it by; null without one. */
  external_id: string | null;
  /** Whose id that is. */
  listing_source: string;
  /** Which way it came into the list; whose listing it is says `listing_source`. */
  source: string;
  /** The page of the advertisement; empty where it is unknown. */
  url: string;
  /** Empty where it is unknown. */
  brand?: string;
  /** Empty where it is unknown. */
  model?: string;
  /** The title of the advertisement, or brand and model. */
  name: string;
  selling_price: number | null;
  currency: string;
  year: number | null;
  km_driven: number | null;
  /** Empty where it is unknown. */
  fuel: string;
  /** Empty where it is unknown. */
  gearbox: string;
  /** Empty where it is unknown. */
  body: string;
  /** Empty where it is unknown. */
  drive: string;
  /** Empty where it is unknown. */
  colour: string;
  power_kw: number | null;
  engine_l: number | null;
  /** Empty where it is unknown. */
  condition: string;
  /** `none` where the seller says so; empty where nothing is said. */
  damage: string;
  /** `dealer`, `private`, or empty. */
  seller_type?: string;
  place: string;
  /** The first of the photos; empty where there is none. */
  photo_url: string;
  published_at: string | null;
  /** Null where such cars' prices spread too widely to say, or the price is no price. */
  market_price: MarketPrice | null;
  /** 1 is the top. */
  position: number;
  /** How well it suits this buyer; higher is better. */
  score: number;
  /** One sentence for the buyer, in the language of the request. */
  reason: string;
  /** Whether it stands where it does because that was paid for: label it. */
  promoted: boolean;
  /** What put it where it stands. Cars with `score` stand in the order of their scores; others say what came before the score: `pinned`, `promoted`, `exploration`, `new`, `wish`, `cap`, `variety`, `shown often`, `stand-in` or, in lists that two variants of an experiment make together, `interleaved`. */
  placed_by: string;
  /** How likely it was to stand here, given those above it; 1 where nothing was left to chance, null where that is not known. */
  propensity: number | null;
}

/** The query string of `record_events`. */
export interface RecordEventsQuery {
  /** Record the events that are right, and say of each other one why it is not. */
  partial?: boolean;
}

export interface Recorded {
  /** New events. */
  recorded: number;
  /** New events whose listing is yet to come. */
  waiting: number;
  /** Events that this sender had sent before. */
  repeated: number;
  /** Of a list: each event, in order. */
  events?: Array<EventResult>;
}

/** The refresh token of a login. */
export interface RefreshToken {
  /** The newest refresh token you were given. */
  refresh: string;
}

export interface RefusedListing {
  /** Which of the listings that were sent; 0 is the first. */
  index: number;
  /** Empty where it has none that can be read. */
  external_id: string;
  /** Field -> what is wrong with it. */
  fields: Record<string, Array<string>>;
}

/** The query string of `remove_saved_search`. */
export interface RemoveSavedSearchQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `replace_listing_by_external_id`. */
export interface ReplaceListingByExternalIdQuery {
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** A listing as it is from now on: what is left out is cleared. */
export interface Replacement {
  /** Left out, or the same as in the path. */
  external_id?: string;
  /** Vehicle identification number: one of 17 characters names the car, whichever sources advertise it. */
  vin?: string;
  /** Refused where it is nearly written like a known one. Cut at 80 letters, with a note. */
  brand?: string;
  /** The same as `brand`. Cut at 80 letters, with a note. */
  make?: string;
  /** Cut at 120 letters, with a note. */
  model?: string;
  /** Cut at 255 letters, with a note. */
  title?: string | null;
  /** Cut at 20,000 letters, with a note. */
  description?: string | null;
  tags?: Array<string> | null;
  year?: number | null;
  price?: number | string | null;
  /** The market's, when left out. */
  currency?: string;
  /** A text may name its unit: `37,442 miles`. */
  mileage_km?: number | string | null;
  /** Any word for it that an import reads is understood. */
  fuel?: Fuel | string | null;
  /** Any word for it that an import reads is understood. */
  gearbox?: Gearbox | string | null;
  /** Any word for it that an import reads is understood. */
  body?: Body | string | null;
  /** Any word for it that an import reads is understood. */
  drive?: Drive | string | null;
  /** Cut at 30 letters, with a note. */
  colour?: string | null;
  power_kw?: number | null;
  engine_l?: number | null;
  consumption_l_100km?: number | null;
  doors?: number | null;
  seats?: number | null;
  /** How many owners it has had. */
  owner_count?: number | null;
  annual_tax?: number | string | null;
  /** Year and month: `2018-03`. */
  first_registration?: string | null;
  /** Any word for it that an import reads is understood. */
  condition?: Condition | string | null;
  /** `none` where the seller says so; empty where nothing is said. Any word for it that an import reads is understood. */
  damage?: Damage | string | null;
  /** When its source put the advertisement online. */
  posted_at?: Date | string | null;
  /** Web addresses, the main photo first. */
  photos?: Array<string> | null;
  /** What the manufacturer calls the colour, as the seller writes it. Cut at 60 letters, with a note. */
  manufacturer_colour?: string | null;
  /** What is known of the value added tax in the price; empty where nothing is said. Any word for it that an import reads is understood. */
  vat?: VatEnum | string | null;
  /** The first of the photos; alone it is all of them. */
  photo_url?: string | null;
  /** The page of the advertisement. */
  url?: string | null;
  /** Cut at 120 letters, with a note. */
  place?: string | null;
  latitude?: number | null;
  longitude?: number | null;
  /** Your id of the seller. */
  seller_id?: string;
  /** Cut at 200 letters, with a note. */
  seller_name?: string;
  /** Any word for it that an import reads is understood. */
  seller_type?: SellerTypeEnum | string;
  /** A new listing with a price goes live by itself. Any word for it that an import reads is understood. */
  status?: ListingStatusToSet | string;
}

/** * `created` - created * `updated` - updated * `unchanged` - unchanged */
export type ResultEnum = "created" | "updated" | "unchanged";

/** The query string of `save_answers`. */
export interface SaveAnswersQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `save_search`. */
export interface SaveSearchQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

export interface SavedSearch {
  id: number;
  name: string;
  /** As events of searches have it. */
  query: Record<string, unknown>;
  alerts: boolean;
  created_at: string;
}

/** A search to save. */
export interface SavedSearchIn {
  /** As the buyer calls it. */
  name?: string;
  /** What is asked for, in the parameters of our own search. */
  query: Filters;
  /** New and cheaper cars that match reach the buyer. Left out: `true`. */
  alerts?: boolean;
}

export interface SavedSearches {
  /** The newest first. */
  searches: Array<SavedSearch>;
}

export interface SearchAnswer {
  /** Of all pages. */
  count: number;
  next: string | null;
  previous: string | null;
  listings: Array<PricedCard>;
  /** What was understood of `q`, and can be undone. */
  understood: Array<Understood>;
  /** The words of `q` that were looked for in the texts. */
  rest: string;
  /** False: no car has the words of `rest`, and the cars that satisfy the other filters are shown. */
  is_rest_found: boolean;
  /** Null unless asked for. */
  facets: Facets | null;
}

/** The query string of `search_cars`. */
export interface SearchCarsQuery {
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Count the values of each field. */
  facets?: boolean;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** Look for `q` as it stands; understand nothing. */
  literal?: boolean;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** The same as `brand`. */
  make?: Array<string> | string;
  max_doors?: number;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  max_power?: number;
  /** In the market's currency. */
  max_price?: number;
  max_seats?: number;
  max_year?: number;
  min_doors?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** In km. */
  min_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In the market's currency. */
  min_price?: number;
  min_seats?: number;
  min_year?: number;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** A town; `radius_km` around it, or 50. */
  near?: string;
  /** Parameters, or words of `q`, that are not to be understood. */
  not_understood?: Array<string> | string;
  /** A minus sign: the highest first; `recommended`: what suits the buyer best. Left out, `newest`. */
  ordering?: "newest" | "price" | "-price" | "year" | "-year" | "mileage" | "-mileage" | "recommended";
  page?: number;
  page_size?: number;
  /** Typed words: names, amounts and words of closed sets become filters, the others are looked for in title, description and equipment; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** The same as `min_year` and `max_year`. */
  year?: number;
}

export interface SellerAnswer {
  seller_id: string;
  source: string;
}

/** A seller by the id that a source knows them by. */
export interface SellerReference {
  /** As in the `seller_id` of listings. */
  seller_id: string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

export type SellerTypeEnum = "dealer" | "private";

export interface Sellers {
  sellers: Array<SellerAnswer>;
}

/** The query string of `set_privacy`. */
export interface SetPrivacyQuery {
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
}

/** The query string of `show_car_again`. */
export interface ShowCarAgainQuery {
  /** Your id of the car. */
  external_id?: string;
  /** Our id of the car; or else `external_id`. */
  listing_id?: number;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

export interface SimilarAnswer {
  similar: Array<RecommendedCar>;
  /** Send it back with events about these cars. */
  list_id: string;
}

/** The query string of `find_cars_similar_to_reference`. */
export interface SimilarQuestion {
  /** Several are alternatives. */
  body?: Array<"hatchback" | "saloon" | "estate" | "suv" | "coupe" | "convertible" | "mpv" | "pickup" | "van" | "other" | string> | "hatchback" | string;
  /** Name or slug, any case; several are alternatives. */
  brand?: Array<string> | string;
  /** With an API key: your id of the buyer this is about. */
  buyer?: string;
  /** Several are alternatives. */
  colour?: Array<string> | string;
  /** Several are alternatives. */
  condition?: Array<"new" | "used" | "demo" | string> | "new" | string;
  /** Several are alternatives. */
  damage?: Array<"none" | "repaired" | "damaged" | "written_off" | string> | "none" | string;
  /** The same as `min_doors` and `max_doors`. */
  doors?: number;
  /** Several are alternatives. */
  drive?: Array<"front" | "rear" | "all" | string> | "front" | string;
  /** Year and month: `2018-03`. The same as `min_first_registration` and `max_first_registration`. */
  first_registration?: string;
  /** Several are alternatives. */
  fuel?: Array<"petrol" | "diesel" | "hybrid" | "plugin_hybrid" | "electric" | "lpg" | "cng" | "ethanol" | "hydrogen" | "other" | string> | "petrol" | string;
  /** Several are alternatives. */
  gearbox?: Array<"manual" | "automatic" | "semi_automatic" | string> | "manual" | string;
  /** How many cars. */
  k?: number;
  /** With `lon` and `radius_km`. */
  lat?: number;
  /** With `lat` and `radius_km`. */
  lon?: number;
  /** The same as `brand`. */
  make?: Array<string> | string;
  max_doors?: number;
  /** Year and month: `2018-03`. */
  max_first_registration?: string;
  /** In km. */
  max_mileage?: number;
  /** In kW. */
  max_power?: number;
  /** In the market's currency. */
  max_price?: number;
  max_seats?: number;
  max_year?: number;
  min_doors?: number;
  /** Year and month: `2018-03`. */
  min_first_registration?: string;
  /** In km. */
  min_mileage?: number;
  /** In kW. */
  min_power?: number;
  /** In the market's currency. */
  min_price?: number;
  min_seats?: number;
  min_year?: number;
  /** Name or slug, any case; several are alternatives. */
  model?: Array<string> | string;
  /** Words of title and description; “quoted” phrases, OR and -without work as on the web. */
  q?: string;
  /** With `lat` and `lon`. */
  radius_km?: number;
  /** The same as `min_seats` and `max_seats`. */
  seats?: number;
  /** Several are alternatives. */
  seller_type?: Array<"dealer" | "private" | string> | "dealer" | string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
  /** Several must all be present. */
  tag?: Array<string> | string;
  /** Several are alternatives. */
  vat?: Array<"included" | "reclaimable" | "margin" | "added" | "excluded" | string> | "included" | string;
  /** The same as `min_year` and `max_year`. */
  year?: number;
}

/** * `hybrid` - hybrid * `content` - content * `collaborative` - collaborative */
export type SourceEnum = "hybrid" | "content" | "collaborative";

export interface Stock {
  listings: Array<Car>;
  /** The next page; null on the last. */
  next: string | null;
}

/** The query string of `store_listings`. */
export interface StoreListingsQuery {
  /** Store the listings that are right, and name those that are wrong in `refused`. */
  partial?: boolean;
}

export interface Stored {
  created: number;
  updated: number;
  unchanged: number;
  listings: Array<ListingKey>;
  /** Of a request with `partial`; else one is refused whole. */
  refused: Array<RefusedListing>;
}

export interface TokenPair {
  /** Send it as `Authorization: Bearer …`. */
  access: string;
  /** Good for one new pair, at `/api/v1/token/refresh`. */
  refresh: string;
}

/** The query string of `unblock_seller`. */
export interface UnblockSellerQuery {
  /** As in the `seller_id` of listings. */
  seller_id?: string;
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}

/** A part of `q` that became a filter; several of one field are alternatives. */
export interface Understood {
  /** The words, as they were typed. */
  text: string;
  /** The parameter of the search that they set. */
  field: string;
  /** Its value, as the parameter takes it. */
  value: string | number;
}

/** * `city` - city * `commuting` - commuting * `family` - family * `leisure` - leisure * `long_distance` - long_distance * `towing` - towing * `work` - work */
export type UseEnum = "city" | "commuting" | "family" | "leisure" | "long_distance" | "towing" | "work";

export type VatEnum = "included" | "reclaimable" | "margin" | "added" | "excluded";

export interface Wish {
  /** `make`, `body`, `price`, `age`, … */
  field: string;
  /** In words; empty where nothing stands out. */
  wanted: string;
  /** In words; empty where nothing stands out. */
  unwanted: string;
  /** The largest utility at stake, from 0; higher decides more. */
  strength: number;
}

/** The query string of `withdraw_listing_by_external_id`. */
export interface WithdrawListingByExternalIdQuery {
  /** Whose id that is. Left out: the source of the API key, or else LISTING_SOURCE. */
  source?: string;
}
