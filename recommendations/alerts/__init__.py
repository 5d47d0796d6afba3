"""Alerts on new and cheaper cars for saved searches: matched, ranked, collected, and sent as webhooks or e-mail.

This package decides which buyer gets which cars, and when; ``webhooks`` delivers.
"""
