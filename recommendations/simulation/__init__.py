"""Made-up markets and buyers whose true taste is known: for tests, benchmarks, and seeding a demo."""
