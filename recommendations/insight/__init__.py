"""What the admin's pages for questions show: what-ifs, comparisons, maps; by the functions that serve."""
