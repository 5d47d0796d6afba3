"""Simulated markets and buyers with a known true utility: for tests, benchmarks and the seeding of a demo."""
