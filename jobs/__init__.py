"""Background work: handing it to the queue, looking at the queue, and the pages of both. Knows no particular job."""
