"""Whether the product works and its data agree: the end-to-end probe, the consistency check."""
