/* forecourt 6398abab67b613a7 */
// What can go wrong; `code` and `fields` are those of the API.
/** Whatever this package throws for reasons outside of the program. */
export class ForecourtError extends Error {
    name = "ForecourtError";
}
/** The site could not be reached, or did not answer in time, at any attempt. */
export class NoAnswer extends ForecourtError {
    name = "NoAnswer";
}
/** The message of a webhook is not one that a holder of the secret sent just now; answer with a 400. */
export class WebhookRefused extends ForecourtError {
    name = "WebhookRefused";
}
/** An answer that is an error. */
export class ApiError extends ForecourtError {
    status;
    code;
    reason;
    fields;
    requestId;
    retryAfter;
    name = "ApiError";
    constructor(
    /** Of HTTP. */
    status, 
    /** For programs; `error` where the answer is not one of the API's own, as of a proxy. */
    code, 
    /** For people, in the language that the client asked for. */
    reason, 
    /** What was wrong with which part of the question, by its path: `events[3].listing_id`. */
    fields = {}, 
    /** By which the site's operators find the request in their log. */
    requestId = "", 
    /** Seconds, where the site named them. */
    retryAfter = null) {
        super(`${status} ${code}: ${reason}`);
        this.status = status;
        this.code = code;
        this.reason = reason;
        this.fields = fields;
        this.requestId = requestId;
        this.retryAfter = retryAfter;
    }
}
const SHOWN_AT_MOST = 200; // letters of an answer that is no error of the API
/** The error that an answer is. */
export function errorOf(status, body, requestId, retryAfter) {
    try {
        const { code, message, fields } = JSON.parse(body).error;
        return new ApiError(status, String(code), String(message), fields, requestId, retryAfter);
    }
    catch {
        return new ApiError(status, "error", body.slice(0, SHOWN_AT_MOST).trim(), {}, requestId, retryAfter);
    }
}
