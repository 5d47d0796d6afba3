"""Names of versions of models in the years in which they were sold: trims, and names that depend on the engine."""

from __future__ import annotations

from typing import NamedTuple


class Trim(NamedTuple):
    """A name with its first and last year."""

    name: str
    first_year: int
    last_year: int


def _read(text: str) -> tuple[Trim, ...]:
    """Parse ``SE 2003-2020, R-Line 2012-``."""
    found = []
    for part in text.split(", "):
        name, _, years = part.rpartition(" ")
        first, _, last = years.partition("-")
        found.append(Trim(name, int(first), int(last or 9999)))
    return tuple(found)


_VW = "S 2003-2020, SE 2003-2020, Match 2005-, Life 2020-, R-Line 2012-"
_VW_LARGE = "SE 2003-2020, SE Business 2012-2021, GT 2013-2020, R-Line 2012-"
_SKODA_SUV = "SE 2016-, SE L 2016-, Sportline 2018-"
OF_MAKE = {make: _read(text) for make, text in {
    "Audi": "SE 2003-2018, Technik 2018-, Sport 2010-, S line 2004-, Black Edition 2010-",
    "BMW": "ES 2003-2012, SE 2003-2021, Sport 2011-, M Sport 2005-",
    "Mercedes-Benz": "SE 2003-2020, Sport 2010-2019, AMG Line 2014-",
    "Volkswagen": _VW,
    "Skoda": "S 2008-2020, SE 2008-, SE L 2015-",
    "SEAT": "S 2003-2018, SE 2006-, FR 2006-, Xcellence 2016-",
    "Ford": "Zetec 2003-2019, Trend 2019-, Titanium 2007-",
    "Vauxhall": "Life 2003-2013, SE 2004-, SRi 2003-, Elite 2009-, Design 2003-2019",
    "Toyota": "T3 2003-2011, Icon 2012-, Design 2016-, Excel 2013-",
    "Honda": "S 2007-2020, SE 2003-2020, SR 2016-, EX 2005-",
    "Nissan": "Visia 2005-, Acenta 2005-, N-Connecta 2015-, Tekna 2005-",
    "Hyundai": "Classic 2008-2015, S 2014-2019, SE Connect 2019-, Premium 2008-, N Line 2018-",
    "Kia": "1 2009-2018, 2 2009-, 3 2009-, GT-Line 2016-",
    "Mazda": "TS 2003-2012, SE-L 2012-2020, Sport 2003-2020, GT Sport 2017-",
    "Peugeot": "Access 2010-2018, Active 2010-, Allure 2010-, GT Line 2014-2020, GT 2021-",
    "Citroën": "VTR 2003-2013, Feel 2015-2021, Flair 2015-2021, Shine 2019-",
    "Renault": "Expression 2003-2018, Dynamique 2003-2017, Play 2017-2022, Iconic 2017-",
    "Volvo": "S 2003-2010, SE 2003-2014, Momentum 2014-2021, R-Design 2008-2021, Inscription 2014-2021, Plus 2021-",
    "Land Rover": "S 2003-, SE 2003-, HSE 2003-",
    "Jaguar": "SE 2003-2009, Prestige 2015-2019, Portfolio 2011-2020, R-Sport 2015-2020, R-Dynamic S 2018-",
    "MINI": "Cooper 2003-, Classic 2018-, Exclusive 2018-",
    "Fiat": "Pop 2008-, Lounge 2008-2022",
    "Suzuki": "SZ3 2010-, SZ5 2010-",
    "Dacia": "Ambiance 2013-2018, Comfort 2018-2022, Prestige 2018-2022, Journey 2022-",
    "MG": "Explore 2017-2021, Excite 2017-2023, Exclusive 2017-2023, Trophy 2022-",
    "Lexus": "SE 2003-2015, Luxury 2012-2020, F Sport 2011-",
    "Jeep": "Longitude 2015-, Limited 2015-",
}.items()}  # fmt: skip
# Models that were not sold in all of their make's trims, or in others; an empty text for those sold without one.
OF_MODEL = {key: _read(text) if text else () for key, text in {
    ("Audi", "A5"): "SE 2007-2016, Sport 2016-, S line 2007-, Black Edition 2010-",
    ("Audi", "A6"): "SE 2004-2018, Sport 2018-, S line 2004-, Black Edition 2010-",
    ("Audi", "A7"): "Sport 2018-, S line 2010-, Black Edition 2012-",
    ("Audi", "A8"): "SE 2003-2016, Sport 2010-2017, S line 2014-, Black Edition 2014-",
    ("Audi", "Q5"): "SE 2008-2017, Sport 2016-, S line 2008-, Black Edition 2014-",
    ("Audi", "Q7"): "SE 2006-2018, Sport 2018-, S line 2006-, Black Edition 2016-",
    ("Audi", "Q8"): "S line 2018-, Black Edition 2019-, Vorsprung 2018-",
    ("Audi", "TT"): "Sport 2014-, S line 2007-, Black Edition 2012-",
    ("Audi", "S3"): "Black Edition 2010-", ("Audi", "R8"): "", ("BMW", "M4"): "Competition 2016-",
    ("Mercedes-Benz", "V Class"): "Sport 2015-, AMG Line 2016-",
    ("Volkswagen", "up!"): "Take up! 2012-2019, Move up! 2012-2020, High up! 2012-2020",
    ("Volkswagen", "Passat"): _VW_LARGE, ("Volkswagen", "CC"): "GT 2012-, R-Line 2012-",
    ("Volkswagen", "Arteon"): "Elegance 2017-, R-Line 2017-",
    ("Volkswagen", "Beetle"): "Design 2012-, Sport 2012-2016, R-Line 2014-",
    ("Volkswagen", "Touareg"): "SE 2003-2018, SEL 2018-, R-Line 2012-, Black Edition 2018-",
    ("Volkswagen", "Sharan"): "S 2003-, SE 2003-, SEL 2010-", ("Volkswagen", "Touran"): "S 2003-, SE 2003-, SEL 2015-",
    ("Volkswagen", "Jetta"): "S 2006-, SE 2006-, Sport 2006-",
    ("Volkswagen", "Golf SV"): "S 2014-, SE 2014-, Match 2017-",
    ("Volkswagen", "Scirocco"): "GT 2008-, R-Line 2012-",
    ("Volkswagen", "T-Cross"): "S 2019-2022, SE 2019-2022, SEL 2019-, Life 2022-, R-Line 2019-",
    ("Skoda", "Fabia"): "S 2008-2021, SE 2008-, SE L 2015-, Monte Carlo 2011-",
    ("Skoda", "Citigo"): "S 2012-, SE 2012-, Monte Carlo 2013-",
    ("Skoda", "Rapid"): "S 2012-, SE 2012-", ("Skoda", "Roomster"): "S 2006-, SE 2008-",
    ("Skoda", "Scala"): "S 2019-2021, SE 2019-, SE L 2019-, Monte Carlo 2020-",
    ("Skoda", "Kamiq"): "S 2019-2021, SE 2019-, SE L 2019-, Monte Carlo 2020-",
    ("Skoda", "Yeti"): "S 2009-, SE 2009-, Monte Carlo 2014-",
    ("Skoda", "Superb"): "S 2008-2020, SE 2008-, SE L 2015-, Sportline 2017-, Laurin & Klement 2012-",
    ("Skoda", "Karoq"): _SKODA_SUV, ("Skoda", "Kodiaq"): _SKODA_SUV,
    ("Ford", "Fiesta"): "Zetec 2003-2019, Trend 2019-, Titanium 2008-, ST-Line 2016-, Vignale 2017-2022",
    ("Ford", "Focus"): "Zetec 2003-2019, Trend 2019-, Titanium 2007-, ST-Line 2016-, Vignale 2018-2022",
    ("Ford", "Kuga"): "Zetec 2008-2019, Titanium 2008-, ST-Line 2016-, Vignale 2017-2023",
    ("Ford", "Mondeo"): "Zetec 2003-2019, Titanium 2007-, ST-Line 2016-, Vignale 2015-2022",
    ("Ford", "S-MAX"): "Zetec 2006-2019, Titanium 2006-, ST-Line 2017-, Vignale 2016-",
    ("Ford", "Edge"): "Zetec 2016-2018, Titanium 2016-, ST-Line 2017-, Vignale 2017-",
    ("Ford", "Puma"): "Titanium 2019-, ST-Line 2019-, ST-Line X 2019-",
    ("Ford", "EcoSport"): "Zetec 2014-2019, Trend 2019-, Titanium 2014-, ST-Line 2018-",
    ("Ford", "Ka"): "Studio 2003-, Style 2003-2013, Zetec 2009-, Titanium 2009-",
    ("Ford", "Ka+"): "Studio 2016-2018, Zetec 2016-2019, Active 2018-",
    ("Ford", "Mustang"): "GT 2015-",
    ("Vauxhall", "Adam"): "Jam 2013-, Glam 2013-, Slam 2013-", ("Vauxhall", "Viva"): "SE 2015-, SL 2015-",
    ("Vauxhall", "GTC"): "Sport 2012-, SRi 2012-, Limited Edition 2014-",
    ("Vauxhall", "Agila"): "Club 2003-2008, Expression 2008-, S 2010-, SE 2010-",
    ("Vauxhall", "Mokka"): "Exclusiv 2012-2016, SE 2012-2016, Tech Line 2013-2019, SRi 2021-, Elite 2021-",
    ("Vauxhall", "Mokka X"): "Active 2016-, Design 2016-, Elite 2016-",
    ("Toyota", "Aygo"): "x-play 2014-, x-pression 2014-, x-cite 2015-", ("Toyota", "GT86"): "Pro 2016-",
    ("Toyota", "Prius"): "T3 2004-2015, T Spirit 2004-2015, Active 2016-, Business Edition 2016-, Excel 2016-",
    ("Toyota", "RAV4"): "Icon 2013-, Excel 2015-, Design 2018-, Dynamic 2019-",
    ("Honda", "Civic"): "S 2007-2017, SE 2003-2022, SR 2012-, EX 2005-, Sport 2022-", ("Nissan", "370Z"): "GT 2009-",
    ("Hyundai", "ix20"): "Classic 2010-2015, Active 2010-, Style 2010-2015, SE 2015-",
    ("Hyundai", "Ioniq"): "SE 2016-2018, Premium 2016-, Premium SE 2016-",
    ("Hyundai", "Kona"): "S 2017-2020, SE 2017-2020, SE Connect 2020-, Premium 2017-, N Line 2021-",
    ("Hyundai", "Santa Fe"): "Style 2006-2012, Premium 2006-, Premium SE 2012-, Ultimate 2021-",
    ("Hyundai", "Tucson"): "S 2015-2018, SE Nav 2015-2020, SE Connect 2020-, Premium 2015-, N Line 2019-",
    ("Citroën", "C1"): "VTR 2005-2013, Touch 2014-, Feel 2014-, Flair 2014-",
    ("Jaguar", "F-Type"): "R-Dynamic 2017-", ("Jaguar", "XK"): "Portfolio 2009-",
    ("Jaguar", "X-Type"): "SE 2003-, S 2005-",
    ("Jaguar", "E-Pace"): "S 2017-, SE 2017-, HSE 2017-, R-Dynamic S 2017-",
    ("Jaguar", "XJ"): "Luxury 2009-, Premium Luxury 2009-, Portfolio 2009-",
}.items()}  # fmt: skip


