// How a question is asked: written, sent, asked again, and read.

import { ApiError, errorOf, ForecourtError, NoAnswer } from "./errors.js";

export const VERSION = "1.0.0";
export const AT_ONCE = 1000; // listings, events or ids that one request takes
const API = "/api/v1";
const PASSING = [429, 502, 503, 504]; // may be gone at the next attempt

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
export function queryOf(parameters: object): Query {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined) query.append(name, String(each));
    }
  }
  return query;
}

/** The query string of an address. The site may know itself by another name than ours, as behind a proxy, so that
 * nothing else of the address is used. */
export function queryIn(address: string): Query {
  return new URL(address, "http://site").searchParams;
}

/** An id as a part of a path, whatever letters it has. */
export function part(value: string | number): string {
  const text = String(value);
  if (["", ".", ".."].includes(text)) throw new RangeError(`"${text}" cannot be an id in an address`);
  return encodeURIComponent(text);
}

/** What is not undefined: null says something else to the API than nothing. */
export function given<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

export function* chunks<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length === size) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length) yield chunk;
}

/** Seconds from now, as a number or a date says; null without one. */
export function retryAfterOf(said: string | null): number | null {
  if (said && /^\d+$/.test(said)) return Number(said);
  const until = said && /[a-z]/i.test(said) ? Date.parse(said) : NaN;
  return Number.isNaN(until) ? null : Math.max(0, (until - Date.now()) / 1000);
}

type Outcome = { answer: Response; text: string } | { problem: unknown };

export class Caller {
  private readonly headers: Record<string, string>;
  private readonly retries: Retries;
  private readonly timeout: number;
  private readonly fetch: typeof fetch;

  constructor(
    private readonly baseUrl: string,
    options: Options,
  ) {
    const named = {
      "X-Api-Key": options.apiKey,
      Authorization: options.token && `Bearer ${options.token}`,
      "X-Visitor-Key": options.visitorKey,
      "Accept-Language": options.language,
    };
    this.headers = { Accept: "application/json" };
    for (const [name, value] of Object.entries(named)) if (value) this.headers[name] = value;
    this.retries = { attempts: 5, firstSeconds: 0.5, longestSeconds: 30, ...options.retries };
    this.timeout = (options.timeoutSeconds ?? 10) * 1000;
    this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.baseUrl = baseUrl.replace(/\/+$/, "");
  }

  /** The answer to a question, as JSON; null for one without content. Rejects with a ForecourtError. Whatever is asked
   * here may be asked twice without doing anything twice. */
  async ask<T>(method: Method, path: string, query?: Query, body?: unknown): Promise<T> {
    const asked = query?.size || String(query ?? "") ? `?${query}` : "";
    const content = body === undefined ? undefined : JSON.stringify(body);
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.attempt(method, API + path + asked, content);
      const wait = this.waitAfter(outcome, attempt);
      if (wait === null) return resultOf<T>(method, path, outcome, attempt);
      await new Promise((done) => setTimeout(done, wait * 1000));
    }
  }

  private async attempt(method: Method, path: string, body: string | undefined): Promise<Outcome> {
    const headers = body === undefined ? this.headers : { ...this.headers, "Content-Type": "application/json" };
    try {
      const signal = AbortSignal.timeout(this.timeout);
      const answer = await this.fetch(this.baseUrl + path, { method, headers, body, signal });
      return { answer, text: await answer.text() };
    } catch (problem) {
      return { problem };
    }
  }

  /** Seconds until the next attempt; null where there is none. */
  private waitAfter(outcome: Outcome, attempt: number): number | null {
    if (attempt >= this.retries.attempts) return null;
    if ("answer" in outcome && !PASSING.includes(outcome.answer.status)) return null;
    const asked = "answer" in outcome ? (retryAfterOf(outcome.answer.headers.get("Retry-After")) ?? 0) : 0;
    if (asked > this.retries.longestSeconds) return null;
    const doubled = Math.min(this.retries.longestSeconds, this.retries.firstSeconds * 2 ** (attempt - 1));
    return Math.max(asked, doubled * (0.5 + Math.random() / 2));
  }
}

function resultOf<T>(method: Method, path: string, outcome: Outcome, attempt: number): T {
  if ("problem" in outcome) {
    const { problem } = outcome;
    throw new NoAnswer(`${method} ${path}: ${problem instanceof Error ? problem.message : problem}`, { cause: problem });
  }
  const { answer, text } = outcome;
  const error = (): ApiError =>
    errorOf(
      answer.status,
      text,
      answer.headers.get("X-Request-ID") ?? "",
      retryAfterOf(answer.headers.get("Retry-After")),
    );
  if (answer.ok) {
    if (!text) return null as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw error(); // what another server answered in place of the site
    }
  }
  // Where a removal is repeated because its answer was lost, that there is nothing to remove is what was wanted.
  if (method === "DELETE" && answer.status === 404 && attempt > 1) return null as T;
  throw error();
}

export { ApiError, ForecourtError, NoAnswer };
