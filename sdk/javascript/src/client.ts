// A site, and who calls it.
//
//   const forecourt = new Forecourt("https://recommender.example.com", { apiKey, source: "garage" });
//   await forecourt.listings.upsert({ external_id: "A-1017", brand: "Skoda", price: 12_500 });
//   const page = await forecourt.lists.recommend({ k: 10 }, { buyer: "customer-42" });

import { AT_ONCE, Caller, chunks, given, part, queryIn, queryOf, type Method, type Options, type Query } from "./core.js";
import { completed, EventQueue } from "./queue.js";
import type * as types from "./types.js";

/** A car is named by our id, or by yours and the source that the id belongs to. */
export type CarName = { listing_id: number } | { external_id: string; source?: string };
/** A client system names the buyer. */
export interface ForBuyer {
  buyer?: string;
}
export interface OfSource {
  source?: string;
}

export class Forecourt {
  readonly listings: Listings;
  readonly events: Events;
  readonly lists: Lists;
  readonly search: Search;
  readonly savedSearches: SavedSearches;
  readonly buyers: Buyers;

  /** @param baseUrl Of the site, as in `https://recommender.example.com`. */
  constructor(baseUrl: string, options: Options = {}) {
    const caller = new Caller(baseUrl, options);
    this.listings = new Listings(caller, options.source);
    this.events = new Events(caller, options);
    this.lists = new Lists(caller, options.source);
    this.search = new Search(caller, options.source);
    this.savedSearches = new SavedSearches(caller, options.source);
    this.buyers = new Buyers(caller, options.source);
  }

  /** Send the events that wait. Rejects where that fails: `events.unsent` has them. */
  async close(): Promise<void> {
    await this.events.close();
  }
}

class Part {
  constructor(
    private readonly caller: Caller,
    private readonly source: string | undefined,
  ) {}

  protected ask<T>(method: Method, path: string, query?: Query, body?: unknown): Promise<T> {
    return this.caller.ask<T>(method, path, query, body);
  }

  protected sourced(source?: string): OfSource {
    return given({ source: source ?? this.source });
  }

  protected named(car: CarName): CarName {
    return "external_id" in car ? { external_id: car.external_id, ...this.sourced(car.source) } : { listing_id: car.listing_id };
  }
}

/** The stock. A key needs the scope `ingest`. */
export class Listings extends Part {
  /** Add a listing, or change what is named of one that is there; null clears a field. */
  async upsert(listing: types.ListingIn, { source }: OfSource = {}): Promise<types.ListingKey> {
    return only(await this.bulk([listing], { source, partial: false }));
  }

  /** Add or change any number of listings, 1,000 at once. Those that are wrong are in `refused`, by the `index` in what
   * was given; with `partial: false` one that is wrong rejects, and its 1,000 are not stored. */
  async bulk(
    listings: Iterable<types.ListingIn>,
    { source, partial = true }: OfSource & { partial?: boolean } = {},
  ): Promise<types.Stored> {
    const total: types.Stored = { created: 0, updated: 0, unchanged: 0, listings: [], refused: [] };
    let sent = 0;
    for (const chunk of chunks(listings, AT_ONCE)) {
      const body = { listings: chunk, ...this.sourced(source) };
      const stored = await this.ask<types.Stored>("POST", "/listings", queryOf({ partial: partial || null }), body);
      total.created += stored.created;
      total.updated += stored.updated;
      total.unchanged += stored.unchanged;
      total.listings.push(...stored.listings);
      for (const each of stored.refused) total.refused.push({ ...each, index: each.index + sent });
      sent += chunk.length;
    }
    return total;
  }

  /** Change what is named of a listing that is there; null clears a field. */
  async patch(listing: types.ListingIn, { source }: OfSource = {}): Promise<types.ListingKey> {
    return only(await this.ask("PATCH", "/listings", undefined, { listings: [listing], ...this.sourced(source) }));
  }

  /** Mark a listing as sold, reserved or withdrawn, put it back on sale, or change its price. */
  change(car: CarName, change: types.PatchedListingChange): Promise<types.Car> {
    return this.ask("PATCH", ...this.one(car), change);
  }

