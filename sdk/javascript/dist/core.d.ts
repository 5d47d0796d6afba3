/* forecourt 9ddb538d0fe954f7 */
import { ApiError, ForecourtError, NoAnswer } from "./errors.js";
export declare const VERSION = "1.0.0";
export declare const AT_ONCE = 1000;
export interface Options {
    /** Of a client system, made in the admin: for servers only, never in a page. Or else one of the next two. */
    apiKey?: string;
    /** Of a user who has logged in. */
    token?: string;
    /** Of a guest: 16 to 64 random letters, digits, hyphens and underscores, kept by the browser. */
    visitorKey?: string;
    /** Of the listing ids that are yours, where a call names none; left out, that of the API key. */
    source?: string;
    /** Of reasons and errors, as `de` or `en-GB`; a browser sends its own by itself. */
    language?: string;
    /** To wait for each attempt. */
    timeoutSeconds?: number;
    retries?: Partial<Retries>;
    queue?: Partial<QueueOptions>;
    /** In place of the global one. */
    fetch?: typeof fetch;
}
export interface Retries {
    /** At most, the first included; 1 for none but the first. */
    attempts: number;
    /** The wait after the first attempt; it doubles with each, and is up to half shorter by chance. */
    firstSeconds: number;
    /** Of one wait. Where the site asks for more (`Retry-After`), the error is thrown at once. */
    longestSeconds: number;
}
export interface QueueOptions {
    /** Between two times that what was gathered is sent in the background. */
    seconds: number;
    /** Events of one request; when so many wait they are sent without waiting for the time. */
    atOnce: number;
    /** Events that may wait; while there are more, to add one rejects: what cannot be kept is not taken. */
    limit: number;
    /** Called for each event that the site will not record. */
    onRefused: (event: object, fields: Record<string, string[]>) => void;
}
export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Query = URLSearchParams;
/** A query string: several values are repeated, what is null or undefined is left out. */
export declare function queryOf(parameters: object): Query;
/** The query string of an address. The site may know itself by another name than ours, as behind a proxy, so that
 * nothing else of the address is used. */
export declare function queryIn(address: string): Query;
/** An id as a part of a path, whatever letters it has. */
export declare function part(value: string | number): string;
/** What is not undefined: null says something else to the API than nothing. */
export declare function given<T extends object>(values: T): T;
export declare function chunks<T>(items: Iterable<T>, size: number): Generator<T[]>;
/** Seconds from now, as a number or a date says; null without one. */
export declare function retryAfterOf(said: string | null): number | null;
export declare class Caller {
    private readonly baseUrl;
    private readonly headers;
    private readonly retries;
    private readonly timeout;
    private readonly fetch;
    constructor(baseUrl: string, options: Options);
    /** The answer to a question, as JSON; null for one without content. Rejects with a ForecourtError. Whatever is asked
     * here may be asked twice without doing anything twice. */
    ask<T>(method: Method, path: string, query?: Query, body?: unknown): Promise<T>;
    private attempt;
    /** Seconds until the next attempt; null where there is none. */
    private waitAfter;
}
export { ApiError, ForecourtError, NoAnswer };
