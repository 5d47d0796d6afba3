"""Buyers: choices from their events, preferences, context, exclusions, privacy."""
