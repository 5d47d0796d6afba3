"""Who made what is running, and when it was built."""

import sys
from datetime import UTC, datetime
from pathlib import Path

AUTHORS = ["Forecourt contributors"]
BUILT_AT = Path(__file__).resolve().parent.parent / "BUILT_AT"  # written while the image is built


def built_at() -> datetime:
    """When the image was built; outside of one, when the virtual environment that runs this was made."""
    try:
        return datetime.fromisoformat(BUILT_AT.read_text().strip()).astimezone(UTC)
    except (OSError, ValueError):
        marker = Path(sys.prefix) / "pyvenv.cfg"
        built = marker if marker.exists() else Path(sys.executable)
        return datetime.fromtimestamp(built.stat().st_mtime, UTC).replace(microsecond=0)
