/* forecourt f4528790906a63f5 */
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
export declare function verifyWebhook(message: WebhookMessage): Promise<WebhookEvent>;
