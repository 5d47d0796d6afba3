"""Operators' rules for lists: stored as rows, compiled, and applied to one list.

``serving`` builds the lists that follow them.
"""
