"""Leads in ADF, the format of the American trade (Auto-lead Data Format 1.0): the car that a prospect asks for.

A prospect is about people too. Their names, numbers and towns are no part of a car, nor is the number of the prospect.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

PROSPECT = "adf/prospect"  # path of the records
_OF_CARS = ("vehicle", "vendor")  # what is read of a prospect
_OF_PROSPECTS_OWN = frozenset(["sell", "trade-in", "trade in", "tradein"])  # cars that the prospect would give away
_PRICES = ("asking", "offer", "quote")  # what the vendor wants for the car, first to last; MSRP and invoice are others'


def leave_car(prospect: Element) -> None:
    """Remove from a prospect all that is not its car, with one price, or the vendor."""
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
