/* forecourt a844471cf1746cb5 */
// Events that are gathered and sent many at once: in the background, when asked to, and at the end.
//
// An event gets its id and its time when it is added, so it may be sent as often as it takes, and as late. It leaves the
// queue when the site has answered for it.
import { ApiError, ForecourtError } from "./errors.js";
const NOT_KEPT = ["refused", "conflict"]; // what becomes of an event that the site will never record
/** The event with an id and the time, where it has none. */
export function completed(event) {
    return { event_id: crypto.randomUUID(), occurred_at: new Date().toISOString(), ...event };
}
export class EventQueue {
    send;
    waiting = [];
    timer;
    sending;
    isClosed = false;
    options;
    constructor(send, options) {
        this.send = send;
        this.options = { seconds: 1, atOnce: 500, limit: 100_000, onRefused: () => undefined, ...options };
    }
    /** Events that the site has not answered for. */
    get unsent() {
        return [...this.waiting];
    }
    add(event) {
        if (this.isClosed)
            throw new ForecourtError("The client is closed.");
        if (this.waiting.length >= this.options.limit)
            throw new ForecourtError("Too many events wait.");
        const whole = completed(event);
        JSON.stringify(whole); // throws for what it cannot hold, which would stop all behind it
        this.waiting.push(whole);
        // At once when a batch is full, and not at each event more: while the site is away they would all ask again.
        this.wakeIn(this.waiting.length === this.options.atOnce ? 0 : this.options.seconds);
    }
    /** Send all that waits. Rejects where that fails; nothing is lost by it. */
    async flush() {
        while (this.sending)
            await this.sending.catch(() => undefined);
        if (!this.waiting.length)
            return;
        this.sending = this.sendAll();
        try {
            await this.sending;
            this.rest();
        }
        finally {
            this.sending = undefined;
        }
    }
    async close() {
        this.isClosed = true;
        clearTimeout(this.timer);
        await this.flush();
    }
    async sendAll() {
        let size = this.options.atOnce;
        while (this.waiting.length) {
            const batch = this.waiting.slice(0, size);
            try {
                this.answered(batch, await this.send(batch));
            }
            catch (problem) {
                if (!(problem instanceof ApiError && [400, 413, 422].includes(problem.status)))
                    throw problem;
                if (batch.length === 1)
                    this.drop(batch, () => problem.fields);
                size = Math.max(1, Math.floor(batch.length / 2));
            }
        }
    }
    answered(batch, answer) {
        this.drop(batch, (index) => {
            const result = answer.events?.[index];
            return result && NOT_KEPT.includes(result.status) ? result.fields : null;
        });
    }
    drop(batch, problemOf) {
        this.waiting.splice(0, batch.length);
        batch.forEach((event, index) => {
            const fields = problemOf(index);
            if (!fields)
                return;
            try {
                this.options.onRefused(event, fields);
            }
            catch (problem) {
                console.error("forecourt: onRefused failed", problem);
            }
        });
    }
    /** Nothing waits: no timer keeps the program from ending. */
    rest() {
        if (this.waiting.length)
            return;
        clearTimeout(this.timer);
        this.timer = undefined;
    }
    wakeIn(seconds) {
        if (this.timer !== undefined && seconds > 0)
            return;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => {
            this.timer = undefined;
            if (this.sending)
                return this.wakeIn(this.options.seconds);
            this.flush().catch((problem) => {
                console.warn(`forecourt: ${this.waiting.length} events wait: ${problem}`);
                if (!this.isClosed)
                    this.wakeIn(this.options.seconds);
            });
        }, seconds * 1000);
    }
}
