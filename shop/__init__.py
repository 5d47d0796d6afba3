"""The shop window: a marketplace in small on the same functions that the API calls; it adds pages, no rules.

What a list holds, what an event means and what a search finds is decided below, in ``recommendations`` and ``catalog``.
"""
