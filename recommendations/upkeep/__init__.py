"""Whether the product works and its data agree: the probe, the consistency check; and how long rows are kept."""