class Badge(NamedTuple):
    """A version that depends on the engine: its least power, its fuel, its first year and its bodies.

    ``bodies`` is empty where the version was sold in all of them.
    """

    name: str
    least_kw: float
    first_year: int = 0
    fuel: str = "petrol"
    bodies: frozenset[str] = frozenset()


BADGES = {
    ("Ford", "Fiesta"): Badge("ST", 125),
    ("Ford", "Focus"): Badge("ST", 180),
    ("Ford", "Puma"): Badge("ST", 140),
    ("Volkswagen", "Golf"): Badge("GTI", 145, bodies=frozenset({"hatchback", "convertible"})),
    ("Volkswagen", "Polo"): Badge("GTI", 130),
    ("Skoda", "Octavia"): Badge("vRS", 145),
    ("SEAT", "Leon"): Badge("Cupra", 195),
    ("Hyundai", "i30"): Badge("N", 180, 2017, bodies=frozenset({"hatchback"})),
    ("Peugeot", "208"): Badge("GTi", 140),
    ("Renault", "Megane"): Badge("R.S.", 165, bodies=frozenset({"hatchback", "coupe"})),
    ("Suzuki", "Swift"): Badge("Sport", 95, 2018),
    ("Vauxhall", "Corsa"): Badge("VXR", 130),
    ("Jaguar", "F-Type"): Badge("R", 400),
    ("MINI", "Hatch"): Badge("Cooper S", 135),
    ("MINI", "Convertible"): Badge("Cooper S", 135),
}


def trims_of(make: str, model: str, year: int) -> list[str]:
    """Return the trims of a model or, where it has none of its own, of its make."""
    trims = OF_MODEL.get((make, model), OF_MAKE.get(make, ()))
    return [trim.name for trim in trims if trim.first_year <= year <= trim.last_year]


def badge_of(make: str, model: str, body: str, fuel: str, power_kw: float, year: int) -> str:
    """Return ``ST`` for a fast Fiesta; "" for most cars."""
    badge = BADGES.get((make, model))
    if badge is None or (badge.bodies and body not in badge.bodies):
        return ""
    is_one = power_kw >= badge.least_kw and fuel == badge.fuel and year >= badge.first_year
    return badge.name if is_one else ""
