/* forecourt 9ddb538d0fe954f7 */
// How a question is asked: written, sent, asked again, and read.
import { ApiError, errorOf, ForecourtError, NoAnswer } from "./errors.js";
export const VERSION = "1.0.0";
export const AT_ONCE = 1000; // listings, events or ids that one request takes
const API = "/api/v1";
const PASSING = [429, 502, 503, 504]; // may be gone at the next attempt
/** A query string: several values are repeated, what is null or undefined is left out. */
export function queryOf(parameters) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters)) {
        for (const each of Array.isArray(value) ? value : [value]) {
            if (each !== null && each !== undefined)
                query.append(name, String(each));
        }
    }
    return query;
}
/** The query string of an address. The site may know itself by another name than ours, as behind a proxy, so that
 * nothing else of the address is used. */
export function queryIn(address) {
    return new URL(address, "http://site").searchParams;
}
/** An id as a part of a path, whatever letters it has. */
export function part(value) {
    const text = String(value);
    if (["", ".", ".."].includes(text))
        throw new RangeError(`"${text}" cannot be an id in an address`);
    return encodeURIComponent(text);
}
/** What is not undefined: null says something else to the API than nothing. */
export function given(values) {
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
export function* chunks(items, size) {
    let chunk = [];
    for (const item of items) {
        chunk.push(item);
        if (chunk.length === size) {
            yield chunk;
            chunk = [];
        }
    }
    if (chunk.length)
        yield chunk;
}
/** Seconds from now, as a number or a date says; null without one. */
export function retryAfterOf(said) {
    if (said && /^\d+$/.test(said))
        return Number(said);
    const until = said && /[a-z]/i.test(said) ? Date.parse(said) : NaN;
    return Number.isNaN(until) ? null : Math.max(0, (until - Date.now()) / 1000);
}
export class Caller {
    baseUrl;
    headers;
    retries;
    timeout;
    fetch;
    constructor(baseUrl, options) {
        this.baseUrl = baseUrl;
        const named = {
            "X-Api-Key": options.apiKey,
            Authorization: options.token && `Bearer ${options.token}`,
            "X-Visitor-Key": options.visitorKey,
            "Accept-Language": options.language,
        };
        this.headers = { Accept: "application/json" };
        for (const [name, value] of Object.entries(named))
            if (value)
                this.headers[name] = value;
        this.retries = { attempts: 5, firstSeconds: 0.5, longestSeconds: 30, ...options.retries };
        this.timeout = (options.timeoutSeconds ?? 10) * 1000;
        this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
        this.baseUrl = baseUrl.replace(/\/+$/, "");
    }
    /** The answer to a question, as JSON; null for one without content. Rejects with a ForecourtError. Whatever is asked
     * here may be asked twice without doing anything twice. */
    async ask(method, path, query, body) {
        const asked = query?.size || String(query ?? "") ? `?${query}` : "";
        const content = body === undefined ? undefined : JSON.stringify(body);
        for (let attempt = 1;; attempt += 1) {
            const outcome = await this.attempt(method, API + path + asked, content);
            const wait = this.waitAfter(outcome, attempt);
            if (wait === null)
                return resultOf(method, path, outcome, attempt);
            await new Promise((done) => setTimeout(done, wait * 1000));
        }
    }
    async attempt(method, path, body) {
        const headers = body === undefined ? this.headers : { ...this.headers, "Content-Type": "application/json" };
        try {
            const signal = AbortSignal.timeout(this.timeout);
            const answer = await this.fetch(this.baseUrl + path, { method, headers, body, signal });
            return { answer, text: await answer.text() };
        }
        catch (problem) {
            return { problem };
        }
    }
    /** Seconds until the next attempt; null where there is none. */
    waitAfter(outcome, attempt) {
        if (attempt >= this.retries.attempts)
            return null;
        if ("answer" in outcome && !PASSING.includes(outcome.answer.status))
            return null;
        const asked = "answer" in outcome ? (retryAfterOf(outcome.answer.headers.get("Retry-After")) ?? 0) : 0;
        if (asked > this.retries.longestSeconds)
            return null;
        const doubled = Math.min(this.retries.longestSeconds, this.retries.firstSeconds * 2 ** (attempt - 1));
        return Math.max(asked, doubled * (0.5 + Math.random() / 2));
    }
}
function resultOf(method, path, outcome, attempt) {
    if ("problem" in outcome) {
        const { problem } = outcome;
        throw new NoAnswer(`${method} ${path}: ${problem instanceof Error ? problem.message : problem}`, { cause: problem });
    }
    const { answer, text } = outcome;
    const error = () => errorOf(answer.status, text, answer.headers.get("X-Request-ID") ?? "", retryAfterOf(answer.headers.get("Retry-After")));
    if (answer.ok) {
        if (!text)
            return null;
        try {
            return JSON.parse(text);
        }
        catch {
            throw error(); // what another server answered in place of the site
        }
    }
    // Where a removal is repeated because its answer was lost, that there is nothing to remove is what was wanted.
    if (method === "DELETE" && answer.status === 404 && attempt > 1)
        return null;
    throw error();
}
export { ApiError, ForecourtError, NoAnswer };
