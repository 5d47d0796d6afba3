"""Every metric of the loop, declared once; the unit is in the name."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

EVENTS = Counter("forecourt_events_total", "Events recorded, by kind.", ["kind"])
EVENTS_REPEATED = Counter("forecourt_events_repeated_total", "Events that were already in the log.")
EVENTS_IN_CONFLICT = Counter(
    "forecourt_events_in_conflict_total", "Events under an id that their sender had given to another one."
)
EVENTS_UNATTRIBUTED = Counter(
    "forecourt_events_unattributed_total", "Events that named a list they did not come from, by reason.", ["reason"]
)
EVENTS_WAITED = Counter("forecourt_events_early_total", "Events that came before their listing, and wait for it.")
EVENTS_RELEASED = Counter("forecourt_events_early_recorded_total", "Events recorded once their listing had come.")
EVENTS_WAITED_IN_VAIN = Counter(
    "forecourt_events_early_removed_total", "Events removed after EVENTS_WAITING_DAYS, as their listing never came."
)
EVENTS_WITHOUT_ROOM = Counter(
    "forecourt_events_early_refused_total", "Events refused, as EVENTS_WAITING_AT_MOST of their senders wait already."
)
LISTS = Counter(
    "forecourt_lists_total", "Lists served, by placement and whether they were personal.", ["placement", "personal"]
)
ITEMS = Counter("forecourt_list_items_total", "Cars served, by the source that found them.", ["source"])
LIST_SECONDS = Histogram("forecourt_list_seconds", "Time to answer one list.", buckets=SECONDS)
REFRESHES = Counter(
    "forecourt_preference_refreshes_total", "Preferences recomputed, by who noticed: worker, read or beat.", ["by"]
)
REFRESH_SECONDS = Histogram(
    "forecourt_preference_refresh_seconds", "Time to recompute one preference.", buckets=SECONDS
)
EVENT_TO_PREFERENCE_SECONDS = Histogram(
    "forecourt_event_to_preference_seconds",
    "From the arrival of a buyer's newest event to the first preference that knows it; events sent late are left out.",
    buckets=(*SECONDS, 10.0, 60.0, 600.0),
)
WINDOW_SYNC_SECONDS = Histogram("forecourt_window_sync_seconds", "Time to bring the window in step.", buckets=SECONDS)
WINDOW_LISTINGS = Gauge(
    "forecourt_window_listings", "Listings in the window of one process.", multiprocess_mode="mostrecent"
)
SERVED_LISTS_LOGGED = Counter("forecourt_served_lists_logged_total", "Served lists written to the log.")
SERVED_LISTS_LOST = Counter("forecourt_served_lists_lost_total", "Served lists that could not be written to the log.")
ROWS_REMOVED = Counter("forecourt_rows_removed_total", "Rows removed for their age, by kind.", ["kind"])
SERVED_LISTS_WAITING = Gauge(
    "forecourt_served_lists_waiting", "Served lists that wait to be written.", multiprocess_mode="livesum"
)
SERVED_LIST_WRITERS_ENDED = Counter(
    "forecourt_served_list_writers_ended_total", "Threads that write served lists, found ended and started again."
)
ALERTS = Counter(
    "forecourt_alerts_total", "Messages to buyers about cars of their saved searches, by the way.", ["way"]
)
ALERT_SECONDS = Histogram(
    "forecourt_alert_seconds",
    "From the finding of the oldest car of a message to the message; caps and quiet hours are part of it.",
    buckets=(0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0),
)
ALERT_MAILS = Counter(
    "forecourt_alert_mails_total", "Attempts to send an alert by e-mail: sent, waiting, failed.", ["outcome"]
)
VECTORS_WRITTEN = Counter("forecourt_listing_vectors_written_total", "Listing vectors computed and stored.")
INFERENCES = Counter("forecourt_inferences_total", "Vectors answered by /infer and /batch.")
INFERENCE_SECONDS = Histogram("forecourt_inference_seconds", "Time to answer /infer or /batch.", buckets=SECONDS)
LIST_CACHE = Counter("forecourt_list_cache_total", "Orders of candidates asked of the cache: hit or miss.", ["result"])
FEED_SECONDS = Histogram(
    "forecourt_feed_request_seconds", "Time to answer, by route and status.", ["route", "status"], buckets=SECONDS
)
FEED_ITEMS = Counter("forecourt_feed_items_total", "Items of the feed served, by source.", ["source"])
FEED_LISTS = Counter("forecourt_feed_lists_total", "Lists of the feed served.")
FEED_FIT_SECONDS = Histogram(
    "forecourt_feed_fit_seconds", "Processor time of learning from the whole log.", buckets=SECONDS
)
