"""Metrics of lists and experiments, with intervals; arrays only, no Django."""
