"""The data of the admin's analysis pages: what-if lists, comparisons, offline tests and maps, computed by the code
that serves."""
