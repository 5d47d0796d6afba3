"""The one style of moments, with their zone: as ``console.formats.clock`` writes them."""

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "d M Y H:i T"
