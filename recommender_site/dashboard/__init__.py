"""The first page of the admin: is the shop window right, and what needs somebody?

Every figure is one query that an index bounds in time, by the live stock, or to a sample of the lists, and all of them
are kept for a few seconds, so that a wall screen that reloads costs nothing. A card shows only to those who may see the
rows behind it.
"""
