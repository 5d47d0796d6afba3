/* forecourt f4528790906a63f5 */
// Whether a message that a server of yours received is from Forecourt: signatures of the kind Standard Webhooks.
import { WebhookRefused } from "./errors.js";
const PREFIX = "whsec_";
/** The message, once one of its signatures fits. Rejects with WebhookRefused. */
export async function verifyWebhook(message) {
    const headers = Object.fromEntries((message.headers instanceof Headers ? [...message.headers] : Object.entries(message.headers)).map(([name, value]) => [
        String(name).toLowerCase(),
        String(value ?? ""),
    ]));
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
                return JSON.parse(new TextDecoder().decode(body));
            }
        }
    }
    throw new WebhookRefused("No signature fits.");
}
const HMAC = { name: "HMAC", hash: "SHA-256" };
async function fits(key, signature, signed) {
    try {
        return await crypto.subtle.verify("HMAC", key, bytesOf(signature), signed);
    }
    catch {
        return false; // not base64
    }
}
function bytesOf(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
