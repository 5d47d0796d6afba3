"""What is known about a buyer: choices out of their events, preferences, context, exclusions, privacy."""
