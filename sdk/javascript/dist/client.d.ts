/* forecourt fe365fbfd66df912 */
import { Caller, type Method, type Options, type Query } from "./core.js";
import type * as types from "./types.js";
/** A car is named by our id, or by yours and the source that the id belongs to. */
export type CarName = {
    listing_id: number;
} | {
    external_id: string;
    source?: string;
};
/** A client system names the buyer. */
export interface ForBuyer {
    buyer?: string;
}
export interface OfSource {
    source?: string;
}
export declare class Forecourt {
    readonly listings: Listings;
    readonly events: Events;
    readonly lists: Lists;
    readonly search: Search;
    readonly savedSearches: SavedSearches;
    readonly buyers: Buyers;
    /** @param baseUrl Of the site, as in `https://recommender.example.com`. */
    constructor(baseUrl: string, options?: Options);
    /** Send the events that wait. Rejects where that fails: `events.unsent` has them. */
    close(): Promise<void>;
}
declare class Part {
    private readonly caller;
    private readonly source;
    constructor(caller: Caller, source: string | undefined);
    protected ask<T>(method: Method, path: string, query?: Query, body?: unknown): Promise<T>;
    protected sourced(source?: string): OfSource;
    protected named(car: CarName): CarName;
}
/** The stock. A key needs the scope `ingest`. */
export declare class Listings extends Part {
    /** Add a listing, or change what is named of one that is there; null clears a field. */
    upsert(listing: types.ListingIn, { source }?: OfSource): Promise<types.ListingKey>;
    /** Add or change any number of listings, 1,000 at once. Those that are wrong are in `refused`, by the `index` in what
     * was given; with `partial: false` one that is wrong rejects, and its 1,000 are not stored. */
    bulk(listings: Iterable<types.ListingIn>, { source, partial }?: OfSource & {
        partial?: boolean;
    }): Promise<types.Stored>;
    /** Change what is named of a listing that is there; null clears a field. */
    patch(listing: types.ListingIn, { source }?: OfSource): Promise<types.ListingKey>;
    /** Mark a listing as sold, reserved or withdrawn, put it back on sale, or change its price. */
    change(car: CarName, change: types.PatchedListingChange): Promise<types.Car>;
    /** Create a listing, or replace it: what is left out is cleared, but for price, status and seller. */
    replace(externalId: string, listing: types.Replacement, { source }?: OfSource): Promise<types.ListingKey>;
    /** These are all my cars, or all of one seller: what is for sale and not named is withdrawn. */
    complete(externalIds: Iterable<string>, { source, seller_id, confirm }?: OfSource & {
        seller_id?: string;
        confirm?: boolean;
    }): Promise<types.Completed>;
    /** One listing of any status. */
    get(car: CarName): Promise<types.Car>;
    /** Withdraw a listing; its history stays. */
    delete(car: CarName): Promise<null>;
    /** All listings of a source, drafts included. */
    iterate(question?: types.ListListingsQuery): AsyncGenerator<types.Car>;
    /** Buyers who want the car most. A key needs the scope `buyers`. */
    buyers(listingId: number, { k }?: {
        k?: number | undefined;
    }): Promise<types.MatchingBuyer[]>;
    private one;
}
/** What buyers did. A key needs the scope `ingest`. */
export declare class Events extends Part {
    private readonly queue;
    constructor(caller: Caller, options: Options);
    /** Take an event; it is sent in the background, with others. Ids and times are made here, so that no attempt counts it
     * twice. */
    add(event: types.Event): void;
    /** Send all events that were added, now. Rejects where that fails; what could not be sent goes on waiting. */
    flush(): Promise<void>;
    close(): Promise<void>;
    /** Events that were added and that the site has not answered for. */
    get unsent(): types.Event[];
    /** Send events at once, 1,000 in a request. Rejects where one is wrong, and then none of its request is recorded; with
     * `partial` those that are right, and the answer says of each what became of it. */
    send(events: Iterable<types.Event>, { partial }?: {
        partial?: boolean | undefined;
    }): Promise<types.Recorded>;
    private record;
    /** With the source that an external id belongs to. */
    private complete;
}
/** The best cars for a buyer; where a client system names none, those for a new visitor. */
export declare class Lists extends Part {
    /** The best `k` cars among those that the filters leave. Keep `list_id`, and send it with events. */
    recommend(question?: types.RecommendationsQuestion, { buyer }?: ForBuyer): Promise<types.RecommendationsAnswer>;
    /** The following cars of the same question, without a car of the pages before; null where the list ends. */
    next(page: types.RecommendationsAnswer): Promise<types.RecommendationsAnswer | null>;
    /** The list page after page; each has a `list_id` of its own, which its events name. */
    pages(question?: types.RecommendationsQuestion, forBuyer?: ForBuyer): AsyncGenerator<types.RecommendationsAnswer>;
    /** Several lists of one page, in the order in which they choose; no car is in two of them. */
    placements(lists: types.PlacementQuestion[], { buyer, ...leaveOut }?: ForBuyer & types.LeaveOut): Promise<types.PlacementList[]>;
    /** These cars, the best for the buyer first; up to 1,000 of each kind of id. */
    rank(cars: types.RankQuestion, { buyer }?: ForBuyer): Promise<types.RankAnswer>;
    /** Cars like one. */
    similar(car: CarName, question?: types.SimilarQuestion): Promise<types.SimilarAnswer>;
    /** Everything about one car. For a named buyer, or a guest, that is an event: a look at it. */
    car(car: CarName, question?: types.DetailQuestion): Promise<types.PricedCar>;
}
/** Cars by words and filters. A search for a named buyer, or of a guest, is an event. */
export declare class Search extends Part {
    /** One page. */
    cars(question?: types.SearchCarsQuery): Promise<types.SearchAnswer>;
    /** All cars of a search, page after page. */
    iterate(question?: types.SearchCarsQuery): AsyncGenerator<types.PricedCard>;
    /** What may be meant by what has been typed so far. */
    complete(q: string, { limit }?: {
        limit?: number | undefined;
    }): Promise<types.Completion[]>;
}
/** Searches that are kept, and the alerts about cars that match. A client system names the buyer. */
export declare class SavedSearches extends Part {
    /** Keep a search; the same query again changes its name and alerts. */
    save(search: types.SavedSearchIn, forBuyer?: ForBuyer): Promise<types.SavedSearch>;
    all(forBuyer?: ForBuyer): Promise<types.SavedSearch[]>;
    get(id: number, forBuyer?: ForBuyer): Promise<types.SavedSearch>;
    change(id: number, change: types.PatchedSavedSearchChange, forBuyer?: ForBuyer): Promise<types.SavedSearch>;
    delete(id: number, forBuyer?: ForBuyer): Promise<null>;
    /** How often, and when, the buyer hears of cars that match. */
    alerts(forBuyer?: ForBuyer): Promise<types.AlertSettings>;
    changeAlerts(change: types.PatchedAlertSettings, forBuyer?: ForBuyer): Promise<types.AlertSettings>;
}
/** Your customers, by your ids. A key needs the scope `ingest`; to export and to erase, `admin`. */
export declare class Buyers extends Part {
    /** With what was learned of them. */
    get(externalId: string): Promise<types.Buyer>;
    /** Create a buyer, or replace what is said of them. */
    put(externalId: string, buyer: types.BuyerChange): Promise<types.Buyer>;
    /** Change some of what is said of them. */
    patch(externalId: string, buyer: types.PatchedBuyerChange): Promise<types.Buyer>;
    /** Two that are one person: all of the other becomes `into`'s, for good. */
    merge(into: string, other: types.Merge): Promise<types.Buyer>;
    /** No list of the buyer holds a car of that seller. */
    blockSeller(externalId: string, seller: types.SellerReference): Promise<types.SellerAnswer[]>;
    unblockSeller(externalId: string, seller: types.SellerReference): Promise<null>;
    blockedSellers(externalId: string): Promise<types.SellerAnswer[]>;
    /** No list of the buyer holds that car, whatever advertises it. */
    hideCar(externalId: string, car: CarName): Promise<types.HiddenCar[]>;
    /** Lists may hold that car again. */
    showCar(externalId: string, car: CarName): Promise<null>;
    hiddenCars(externalId: string): Promise<types.HiddenCar[]>;
    /** What the buyer states outright: budget, bodies, fuels, brands, use. A new statement replaces the last one. */
    answer(externalId: string, answers: types.Questionnaire): Promise<types.Questionnaire>;
    /** Everything that is known about the buyer. */
    export(externalId: string): Promise<Record<string, unknown>>;
    /** Forget the buyer, at once and for good. */
    erase(externalId: string): Promise<null>;
    private path;
}
export {};
