"""Listings as the recommender sees them: arrays, vectors, the live stock in memory, and the market around it."""
