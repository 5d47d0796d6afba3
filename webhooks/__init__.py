"""Events sent out to other systems: endpoints, an outbox, signed delivery with retries, dead letters.

What is sent, and when, is decided by the apps above; this one knows neither listings nor buyers.
"""
