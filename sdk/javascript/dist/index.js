/* forecourt 4c137063bf9f9450 */
export { Forecourt } from "./client.js";
export { VERSION } from "./core.js";
export { ApiError, ForecourtError, NoAnswer, WebhookRefused } from "./errors.js";
export { verifyWebhook } from "./webhooks.js";
