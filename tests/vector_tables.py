"""Tables of listing vectors, as a training leaves them."""

from recommendations.listings.vectors import attach_partition, create_detached


def create_partition(version_id: int) -> None:
    """An empty table for the vectors of one version, part of the whole; without its index."""
    create_detached(version_id)
    attach_partition(version_id)
