"""Events of buyers and the lists they were served: writing and reading both."""
