"""The end-to-end probe, the consistency check, and the removal of old rows."""
