/* forecourt 6398abab67b613a7 */
/** Whatever this package throws for reasons outside of the program. */
export declare class ForecourtError extends Error {
    name: string;
}
/** The site could not be reached, or did not answer in time, at any attempt. */
export declare class NoAnswer extends ForecourtError {
    name: string;
}
/** The message of a webhook is not one that a holder of the secret sent just now; answer with a 400. */
export declare class WebhookRefused extends ForecourtError {
    name: string;
}
export type ErrorCode = "invalid" | "not_authenticated" | "forbidden" | "not_found" | "method_not_allowed" | "not_acceptable" | "conflict" | "too_large" | "unsupported_media_type" | "throttled" | "unavailable" | "error";
/** An answer that is an error. */
export declare class ApiError extends ForecourtError {
    /** Of HTTP. */
    readonly status: number;
    /** For programs; `error` where the answer is not one of the API's own, as of a proxy. */
    readonly code: ErrorCode;
    /** For people, in the language that the client asked for. */
    readonly reason: string;
    /** What was wrong with which part of the question, by its path: `events[3].listing_id`. */
    readonly fields: Record<string, string[]>;
    /** By which the site's operators find the request in their log. */
    readonly requestId: string;
    /** Seconds, where the site named them. */
    readonly retryAfter: number | null;
    name: string;
    constructor(
    /** Of HTTP. */
    status: number, 
    /** For programs; `error` where the answer is not one of the API's own, as of a proxy. */
    code: ErrorCode, 
    /** For people, in the language that the client asked for. */
    reason: string, 
    /** What was wrong with which part of the question, by its path: `events[3].listing_id`. */
    fields?: Record<string, string[]>, 
    /** By which the site's operators find the request in their log. */
    requestId?: string, 
    /** Seconds, where the site named them. */
    retryAfter?: number | null);
}
/** The error that an answer is. */
export declare function errorOf(status: number, body: string, requestId: string, retryAfter: number | null): ApiError;
