/* forecourt fe365fbfd66df912 */
// A site, and who calls it.
//
//   const forecourt = new Forecourt("https://recommender.example.com", { apiKey, source: "garage" });
//   await forecourt.listings.upsert({ external_id: "A-1017", brand: "Skoda", price: 12_500 });
//   const page = await forecourt.lists.recommend({ k: 10 }, { buyer: "customer-42" });
import { AT_ONCE, Caller, chunks, given, part, queryIn, queryOf } from "./core.js";
import { completed, EventQueue } from "./queue.js";
export class Forecourt {
    listings;
    events;
    lists;
    search;
    savedSearches;
    buyers;
    /** @param baseUrl Of the site, as in `https://recommender.example.com`. */
    constructor(baseUrl, options = {}) {
        const caller = new Caller(baseUrl, options);
        this.listings = new Listings(caller, options.source);
        this.events = new Events(caller, options);
        this.lists = new Lists(caller, options.source);
        this.search = new Search(caller, options.source);
        this.savedSearches = new SavedSearches(caller, options.source);
        this.buyers = new Buyers(caller, options.source);
    }
    /** Send the events that wait. Rejects where that fails: `events.unsent` has them. */
    async close() {
        await this.events.close();
    }
}
class Part {
    caller;
    source;
    constructor(caller, source) {
        this.caller = caller;
        this.source = source;
    }
    ask(method, path, query, body) {
        return this.caller.ask(method, path, query, body);
    }
    sourced(source) {
        return given({ source: source ?? this.source });
    }
    named(car) {
        return "external_id" in car ? { external_id: car.external_id, ...this.sourced(car.source) } : { listing_id: car.listing_id };
    }
}
/** The stock. A key needs the scope `ingest`. */
export class Listings extends Part {
    /** Add a listing, or change what is named of one that is there; null clears a field. */
    async upsert(listing, { source } = {}) {
        return only(await this.bulk([listing], { source, partial: false }));
    }
    /** Add or change any number of listings, 1,000 at once. Those that are wrong are in `refused`, by the `index` in what
     * was given; with `partial: false` one that is wrong rejects, and its 1,000 are not stored. */
    async bulk(listings, { source, partial = true } = {}) {
        const total = { created: 0, updated: 0, unchanged: 0, listings: [], refused: [] };
        let sent = 0;
        for (const chunk of chunks(listings, AT_ONCE)) {
            const body = { listings: chunk, ...this.sourced(source) };
            const stored = await this.ask("POST", "/listings", queryOf({ partial: partial || null }), body);
            total.created += stored.created;
            total.updated += stored.updated;
            total.unchanged += stored.unchanged;
            total.listings.push(...stored.listings);
            for (const each of stored.refused)
                total.refused.push({ ...each, index: each.index + sent });
            sent += chunk.length;
        }
        return total;
    }
    /** Change what is named of a listing that is there; null clears a field. */
    async patch(listing, { source } = {}) {
        return only(await this.ask("PATCH", "/listings", undefined, { listings: [listing], ...this.sourced(source) }));
    }
    /** Mark a listing as sold, reserved or withdrawn, put it back on sale, or change its price. */
    change(car, change) {
        return this.ask("PATCH", ...this.one(car), change);
    }
    /** Create a listing, or replace it: what is left out is cleared, but for price, status and seller. */
    async replace(externalId, listing, { source } = {}) {
        return only(await this.ask("PUT", ...this.one({ external_id: externalId, source }), listing));
    }
    /** These are all my cars, or all of one seller: what is for sale and not named is withdrawn. */
    complete(externalIds, { source, seller_id, confirm = false } = {}) {
        const body = { external_ids: [...externalIds], confirm, ...given({ seller_id }), ...this.sourced(source) };
        return this.ask("POST", "/listings/complete", undefined, body);
    }
    /** One listing of any status. */
    get(car) {
        return this.ask("GET", ...this.one(car));
    }
    /** Withdraw a listing; its history stays. */
    delete(car) {
        return this.ask("DELETE", ...this.one(car));
    }
    /** All listings of a source, drafts included. */
    async *iterate(question = {}) {
        let query = queryOf({ page_size: 100, ...question, ...this.sourced(question.source) });
        for (;;) {
            const page = await this.ask("GET", "/listings", query);
            yield* page.listings;
            if (page.next === null)
                return;
            query = queryIn(page.next);
        }
    }
    /** Buyers who want the car most. A key needs the scope `buyers`. */
    async buyers(listingId, { k = 20 } = {}) {
        return (await this.ask("GET", `/listings/${listingId}/buyers`, queryOf({ k }))).buyers;
    }
    one(car) {
        if (!("external_id" in car))
            return [`/listings/${car.listing_id}`, undefined];
        return [`/listings/by-external-id/${part(car.external_id)}`, queryOf(this.sourced(car.source))];
    }
}
function only(stored) {
    return stored.listings[0];
}
/** What buyers did. A key needs the scope `ingest`. */
export class Events extends Part {
    queue;
    constructor(caller, options) {
        super(caller, options.source);
        this.queue = new EventQueue((events) => this.record(events, true), options.queue ?? {});
    }
    /** Take an event; it is sent in the background, with others. Ids and times are made here, so that no attempt counts it
     * twice. */
    add(event) {
        this.queue.add(this.complete(event));
    }
    /** Send all events that were added, now. Rejects where that fails; what could not be sent goes on waiting. */
    flush() {
        return this.queue.flush();
    }
    close() {
        return this.queue.close();
    }
    /** Events that were added and that the site has not answered for. */
    get unsent() {
        return this.queue.unsent;
    }
    /** Send events at once, 1,000 in a request. Rejects where one is wrong, and then none of its request is recorded; with
     * `partial` those that are right, and the answer says of each what became of it. */
    async send(events, { partial = false } = {}) {
        const total = { recorded: 0, waiting: 0, repeated: 0, events: [] };
        for (const chunk of chunks(events, AT_ONCE)) {
            const recorded = await this.record(chunk.map((event) => completed(this.complete(event))), partial);
            total.recorded += recorded.recorded;
            total.waiting += recorded.waiting;
            total.repeated += recorded.repeated;
            total.events.push(...(recorded.events ?? []));
        }
        return total;
    }
    record(events, partial) {
        return this.ask("POST", "/events", undefined, { events, partial });
    }
    /** With the source that an external id belongs to. */
    complete(event) {
        return event.external_id == null ? event : { ...event, ...this.sourced(event.source) };
    }
}
/** The best cars for a buyer; where a client system names none, those for a new visitor. */
export class Lists extends Part {
    /** The best `k` cars among those that the filters leave. Keep `list_id`, and send it with events. */
    recommend(question = {}, { buyer } = {}) {
        return this.ask("POST", "/cars/recommendations", queryOf({ buyer }), question);
    }
    /** The following cars of the same question, without a car of the pages before; null where the list ends. */
    async next(page) {
        return page.next === null ? null : this.ask("GET", "/cars/recommendations", queryIn(page.next));
    }
    /** The list page after page; each has a `list_id` of its own, which its events name. */
    async *pages(question = {}, forBuyer = {}) {
        let page = await this.recommend(question, forBuyer);
        while (page !== null) {
            yield page;
            page = await this.next(page);
        }
    }
    /** Several lists of one page, in the order in which they choose; no car is in two of them. */
    async placements(lists, { buyer, ...leaveOut } = {}) {
        const path = "/cars/recommendations/placements";
        return (await this.ask("POST", path, queryOf({ buyer }), { lists, ...leaveOut })).lists;
    }
    /** These cars, the best for the buyer first; up to 1,000 of each kind of id. */
    rank(cars, { buyer } = {}) {
        return this.ask("POST", "/cars/rank", queryOf({ buyer }), { ...cars, ...this.sourced(cars.source) });
    }
    /** Cars like one. */
    similar(car, question = {}) {
        return this.ask("GET", "/cars/similar", queryOf({ ...question, ...this.named(car) }));
    }
    /** Everything about one car. For a named buyer, or a guest, that is an event: a look at it. */
    car(car, question = {}) {
        return this.ask("GET", "/cars/detail", queryOf({ ...question, ...this.named(car) }));
    }
}
/** Cars by words and filters. A search for a named buyer, or of a guest, is an event. */
export class Search extends Part {
    /** One page. */
    cars(question = {}) {
        return this.ask("GET", "/cars/search", queryOf(question));
    }
    /** All cars of a search, page after page. */
    async *iterate(question = {}) {
        let query = queryOf(question);
        for (;;) {
            const page = await this.ask("GET", "/cars/search", query);
            yield* page.listings;
            if (page.next === null)
                return;
            query = queryIn(page.next);
        }
    }
    /** What may be meant by what has been typed so far. */
    async complete(q, { limit = 8 } = {}) {
        return (await this.ask("GET", "/cars/completions", queryOf({ q, limit }))).completions;
    }
}
/** Searches that are kept, and the alerts about cars that match. A client system names the buyer. */
export class SavedSearches extends Part {
    /** Keep a search; the same query again changes its name and alerts. */
    save(search, forBuyer = {}) {
        return this.ask("POST", "/users/me/saved-searches", queryOf(forBuyer), search);
    }
    async all(forBuyer = {}) {
        return (await this.ask("GET", "/users/me/saved-searches", queryOf(forBuyer))).searches;
    }
    get(id, forBuyer = {}) {
        return this.ask("GET", `/users/me/saved-searches/${id}`, queryOf(forBuyer));
    }
    change(id, change, forBuyer = {}) {
        return this.ask("PATCH", `/users/me/saved-searches/${id}`, queryOf(forBuyer), change);
    }
    delete(id, forBuyer = {}) {
        return this.ask("DELETE", `/users/me/saved-searches/${id}`, queryOf(forBuyer));
    }
    /** How often, and when, the buyer hears of cars that match. */
    alerts(forBuyer = {}) {
        return this.ask("GET", "/users/me/alerts", queryOf(forBuyer));
    }
    changeAlerts(change, forBuyer = {}) {
        return this.ask("PATCH", "/users/me/alerts", queryOf(forBuyer), change);
    }
}
/** Your customers, by your ids. A key needs the scope `ingest`; to export and to erase, `admin`. */
export class Buyers extends Part {
    /** With what was learned of them. */
    get(externalId) {
        return this.ask("GET", this.path(externalId));
    }
    /** Create a buyer, or replace what is said of them. */
    put(externalId, buyer) {
        return this.ask("PUT", this.path(externalId), undefined, buyer);
    }
    /** Change some of what is said of them. */
    patch(externalId, buyer) {
        return this.ask("PATCH", this.path(externalId), undefined, buyer);
    }
    /** Two that are one person: all of the other becomes `into`'s, for good. */
    merge(into, other) {
        return this.ask("POST", this.path(into, "/merge"), undefined, other);
    }
    /** No list of the buyer holds a car of that seller. */
    async blockSeller(externalId, seller) {
        const body = { ...seller, ...this.sourced(seller.source) };
        return (await this.ask("POST", this.path(externalId, "/blocked-sellers"), undefined, body)).sellers;
    }
    unblockSeller(externalId, seller) {
        const query = queryOf({ ...seller, ...this.sourced(seller.source) });
        return this.ask("DELETE", this.path(externalId, "/blocked-sellers"), query);
    }
    async blockedSellers(externalId) {
        return (await this.ask("GET", this.path(externalId, "/blocked-sellers"))).sellers;
    }
    /** No list of the buyer holds that car, whatever advertises it. */
    async hideCar(externalId, car) {
        const path = this.path(externalId, "/hidden-cars");
        return (await this.ask("POST", path, undefined, this.named(car))).cars;
    }
    /** Lists may hold that car again. */
    showCar(externalId, car) {
        return this.ask("DELETE", this.path(externalId, "/hidden-cars"), queryOf(this.named(car)));
    }
    async hiddenCars(externalId) {
        return (await this.ask("GET", this.path(externalId, "/hidden-cars"))).cars;
    }
    /** What the buyer states outright: budget, bodies, fuels, brands, use. A new statement replaces the last one. */
    answer(externalId, answers) {
        return this.ask("POST", "/users/me/preferences", queryOf({ buyer: externalId }), answers);
    }
    /** Everything that is known about the buyer. */
    export(externalId) {
        return this.ask("GET", this.path(externalId, "/export"));
    }
    /** Forget the buyer, at once and for good. */
    erase(externalId) {
        return this.ask("DELETE", this.path(externalId));
    }
    path(externalId, below = "") {
        return `/buyers/${part(externalId)}${below}`;
    }
}