  /** Create a listing, or replace it: what is left out is cleared, but for price, status and seller. */
  async replace(externalId: string, listing: types.Replacement, { source }: OfSource = {}): Promise<types.ListingKey> {
    return only(await this.ask("PUT", ...this.one({ external_id: externalId, source }), listing));
  }

  /** These are all my cars, or all of one seller: what is for sale and not named is withdrawn. */
  complete(
    externalIds: Iterable<string>,
    { source, seller_id, confirm = false }: OfSource & { seller_id?: string; confirm?: boolean } = {},
  ): Promise<types.Completed> {
    const body = { external_ids: [...externalIds], confirm, ...given({ seller_id }), ...this.sourced(source) };
    return this.ask("POST", "/listings/complete", undefined, body);
  }

  /** One listing of any status. */
  get(car: CarName): Promise<types.Car> {
    return this.ask("GET", ...this.one(car));
  }

  /** Withdraw a listing; its history stays. */
  delete(car: CarName): Promise<null> {
    return this.ask("DELETE", ...this.one(car));
  }

  /** All listings of a source, drafts included. */
  async *iterate(question: types.ListListingsQuery = {}): AsyncGenerator<types.Car> {
    let query = queryOf({ page_size: 100, ...question, ...this.sourced(question.source) });
    for (;;) {
      const page = await this.ask<types.Stock>("GET", "/listings", query);
      yield* page.listings;
      if (page.next === null) return;
      query = queryIn(page.next);
    }
  }

  /** Buyers who want the car most. A key needs the scope `buyers`. */
  async buyers(listingId: number, { k = 20 } = {}): Promise<types.MatchingBuyer[]> {
    return (await this.ask<types.MatchingBuyers>("GET", `/listings/${listingId}/buyers`, queryOf({ k }))).buyers;
  }

  private one(car: CarName): [string, Query | undefined] {
    if (!("external_id" in car)) return [`/listings/${car.listing_id}`, undefined];
    return [`/listings/by-external-id/${part(car.external_id)}`, queryOf(this.sourced(car.source))];
  }
}

function only(stored: types.Stored): types.ListingKey {
  return stored.listings[0] as types.ListingKey;
}

/** What buyers did. A key needs the scope `ingest`. */
export class Events extends Part {
  private readonly queue: EventQueue;

  constructor(caller: Caller, options: Options) {
    super(caller, options.source);
    this.queue = new EventQueue((events) => this.record(events, true), options.queue ?? {});
  }

  /** Take an event; it is sent in the background, with others. Ids and times are made here, so that no attempt counts it
   * twice. */
  add(event: types.Event): void {
    this.queue.add(this.complete(event));
  }

  /** Send all events that were added, now. Rejects where that fails; what could not be sent goes on waiting. */
  flush(): Promise<void> {
    return this.queue.flush();
  }

  close(): Promise<void> {
    return this.queue.close();
  }

  /** Events that were added and that the site has not answered for. */
  get unsent(): types.Event[] {
    return this.queue.unsent;
  }

  /** Send events at once, 1,000 in a request. Rejects where one is wrong, and then none of its request is recorded; with
   * `partial` those that are right, and the answer says of each what became of it. */
  async send(events: Iterable<types.Event>, { partial = false } = {}): Promise<types.Recorded> {
    const total = { recorded: 0, waiting: 0, repeated: 0, events: [] as types.EventResult[] };
    for (const chunk of chunks(events, AT_ONCE)) {
      const recorded = await this.record(chunk.map((event) => completed(this.complete(event))), partial);
      total.recorded += recorded.recorded;
      total.waiting += recorded.waiting;
      total.repeated += recorded.repeated;
      total.events.push(...(recorded.events ?? []));
    }
    return total;
  }

  private record(events: types.Event[], partial: boolean): Promise<types.Recorded> {
    return this.ask("POST", "/events", undefined, { events, partial });
  }

  /** With the source that an external id belongs to. */
  private complete(event: types.Event): types.Event {
    return event.external_id == null ? event : { ...event, ...this.sourced(event.source) };
  }
}

