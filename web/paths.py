"""Which paths are the API: for the shape of errors, and for pages of other origins. Imports nothing, as settings do."""

import re

# Routes of earlier clients lie at the root of the site; a user's id after /recs/ may hold anything.
API_PATHS = r"^/(api/|recs/|(infer|batch|interact|add_items|recs|healthcheck|cleanup)/*\Z)"

_API_PATH = re.compile(API_PATHS)


def is_api_path(path: str) -> bool:
    return bool(_API_PATH.match(path))
