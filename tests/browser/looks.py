"""How a page may look, light or dark, on a desk or a telephone, and which rules of axe it breaks there."""

import os
import zlib
from pathlib import Path
from typing import Any

AXE = (Path(__file__).parent / "axe" / "axe-4.14.1.min.js").read_text(encoding="utf-8")
# Every rule but those marked experimental; what axe cannot judge by itself is no violation. Stylesheets are not fetched
# a second time: no rule of these needs it but the one on locked orientation.
ASKED = """async (frame) => {
    const context = frame ? document : {include: document, exclude: [["#nav-sidebar"]]};
    const found = await axe.run(context, {resultTypes: ["violations"], preload: false});
    return found.violations.map((rule) => rule.id + ": " + rule.nodes.slice(0, 3).map((node) =>
        node.target.join(" ") + " " + (node.any[0]?.message ?? node.all[0]?.message ?? "")).join(" | "));
}"""
EVERY_LOOK = bool(os.environ.get("AXE_EVERY_LOOK"))  # `make axe`; otherwise each page is asked in one of the looks


TELEPHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}
SCHEMES, SIZES = ("light", "dark"), (TELEPHONE, DESK)


def looks_of(address: str) -> dict[str, tuple[dict[str, int], ...]]:
    """Sizes by colour scheme: all of them, or one of one; the same in every run, spread over the pages."""
    if EVERY_LOOK:
        return dict.fromkeys(SCHEMES, SIZES)
    number = zlib.crc32(address.encode())
    return {SCHEMES[number % 2]: (SIZES[number // 2 % 2],)}


def broken_rules(page: Any, *, with_sidebar: bool = True) -> list[str]:
    """What axe finds wrong with the page as it looks now: rule, places and reason.

    The sidebar is the same on every page of the console, and most of what axe has to look at.
    """
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(ASKED, with_sidebar)
    return found
