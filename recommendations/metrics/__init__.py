"""How good lists are, as numbers only: metrics, intervals, splits by time. No Django."""
