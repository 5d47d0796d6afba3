"""What buyers did and what they were shown: the event log and the served lists, written and read."""
