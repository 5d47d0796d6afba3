"""Reading a typed search: words and amounts -> filters. What the database finds by them is decided by the querysets."""
