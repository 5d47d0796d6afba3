"""Traces and reports of errors, for services of the operator's own choice; without its setting neither is loaded."""
