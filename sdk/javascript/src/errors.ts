// What can go wrong; `code` and `fields` are those of the API.

/** Whatever this package throws for reasons outside of the program. */
export class ForecourtError extends Error {
  override name = "ForecourtError";
}

/** The site could not be reached, or did not answer in time, at any attempt. */
export class NoAnswer extends ForecourtError {
  override name = "NoAnswer";
}

/** The message of a webhook is not one that a holder of the secret sent just now; answer with a 400. */
export class WebhookRefused extends ForecourtError {
  override name = "WebhookRefused";
}

export type ErrorCode =
  | "invalid"
  | "not_authenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "not_acceptable"
  | "conflict"
  | "too_large"
  | "unsupported_media_type"
  | "throttled"
  | "unavailable"
  | "error";

/** An answer that is an error. */
export class ApiError extends ForecourtError {
  override name = "ApiError";

  constructor(
    /** Of HTTP. */
    readonly status: number,
    /** For programs; `error` where the answer is not one of the API's own, as of a proxy. */
    readonly code: ErrorCode,
    /** For people, in the language that the client asked for. */
    readonly reason: string,
    /** What was wrong with which part of the question, by its path: `events[3].listing_id`. */
    readonly fields: Record<string, string[]> = {},
    /** By which the site's operators find the request in their log. */
    readonly requestId = "",
    /** Seconds, where the site named them. */
    readonly retryAfter: number | null = null,
  ) {
    super(`${status} ${code}: ${reason}`);
  }
}

const SHOWN_AT_MOST = 200; // letters of an answer that is no error of the API

/** The error that an answer is. */
export function errorOf(status: number, body: string, requestId: string, retryAfter: number | null): ApiError {
  try {
    const { code, message, fields } = JSON.parse(body).error;
    return new ApiError(status, String(code) as ErrorCode, String(message), fields, requestId, retryAfter);
  } catch {
    return new ApiError(status, "error", body.slice(0, SHOWN_AT_MOST).trim(), {}, requestId, retryAfter);
  }
}
