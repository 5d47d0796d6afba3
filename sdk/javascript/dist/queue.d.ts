/* forecourt a844471cf1746cb5 */
import type { QueueOptions } from "./core.js";
import type { Event, Recorded } from "./types.js";
/** The event with an id and the time, where it has none. */
export declare function completed(event: Event): Event;
export declare class EventQueue {
    private readonly send;
    private waiting;
    private timer;
    private sending;
    private isClosed;
    private readonly options;
    constructor(send: (events: Event[]) => Promise<Recorded>, options: Partial<QueueOptions>);
    /** Events that the site has not answered for. */
    get unsent(): Event[];
    add(event: Event): void;
    /** Send all that waits. Rejects where that fails; nothing is lost by it. */
    flush(): Promise<void>;
    close(): Promise<void>;
    private sendAll;
    private answered;
    private drop;
    /** Nothing waits: no timer keeps the program from ending. */
    private rest;
    private wakeIn;
}
