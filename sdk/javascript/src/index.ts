export { Forecourt } from "./client.js";
export type { CarName, ForBuyer, OfSource } from "./client.js";
export type { Options, QueueOptions, Retries } from "./core.js";
export { VERSION } from "./core.js";
export { ApiError, ForecourtError, NoAnswer, WebhookRefused } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type * from "./types.js";
export { verifyWebhook } from "./webhooks.js";
export type { WebhookEvent, WebhookMessage } from "./webhooks.js";
