"""Metrics of this app, declared once. The outbox itself is measured at the scrape, by ``delivery.outbox_state``."""

from prometheus_client import Counter, Histogram

DELIVERIES = Counter(
    "forecourt_webhook_deliveries_total", "Attempts to deliver a webhook: delivered, failed, dead.", ["outcome"]
)
POST_SECONDS = Histogram(
    "forecourt_webhook_post_seconds",
    "Time until an endpoint answered, or did not.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
