"""What is left after faults: a site of its own, traffic, one fault after another, and what must hold after each."""
