"""Listings as arrays: vectors, the live stock in memory (listing index), pgvector retrieval, and market statistics."""