/** The best cars for a buyer; where a client system names none, those for a new visitor. */
export class Lists extends Part {
  /** The best `k` cars among those that the filters leave. Keep `list_id`, and send it with events. */
  recommend(question: types.RecommendationsQuestion = {}, { buyer }: ForBuyer = {}): Promise<types.RecommendationsAnswer> {
    return this.ask("POST", "/cars/recommendations", queryOf({ buyer }), question);
  }

  /** The following cars of the same question, without a car of the pages before; null where the list ends. */
  async next(page: types.RecommendationsAnswer): Promise<types.RecommendationsAnswer | null> {
    return page.next === null ? null : this.ask("GET", "/cars/recommendations", queryIn(page.next));
  }

  /** The list page after page; each has a `list_id` of its own, which its events name. */
  async *pages(
    question: types.RecommendationsQuestion = {},
    forBuyer: ForBuyer = {},
  ): AsyncGenerator<types.RecommendationsAnswer> {
    let page: types.RecommendationsAnswer | null = await this.recommend(question, forBuyer);
    while (page !== null) {
      yield page;
      page = await this.next(page);
    }
  }

  /** Several lists of one page, in the order in which they choose; no car is in two of them. */
  async placements(
    lists: types.PlacementQuestion[],
    { buyer, ...leaveOut }: ForBuyer & types.LeaveOut = {},
  ): Promise<types.PlacementList[]> {
    const path = "/cars/recommendations/placements";
    return (await this.ask<types.PlacementsAnswer>("POST", path, queryOf({ buyer }), { lists, ...leaveOut })).lists;
  }

  /** These cars, the best for the buyer first; up to 1,000 of each kind of id. */
  rank(cars: types.RankQuestion, { buyer }: ForBuyer = {}): Promise<types.RankAnswer> {
    return this.ask("POST", "/cars/rank", queryOf({ buyer }), { ...cars, ...this.sourced(cars.source) });
  }

  /** Cars like one. */
  similar(car: CarName, question: types.SimilarQuestion = {}): Promise<types.SimilarAnswer> {
    return this.ask("GET", "/cars/similar", queryOf({ ...question, ...this.named(car) }));
  }

  /** Everything about one car. For a named buyer, or a guest, that is an event: a look at it. */
  car(car: CarName, question: types.DetailQuestion = {}): Promise<types.PricedCar> {
    return this.ask("GET", "/cars/detail", queryOf({ ...question, ...this.named(car) }));
  }
}

/** Cars by words and filters. A search for a named buyer, or of a guest, is an event. */
export class Search extends Part {
  /** One page. */
  cars(question: types.SearchCarsQuery = {}): Promise<types.SearchAnswer> {
    return this.ask("GET", "/cars/search", queryOf(question));
  }

  /** All cars of a search, page after page. */
  async *iterate(question: types.SearchCarsQuery = {}): AsyncGenerator<types.PricedCard> {
    let query = queryOf(question);
    for (;;) {
      const page = await this.ask<types.SearchAnswer>("GET", "/cars/search", query);
      yield* page.listings;
      if (page.next === null) return;
      query = queryIn(page.next);
    }
  }

  /** What may be meant by what has been typed so far. */
  async complete(q: string, { limit = 8 } = {}): Promise<types.Completion[]> {
    return (await this.ask<types.CompletionsAnswer>("GET", "/cars/completions", queryOf({ q, limit }))).completions;
  }
}

/** Searches that are kept, and the alerts about cars that match. A client system names the buyer. */
export class SavedSearches extends Part {
  /** Keep a search; the same query again changes its name and alerts. */
  save(search: types.SavedSearchIn, forBuyer: ForBuyer = {}): Promise<types.SavedSearch> {
    return this.ask("POST", "/users/me/saved-searches", queryOf(forBuyer), search);
  }

  async all(forBuyer: ForBuyer = {}): Promise<types.SavedSearch[]> {
    return (await this.ask<types.SavedSearches>("GET", "/users/me/saved-searches", queryOf(forBuyer))).searches;
  }

  get(id: number, forBuyer: ForBuyer = {}): Promise<types.SavedSearch> {
    return this.ask("GET", `/users/me/saved-searches/${id}`, queryOf(forBuyer));
  }

