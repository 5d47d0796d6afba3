"""From the event log to a ranker version: fit, score weights, held-out test, gate, promotion."""
