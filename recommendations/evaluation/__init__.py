"""Rankers compared on the log, on event files and on stated choices, with baselines and reports."""
