"""How sellers write of a car: trims, engine names, equipment, descriptions, and what the sellers are called.

Only what such a car had: a trim in the years it was sold, a system once it existed, an MOT on cars old enough for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recommendations.engine.arrays import Floats, Integers

MILES_PER_KM = 0.621371
TURBO_KW_A_LITRE = 64.0  # petrol engines above it have a turbocharger, and often a name for it
MOT_FROM_AGE = 3  # years

VW, STELLANTIS = ("TSI", "TDI"), ("PureTech", "BlueHDi")
ENGINE_WORDS = {  # make -> of a petrol engine with turbocharger, of a diesel
    "Audi": ("TFSI", "TDI"), "Volkswagen": VW, "Skoda": VW, "SEAT": VW, "Cupra": VW, "Ford": ("EcoBoost", "TDCi"),
    "Vauxhall": ("Turbo", "CDTi"), "Renault": ("TCe", "dCi"), "Dacia": ("TCe", "dCi"), "Nissan": ("DIG-T", "dCi"),
    "Hyundai": ("T-GDi", "CRDi"), "Kia": ("T-GDi", "CRDi"), "Peugeot": STELLANTIS, "Citroën": STELLANTIS,
    "DS": STELLANTIS, "Honda": ("VTEC Turbo", "i-DTEC"), "Toyota": ("", "D-4D"), "Suzuki": ("Boosterjet", "DDiS"),
    "Fiat": ("TwinAir", "MultiJet"), "Land Rover": ("Si4", "TD"), "Mazda": ("", "D"), "Jaguar": ("", "d"),
}  # fmt: skip
WORDS_SINCE = {"TSI": 2008, "TFSI": 2005, "EcoBoost": 2010, "PureTech": 2013, "BlueHDi": 2014, "TCe": 2008,
               "DIG-T": 2012, "T-GDi": 2015, "Boosterjet": 2016, "TwinAir": 2011, "VTEC Turbo": 2015}  # fmt: skip
TRIMS: dict[str, tuple[tuple[str, int, int], ...]] = {  # make -> name, first and last year
    "Audi": (("SE", 2003, 2018), ("Technik", 2018, 9999), ("Sport", 2010, 9999), ("S line", 2004, 9999),
             ("Black Edition", 2010, 9999)),
    "BMW": (("ES", 2003, 2012), ("SE", 2003, 2021), ("Sport", 2011, 9999), ("M Sport", 2005, 9999)),
    "Mercedes-Benz": (("SE", 2003, 2020), ("Sport", 2010, 2019), ("AMG Line", 2014, 9999)),
    "Volkswagen": (("S", 2003, 2020), ("SE", 2003, 2020), ("Match", 2005, 9999), ("Life", 2020, 9999),
                   ("R-Line", 2012, 9999)),
    "Skoda": (("S", 2008, 2020), ("SE", 2008, 9999), ("SE L", 2015, 9999), ("Monte Carlo", 2012, 9999)),
    "SEAT": (("S", 2003, 2018), ("SE", 2006, 9999), ("FR", 2006, 9999), ("Xcellence", 2016, 9999)),
    "Ford": (("Zetec", 2003, 2019), ("Trend", 2019, 9999), ("Titanium", 2007, 9999), ("ST-Line", 2016, 9999),
             ("Vignale", 2016, 2023)),
    "Vauxhall": (("Life", 2003, 2013), ("SE", 2004, 9999), ("SRi", 2003, 9999), ("Elite", 2009, 9999),
                 ("Design", 2003, 2019)),
    "Toyota": (("T3", 2003, 2011), ("Icon", 2012, 9999), ("Design", 2016, 9999), ("Excel", 2013, 9999)),
    "Honda": (("S", 2007, 2020), ("SE", 2003, 2020), ("SR", 2016, 9999), ("EX", 2005, 9999)),
    "Nissan": (("Visia", 2005, 9999), ("Acenta", 2005, 9999), ("N-Connecta", 2015, 9999), ("Tekna", 2005, 9999)),
    "Hyundai": (("Classic", 2008, 2015), ("S", 2014, 2019), ("SE Connect", 2019, 9999), ("Premium", 2008, 9999),
                ("N Line", 2018, 9999)),
    "Kia": (("1", 2009, 2018), ("2", 2009, 9999), ("3", 2009, 9999), ("GT-Line", 2016, 9999)),
    "Mazda": (("TS", 2003, 2012), ("SE-L", 2012, 2020), ("Sport", 2003, 2020), ("GT Sport", 2017, 9999)),
    "Peugeot": (("Access", 2010, 2018), ("Active", 2010, 9999), ("Allure", 2010, 9999), ("GT Line", 2014, 2020)),
    "Citroën": (("VTR", 2003, 2013), ("Feel", 2015, 2021), ("Flair", 2015, 2021), ("Shine", 2019, 9999)),
    "Renault": (("Expression", 2003, 2018), ("Dynamique", 2003, 2017), ("Play", 2017, 2022), ("Iconic", 2017, 9999)),
    "Volvo": (("S", 2003, 2010), ("SE", 2003, 2014), ("Momentum", 2014, 2021), ("R-Design", 2008, 2021),
              ("Inscription", 2014, 2021), ("Plus", 2021, 9999)),
    "Land Rover": (("S", 2003, 9999), ("SE", 2003, 9999), ("HSE", 2003, 9999)),
    "Jaguar": (("SE", 2003, 2009), ("Prestige", 2015, 2019), ("Portfolio", 2011, 2020), ("R-Sport", 2015, 2020),
               ("R-Dynamic S", 2018, 9999)),
    "MINI": (("Cooper", 2003, 9999), ("Classic", 2018, 9999), ("Exclusive", 2018, 9999)),
    "Fiat": (("Pop", 2008, 9999), ("Lounge", 2008, 2022)), "Suzuki": (("SZ3", 2010, 9999), ("SZ5", 2010, 9999)),
    "Dacia": (("Ambiance", 2013, 2018), ("Comfort", 2018, 2022), ("Prestige", 2018, 2022), ("Journey", 2022, 9999)),
    "MG": (("Explore", 2017, 2021), ("Excite", 2017, 2023), ("Exclusive", 2017, 2023), ("Trophy", 2022, 9999)),
    "Lexus": (("SE", 2003, 2015), ("Luxury", 2012, 2020), ("F Sport", 2011, 9999)),
    "Jeep": (("Longitude", 2015, 9999), ("Limited", 2015, 9999)),
}  # fmt: skip
WITHOUT_TRIM = ("van", "pickup", "electric")
THREE_DOORS = {"500", "Hatch", "Adam", "DS 3", "GTC", "Mito", "Ka", "C30", "595"}
BODY_DOORS = {"saloon": 4, "coupe": 2, "convertible": 2, "pickup": 4, "van": 4}
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
CARE = ("Drives as it should.", "Well looked after.", "Two keys.", "Some marks of its age.", "Kept in a garage.",
        "Non-smoker's car.", "Serviced on time.", "Tyres are nearly new.")  # fmt: skip
OFFERS = ("Part exchange welcome.", "Delivery can be arranged.", "Finance available.", "Six months' warranty.")


@dataclass(frozen=True)
class CarText:
    """What the words need of one car."""

    make: str
    model: str
    body: str
    fuel: str
    year: int
    engine_l: float
    power_kw: float
    battery_kwh: float
    range_miles: float


def trim_of(car: CarText, draw: float) -> str:
    """One of the trims of its make and year; a fifth of the cars name none. ``draw`` is uniform in [0, 1)."""
    if car.body in WITHOUT_TRIM or car.fuel in WITHOUT_TRIM:
        return ""
    names = [name for name, first, last in TRIMS.get(car.make, ()) if first <= car.year <= last]
    at = int(draw * 1.25 * len(names)) if names else 0
    return names[at] if at < len(names) else ""


def title_of(car: CarText, trim: str) -> str:
    """``Skoda Octavia 1.5 TSI SE``, ``Nissan Leaf 40kWh``."""
    if car.fuel == "electric":
        return f"{car.make} {car.model} {car.battery_kwh:.0f}kWh"
    words = [car.make, car.model, f"{car.engine_l:.1f}", engine_word(car), trim]
    return " ".join(word for word in words if word)


def engine_word(car: CarText) -> str:
    if car.fuel in ("hybrid", "plugin_hybrid"):
        return "Hybrid" if car.fuel == "hybrid" else "Plug-in Hybrid"
    turbo, diesel = ENGINE_WORDS.get(car.make, ("", ""))
    word = diesel if car.fuel == "diesel" else turbo if car.power_kw / car.engine_l > TURBO_KW_A_LITRE else ""
    return word if WORDS_SINCE.get(word, 0) <= car.year else ""


def doors_of(model: str, body: str) -> int:
    if model in THREE_DOORS and body == "hatchback":
        return 3
    return BODY_DOORS.get(body, 5)


def seats_of(model: str, body: str) -> int:
    if model in TWO_SEATS:
        return 2
    if model in SEVEN_SEATS:
        return 7
    return 4 if model in FOUR_SEATS and body != "suv" else BODY_SEATS.get(body, 5)


def equipment_of(
    cars: list[CarText], price: Floats, age: Floats, owners: Integers, draws: Floats
) -> list[tuple[str, ...]]:
    """Dearer cars carry more of it. ``draws`` is uniform, shape (n, len(EQUIPMENT))."""
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
    """A few sentences; ``draws`` is uniform, shape (3,)."""
    miles = round(km * MILES_PER_KM, -2)
    sentences = [f"Registered in {car.year}, {miles:,.0f} miles, {owner_words(owners)}."]
    if car.fuel == "electric":
        sentences.append(f"{car.battery_kwh:.0f} kWh battery, up to {car.range_miles:.0f} miles when new.")
    if equipment:
        sentences.append(f"Comes with {', '.join(equipment)}.")
    sentences.append(CARE[int(draws[0] * len(CARE))])
    if draws[1] < 0.4 and not is_private:
        sentences.append(OFFERS[int(draws[2] * len(OFFERS))])
    return " ".join(sentences)


def owner_words(owners: int) -> str:
    return "one owner" if owners == 1 else f"{owners} owners"


def dealer_name(town: str, draws: Floats) -> str:
    """``Harrison & Sons, Leeds``; ``draws`` is uniform, shape (2,)."""
    pattern, name = DEALERS[int(draws[0] * len(DEALERS))], SURNAMES[int(draws[1] * len(SURNAMES))]
    return pattern.format(name=name, town=town)
