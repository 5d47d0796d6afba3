"""Texts of simulated listings: title, equipment, description and names of sellers.

A car gets only what such a car had: a trim in the years it was sold, a system once it existed, an MOT when old enough
for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.engine.arrays import Floats, Integers
from recommendations.simulation.engine_names import engine_name
from recommendations.simulation.trims import badge_of, trims_of

MILES_PER_KM = 0.621371
MOT_FROM_AGE = 3  # years

WITHOUT_TRIM = ("van", "pickup", "electric")
THREE_DOORS = {"500", "Hatch", "Adam", "DS 3", "GTC", "Mito", "Ka", "C30", "595"}
BODY_DOORS = {"saloon": 4, "coupe": 2, "convertible": 2, "pickup": 4, "van": 4}
FOUR_DOORS = {"CC"}  # coupés with rear doors
TWO_SEATS = {"Fortwo", "MX-5", "Z4", "SLK", "SL Class", "Boxster", "Cayman", "Elise", "R8", "F-Type", "370Z",
             "V8 Vantage"}  # fmt: skip
FOUR_SEATS = {"500", "Hatch", "Convertible", "Adam", "up!", "Aygo", "Aygo X", "107", "108", "C1", "Citigo", "Mii",
              "Twingo", "TT", "911", "GT86", "XK", "i3", "Scirocco", "RX-8", "595", "Spark", "Agila", "Spring",
              "Continental GT", "Forfour", "e", "Viva", "C30", "Ka", "6 Series", "Jimny"}  # fmt: skip
SEVEN_SEATS = {"Galaxy", "S-MAX", "Sharan", "Alhambra", "Touran", "Zafira", "Grand C4 Picasso", "Grand C-MAX", "5008",
               "XC90", "Sorento", "Santa Fe", "Kodiaq", "Discovery", "Q7", "Verso", "V Class", "Jogger"}  # fmt: skip
BODY_SEATS = {"coupe": 4, "convertible": 4, "van": 3}

EQUIPMENT = (  # name, share of cars at the average price that have it, first year of registration
    ("full service history", 0.45, 0), ("one owner", 0.2, 0), ("sat nav", 0.4, 2006), ("heated seats", 0.25, 0),
    ("parking sensors", 0.4, 2004), ("panoramic roof", 0.1, 2009), ("tow bar", 0.06, 0), ("leather", 0.2, 0),
    ("cruise control", 0.4, 2003), ("bluetooth", 0.5, 2008), ("apple carplay", 0.35, 2016),
    ("reversing camera", 0.25, 2012), ("isofix", 0.3, 2004), ("new mot", 0.2, 0),
)  # fmt: skip
SPELLED = {"apple carplay": "Apple CarPlay", "bluetooth": "Bluetooth", "isofix": "ISOFIX", "new mot": "new MOT"}
WITHOUT_ROOF = ("convertible", "van", "pickup")
SURNAMES = ("Harrison", "Whitfield", "Cartwright", "Ashworth", "Bramley", "Holloway", "Pemberton", "Langford", "Sadler",
            "Thackray", "Marlowe", "Ellery", "Prescott", "Ridley", "Fairclough", "Winslow")  # fmt: skip
DEALERS = (
    "{name} Motor Company, {town}",
    "{name} & Sons, {town}",
    "{name} Cars of {town}",
    "{town} Car Centre",
    "{name} Garage, {town}",
    "{town} Car Supermarket",
    "{name} Prestige, {town}",
    "{town} Approved Used Cars",
)
CARE_OF_THE_YOUNG = ("Drives as it should.", "Well looked after.", "Two keys.", "Kept in a garage.",
                     "Non-smoker's car.", "Serviced on time.")  # fmt: skip
CARE = (*CARE_OF_THE_YOUNG, "Some marks of its age.", "Tyres are nearly new.")
WORN_FROM_KM = 50_000
OFFERS = ("Part exchange welcome.", "Delivery can be arranged.", "Finance available.", "Six months' warranty.")


@dataclass(frozen=True)
class CarText:
    """The attributes of one car that its texts depend on."""

    make: str
    model: str
    body: str
    fuel: str
    year: int
    engine_l: float
    power_kw: float
    battery_kwh: float
    range_miles: float
    drive: str = ""


def trim_of(car: CarText, draw: float) -> str:
    """Draw the name of a fast version, or one of the trims of its model and year; a fifth of the cars name none.
    ``draw`` is in [0, 1)."""
    if car.body in WITHOUT_TRIM or car.fuel in WITHOUT_TRIM:
        return ""
    if badge := badge_of(car.make, car.model, car.body, car.fuel, car.power_kw, car.year):
        return badge
    names = trims_of(car.make, car.model, car.year)
    at = int(draw * 1.25 * len(names)) if names else 0
    return names[at] if at < len(names) else ""


def title_of(car: CarText, trim: str) -> str:
    """Return a title such as ``Skoda Octavia 1.5 TSI SE``, ``BMW 3 Series 320d M Sport`` or ``Nissan Leaf 40kWh``."""
    if car.fuel == "electric":
        return f"{car.make} {car.model} {car.battery_kwh:.0f}kWh"
    engine = engine_name(car.make, car.model, car.fuel, car.engine_l, car.power_kw, car.year, car.drive)
    return " ".join(word for word in (car.make, car.model, engine, trim) if word)


def doors_of(model: str, body: str) -> int:
    if model in THREE_DOORS and body == "hatchback":
        return 3
    return 4 if model in FOUR_DOORS else BODY_DOORS.get(body, 5)


def seats_of(model: str, body: str) -> int:
    if model in TWO_SEATS:
        return 2
    if model in SEVEN_SEATS:
        return 7
    return 4 if model in FOUR_SEATS and body != "suv" else BODY_SEATS.get(body, 5)


def equipment_of(
    cars: list[CarText], price: Floats, age: Floats, owners: Integers, draws: Floats
) -> list[tuple[str, ...]]:
    """Draw the equipment of cars; expensive cars have more. ``draws`` is uniform, shape (n, len(EQUIPMENT))."""
    share = np.array([share for _, share, _ in EQUIPMENT])
    since = np.array([first for _, _, first in EQUIPMENT])
    year = np.array([car.year for car in cars])
    has = draws < share * np.clip(0.6 + price[:, None] / 30_000, 0.6, 1.6)
    has &= year[:, None] >= since
    names = [name for name, _, _ in EQUIPMENT]
    has[:, names.index("new mot")] &= age >= MOT_FROM_AGE
    has[:, names.index("one owner")] &= owners == 1
    has[:, names.index("panoramic roof")] &= [car.body not in WITHOUT_ROOF for car in cars]
    return [tuple(name for name, yes in zip(names, row, strict=True) if yes) for row in has]


def description_of(
    car: CarText, km: float, owners: int, equipment: tuple[str, ...], is_private: bool, draws: Floats
) -> str:
    """Write a few sentences; ``draws`` is uniform, shape (3,)."""
    miles = round(km * MILES_PER_KM, -2)
    sentences = [f"Registered in {car.year}, {miles:,.0f} miles, {owner_words(owners)}."]
    if car.fuel == "electric":
        sentences.append(f"{car.battery_kwh:.0f} kWh battery, up to {car.range_miles:.0f} miles when new.")
    if extras := [SPELLED.get(name, name) for name in equipment if name != "one owner"]:
        sentences.append(f"Comes with {', '.join(extras)}.")
    care = CARE if km > WORN_FROM_KM else CARE_OF_THE_YOUNG
    sentences.append(care[int(draws[0] * len(care))])
    if draws[1] < 0.4 and not is_private:
        sentences.append(OFFERS[int(draws[2] * len(OFFERS))])
    return " ".join(sentences)


def owner_words(owners: int) -> str:
    return "one owner" if owners == 1 else f"{owners} owners"


def dealer_name(town: str, draws: Floats) -> str:
    """Return a name such as ``Harrison & Sons, Leeds``; ``draws`` is uniform, shape (2,)."""
    pattern, name = DEALERS[int(draws[0] * len(DEALERS))], SURNAMES[int(draws[1] * len(SURNAMES))]
    return pattern.format(name=name, town=town)
