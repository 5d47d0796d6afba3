"""What things cost and how well they work, as ratios against a comparator of the same run; each started by hand."""
