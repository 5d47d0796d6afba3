// Whether a message that a server of yours received is from Forecourt: signatures of the kind Standard Webhooks.

import { WebhookRefused } from "./errors.js";

const PREFIX = "whsec_";

export interface WebhookEvent {
  /** The same each time the message is sent: keep the ids of those you have worked on. */
  id: string;
  /** Such as `listing.sold`. */
  type: string;
  /** When it happened. */
  timestamp: string;
  /** Depends on the type; new fields may come, so ignore those you do not know. */
  data: Record<string, unknown>;
}

export interface WebhookMessage {
  /** As the admin showed it (`whsec_…`); several while one is replaced. */
  secret: string | string[];
  /** Of the request, in any case. */
  headers: Headers | Record<string, string | string[] | undefined>;
  /** As it came, before anything parses it. */
  body: string | Uint8Array;
  /** How far the time of the message may lie from now; 300. */
  toleranceSeconds?: number;
  /** Seconds since 1970; the clock's without. */
  now?: number;
}

/** The message, once one of its signatures fits. Rejects with WebhookRefused. */
export async function verifyWebhook(message: WebhookMessage): Promise<WebhookEvent> {
  const headers = Object.fromEntries(
    (message.headers instanceof Headers ? [...message.headers] : Object.entries(message.headers)).map(([name, value]) => [
      String(name).toLowerCase(),
      String(value ?? ""),
    ]),
  );
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => headers[`webhook-${name}`] ?? "");
  if (!id || !signatures || !/^\d+$/.test(timestamp ?? "")) {
    throw new WebhookRefused("Its headers have no id, time and signature.");
  }
  const now = message.now ?? Date.now() / 1000;
  if (Math.abs(now - Number(timestamp)) > (message.toleranceSeconds ?? 300)) {
    throw new WebhookRefused("It was signed too long ago, or the clocks differ.");
  }
  const body = typeof message.body === "string" ? new TextEncoder().encode(message.body) : message.body;
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(head.length + body.length);
  signed.set(head);
  signed.set(body, head.length);
  for (const secret of [message.secret].flat()) {
    const key = await crypto.subtle.importKey("raw", bytesOf(secret.replace(PREFIX, "")), HMAC, false, ["verify"]);
    for (const [version, signature] of String(signatures).split(" ").map((each) => each.split(","))) {
      if (version === "v1" && (await fits(key, signature ?? "", signed))) {
        return JSON.parse(new TextDecoder().decode(body)) as WebhookEvent;
      }
    }
  }
  throw new WebhookRefused("No signature fits.");
}

const HMAC = { name: "HMAC", hash: "SHA-256" };

async function fits(key: CryptoKey, signature: string, signed: Uint8Array<ArrayBuffer>): Promise<boolean> {
  try {
    return await crypto.subtle.verify("HMAC", key, bytesOf(signature), signed);
  } catch {
    return false; // not base64
  }
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