  change(id: number, change: types.PatchedSavedSearchChange, forBuyer: ForBuyer = {}): Promise<types.SavedSearch> {
    return this.ask("PATCH", `/users/me/saved-searches/${id}`, queryOf(forBuyer), change);
  }

  delete(id: number, forBuyer: ForBuyer = {}): Promise<null> {
    return this.ask("DELETE", `/users/me/saved-searches/${id}`, queryOf(forBuyer));
  }

  /** How often, and when, the buyer hears of cars that match. */
  alerts(forBuyer: ForBuyer = {}): Promise<types.AlertSettings> {
    return this.ask("GET", "/users/me/alerts", queryOf(forBuyer));
  }

  changeAlerts(change: types.PatchedAlertSettings, forBuyer: ForBuyer = {}): Promise<types.AlertSettings> {
    return this.ask("PATCH", "/users/me/alerts", queryOf(forBuyer), change);
  }
}

/** Your customers, by your ids. A key needs the scope `ingest`; to export and to erase, `admin`. */
export class Buyers extends Part {
  /** With what was learned of them. */
  get(externalId: string): Promise<types.Buyer> {
    return this.ask("GET", this.path(externalId));
  }

  /** Create a buyer, or replace what is said of them. */
  put(externalId: string, buyer: types.BuyerChange): Promise<types.Buyer> {
    return this.ask("PUT", this.path(externalId), undefined, buyer);
  }

  /** Change some of what is said of them. */
  patch(externalId: string, buyer: types.PatchedBuyerChange): Promise<types.Buyer> {
    return this.ask("PATCH", this.path(externalId), undefined, buyer);
  }

  /** Two that are one person: all of the other becomes `into`'s, for good. */
  merge(into: string, other: types.Merge): Promise<types.Buyer> {
    return this.ask("POST", this.path(into, "/merge"), undefined, other);
  }

  /** No list of the buyer holds a car of that seller. */
  async blockSeller(externalId: string, seller: types.SellerReference): Promise<types.SellerAnswer[]> {
    const body = { ...seller, ...this.sourced(seller.source) };
    return (await this.ask<types.Sellers>("POST", this.path(externalId, "/blocked-sellers"), undefined, body)).sellers;
  }

  unblockSeller(externalId: string, seller: types.SellerReference): Promise<null> {
    const query = queryOf({ ...seller, ...this.sourced(seller.source) });
    return this.ask("DELETE", this.path(externalId, "/blocked-sellers"), query);
  }

  async blockedSellers(externalId: string): Promise<types.SellerAnswer[]> {
    return (await this.ask<types.Sellers>("GET", this.path(externalId, "/blocked-sellers"))).sellers;
  }

  /** No list of the buyer holds that car, whatever advertises it. */
  async hideCar(externalId: string, car: CarName): Promise<types.HiddenCar[]> {
    const path = this.path(externalId, "/hidden-cars");
    return (await this.ask<types.HiddenCars>("POST", path, undefined, this.named(car))).cars;
  }

  /** Lists may hold that car again. */
  showCar(externalId: string, car: CarName): Promise<null> {
    return this.ask("DELETE", this.path(externalId, "/hidden-cars"), queryOf(this.named(car)));
  }

  async hiddenCars(externalId: string): Promise<types.HiddenCar[]> {
    return (await this.ask<types.HiddenCars>("GET", this.path(externalId, "/hidden-cars"))).cars;
  }

  /** What the buyer states outright: budget, bodies, fuels, brands, use. A new statement replaces the last one. */
  answer(externalId: string, answers: types.Questionnaire): Promise<types.Questionnaire> {
    return this.ask("POST", "/users/me/preferences", queryOf({ buyer: externalId }), answers);
  }

  /** Everything that is known about the buyer. */
  export(externalId: string): Promise<Record<string, unknown>> {
    return this.ask("GET", this.path(externalId, "/export"));
  }

  /** Forget the buyer, at once and for good. */
  erase(externalId: string): Promise<null> {
    return this.ask("DELETE", this.path(externalId));
  }

  private path(externalId: string, below = ""): string {
    return `/buyers/${part(externalId)}${below}`;
  }
}
