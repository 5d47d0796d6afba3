"""Names of engines in adverts: ``1.5 TSI``, ``2.0 TDI``, ``320d``, ``C 220 d``, ``77kWh``."""

from __future__ import annotations

TURBO_KW_A_LITRE = 64.0  # petrol engines above it have a turbocharger, and often a name for it
TURBO_UP_TO_L = 5.0  # Audi's larger ones have none

_VW, _STELLANTIS = ("TSI", "TDI"), ("PureTech", "BlueHDi")
WORDS = {  # make -> of a petrol engine with turbocharger, of a diesel
    "Audi": ("TFSI", "TDI"), "Volkswagen": _VW, "Skoda": _VW, "SEAT": _VW, "Cupra": _VW, "Ford": ("EcoBoost", "TDCi"),
    "Vauxhall": ("Turbo", "CDTi"), "Renault": ("TCe", "dCi"), "Dacia": ("TCe", "dCi"), "Nissan": ("DIG-T", "dCi"),
    "Hyundai": ("T-GDi", "CRDi"), "Kia": ("T-GDi", "CRDi"), "Peugeot": _STELLANTIS, "Citroën": _STELLANTIS,
    "DS": _STELLANTIS, "Honda": ("VTEC Turbo", "i-DTEC"), "Toyota": ("", "D-4D"), "Suzuki": ("Boosterjet", "DDiS"),
    "Fiat": ("MultiAir", "MultiJet"), "Land Rover": ("Si4", "TD"), "Mazda": ("", "D"), "Jaguar": ("", "d"),
}  # fmt: skip
SINCE = {"TSI": 2008, "TFSI": 2005, "EcoBoost": 2010, "PureTech": 2013, "BlueHDi": 2014, "TCe": 2008, "DIG-T": 2012,
         "T-GDi": 2015, "Boosterjet": 2016, "TwinAir": 2011, "MultiAir": 2010, "VTEC Turbo": 2015}  # fmt: skip
LATER = {"TDCi": (2019, "EcoBlue"), "CDTi": (2020, "Turbo D"), "MultiAir": (2018, "")}  # from a year on, the next word
_BMW: dict[str, tuple[tuple[float, float, str], ...]] = {  # fuel -> up to litres and kW, figure
    "petrol": ((1.5, 999, "18i"), (1.6, 999, "16i"), (2.0, 150, "20i"), (2.0, 999, "30i"), (2.5, 999, "25i"),
               (3.0, 200, "25i"), (3.0, 245, "35i"), (3.0, 999, "40i"), (9.0, 999, "50i")),
    "diesel": ((1.5, 999, "16d"), (2.0, 115, "18d"), (2.0, 999, "20d"), (3.0, 200, "30d"), (9.0, 999, "40d")),
    "plugin_hybrid": ((1.5, 999, "25e"), (2.0, 999, "30e"), (9.0, 999, "45e")),
}  # fmt: skip
_MERCEDES: dict[str, tuple[tuple[float, float, str], ...]] = {
    "petrol": ((4.9, 82, "160"), (4.9, 95, "180"), (4.9, 140, "200"), (4.9, 170, "250"), (4.9, 200, "300"),
               (4.9, 230, "350"), (4.9, 284, "400"), (4.9, 999, "AMG 63"), (5.0, 284, "500"), (9.0, 999, "AMG 63")),
    "diesel": ((1.5, 999, "180 d"), (1.9, 999, "200 d"), (2.3, 112, "200 d"), (2.3, 145, "220 d"), (2.3, 160, "250 d"),
               (2.3, 999, "300 d"), (9.0, 999, "350 d")),
    "plugin_hybrid": ((1.5, 999, "250 e"), (2.0, 999, "300 e"), (9.0, 999, "560 e")),
}  # fmt: skip
_VOLVO = {"petrol": ((115, "T2"), (135, "T4"), (190, "T5"), (999, "T6")),
          "diesel": ((95, "D2"), (115, "D3"), (145, "D4"), (999, "D5"))}  # fmt: skip
_VOLVO_FIGURES = range(2010, 2020)
CDI_UNTIL = 2014  # Mercedes-Benz wrote d for CDI from then on


def engine_name(make: str, model: str, fuel: str, litres: float, power_kw: float, year: int, drive: str) -> str:
    """Return the name as in the title of an advert; the caller adds an electric car's battery."""
    if make == "BMW" and (figure := _figure(_BMW, fuel, litres, power_kw)):
        if " Series" in model:
            return model[0] + figure
        if model[0] in "XZ":
            return ("xDrive" if drive == "all" else "sDrive") + figure
    if make == "Mercedes-Benz" and (figure := _figure(_MERCEDES, fuel, litres, power_kw)):
        letters = {"M Class": "ML"}.get(model, model.removesuffix(" Class"))
        if letters.isupper():
            return f"{letters} {figure.replace(' d', ' CDI') if year <= CDI_UNTIL else figure}"
    if fuel in ("hybrid", "plugin_hybrid"):
        return f"{litres:.1f} {'Hybrid' if fuel == 'hybrid' else 'Plug-in Hybrid'}"
    return f"{litres:.1f} {_word(make, fuel, litres, power_kw, year)}".strip()


def _word(make: str, fuel: str, litres: float, power_kw: float, year: int) -> str:
    if make == "Volvo" and year in _VOLVO_FIGURES:
        return next(word for most_kw, word in _VOLVO[fuel] if power_kw <= most_kw)
    turbo, diesel = WORDS.get(make, ("", ""))
    if fuel != "diesel" and power_kw / litres <= TURBO_KW_A_LITRE:
        return ""
    word = diesel if fuel == "diesel" else "TwinAir" if make == "Fiat" and litres < 1 else turbo
    word = "FSI" if make == "Audi" and fuel == "petrol" and litres > TURBO_UP_TO_L else word
    from_year, next_word = LATER.get(word, (9999, ""))
    word = next_word if year >= from_year else word
    return word if SINCE.get(word, 0) <= year else ""


def _figure(figures: dict[str, tuple[tuple[float, float, str], ...]], fuel: str, litres: float, power_kw: float) -> str:
    """Return the first figure whose limits of litres and power the engine does not exceed; "" for a fuel without
    figures."""
    found = (name for most_l, most_kw, name in figures.get(fuel, ()) if litres <= most_l and power_kw <= most_kw)
    return next(found, "")
