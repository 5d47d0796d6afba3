"""Leads in ADF (Auto-lead Data Format 1.0), the American format: read the car that a prospect asks for.

A prospect also holds data on people. Their names, numbers and towns are not read, and neither is the prospect's number.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

PROSPECT = "adf/prospect"  # path of the records
_OF_CARS = ("vehicle", "vendor")  # elements of a prospect that are read
_OF_PROSPECTS_OWN = frozenset(["sell", "trade-in", "trade in", "tradein"])  # interest in the prospect's own car
_PRICES = ("asking", "offer", "quote")  # the vendor's prices in order of preference; not MSRP and invoice


def leave_car(prospect: Element) -> None:
    """Remove everything from a prospect except its car, with one price, and the vendor."""
    prospect.attrib.clear()
    cars = [child for child in prospect if _name(child) == "vehicle"]
    offered = [car for car in cars if car.get("interest", "").casefold() not in _OF_PROSPECTS_OWN] or cars
    for child in list(prospect):
        if _name(child) not in _OF_CARS or (_name(child) == "vehicle" and child is not offered[0]):
            prospect.remove(child)
    for car in offered[:1]:
        car.attrib.pop("interest", None)
        prices = [child for child in car if _name(child) == "price"]
        for price in sorted(prices, key=_order)[1:]:
            car.remove(price)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].casefold()


def _order(price: Element) -> int:
    kind = price.get("type", "").casefold()
    return _PRICES.index(kind) if kind in _PRICES else len(_PRICES)
