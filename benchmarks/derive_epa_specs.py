"""Derive ``recommendations/data/epa_specs.csv.gz`` from the EPA fuel economy table.

    python benchmarks/derive_epa_specs.py epa_vehicles.csv.gz recommendations/data/epa_specs.csv.gz

The source (US EPA, public domain, as packaged in the R package *fueleconomy*) has one row per model year and
variant, 1984 to 2015. Simulated stock needs the families: rows from 2003 on are reduced to one per make, model
family, body, gearbox, drive, engine and fuel, with the years it was sold in and its mean consumption. Running it
twice gives the same bytes.
"""

import argparse
import csv
import gzip
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FIRST_YEAR = 2003  # older cars are a rarity on today's market
COLUMNS = ("make", "model", "body", "gearbox", "drive", "cylinders", "engine_l", "fuel")

BODY_BY_CLASS = (  # first match wins; EPA classes measure interior volume, so bodies are the nearest common sense
    ("sport utility", "suv"),
    ("special purpose", "suv"),
    ("pickup", "pickup"),
    ("minivan", "mpv"),
    ("vans", "van"),
    ("station wagon", "estate"),
    ("two seater", "coupe"),
    ("minicompact", "coupe"),
    ("subcompact", "hatchback"),
    ("compact", "saloon"),
    ("midsize", "saloon"),
    ("large", "saloon"),
)
BODY_IN_NAME = (  # the model name says it better than the class
    (r"convertible|cabrio|roadster|spyder|spider|volante|drophead|targa|speedster|mx-5|boxster", "convertible"),
    (r"coupe|koup", "coupe"),
    (r"wagon|avant|sportcombi|sport brake|allroad|outback", "estate"),
    (r"\bvan\b|cargo", "van"),
    (r"passenger|caravan|odyssey|sienna", "mpv"),
    (r"sedan|4-door|4 door", "saloon"),
    (r"hatchback|5-door|sportback|veloster|soul|rio 5", "hatchback"),
)  # fmt: skip
HATCHBACKS = {
    "A3", "Aveo", "Beetle", "Golf", "GTI", "R32", "Rabbit", "Focus", "Fiesta", "Yaris", "Jazz", "Versa", "Leaf",
    "Prius", "Prius c", "Insight", "CT", "2", "3", "Cooper", "500", "fortwo", "Swift", "SX4", "C30", "Soul", "Matrix",
    "Juke",
}  # fmt: skip

NOISE = re.compile(
    r"\(.*?\)|\b(?:2WD|4WD|AWD|FWD|RWD|4motion|4matic|quattro|xDrive\w*|sDrive\w*|All4|FFV|Hybrid|Plug-in|Energi|CNG|LPG|"
    r"EV|BEV|Electric|Dual-fuel|Bi-fuel|Cargo|Passenger|Conversion|MDPV|Pickup|Coupe|Convertible|Cabriolet|Cabrio|Roadster|"
    r"Spyder|Spider|Volante|Sedan|Wagon|Hatchback|Sportback|Avant|SportCombi|AMG|SRT8|SFE|XFE|Eco|ECO|Limited|Police|inc|"
    r"Cab|Chassis|Crew|New|Sport Wagon|Limo\.?|Hearse|Livery|Sports?|S-Line|PoleStar|4-Door|5-Door|Energi)\b",
    re.IGNORECASE,
)
TRIM = re.compile(
    r"(?: (?:S|R|L|LE|XLE|LE Plus|EX|FE|HF|GT|RS|SE|STX SE|ST|SS|SX|DI|HEV|Aero|LWB|EWB|ESV|Ext|XL|Select|V6|GTS|SQ4|"
    r"Blue|Touring|eAssist|[234] ?(?:DR|Door)|\d\.\d(?:L| Litre)|Supercharged|Manual|Station|Club|Van|Trac|Trailhawk|"
    r"Active Drive II|Unlimited|Extended|Classic|Denali|SportWagen|Raptor|Econoline|Natural Gas|Truck|drive|[CK]10|"
    r"[CK]?(?:15|25|35)00|HD|Hd|[CK]?15|x|X|\.|Speed|Brake|AS?M|Premier|R.Spec))+$"
)
RENAMED = {  # the names these cars carry in Europe, where they differ
    ("Honda", "Fit"): "Jazz",
    ("Land Rover", "LR2"): "Freelander",
    ("Land Rover", "LR3"): "Discovery",
    ("Land Rover", "LR4"): "Discovery",
    ("Mazda", "MX-5 Miata"): "MX-5",
    ("Mitsubishi", "Montero"): "Shogun",
    ("Fiat", "500e"): "500",
    ("Audi", "SQ5"): "Q5",
}
HYBRID_NAMES = re.compile(r"hybrid|prius|insight|ct 200h|\b\d{3}h\b|hev|m35h|cr-z", re.IGNORECASE)


class Variant(NamedTuple):
    """What a row of the result is keyed by."""

    make: str
    model: str
    body: str
    gearbox: str
    drive: str
    cylinders: str
    engine_l: str
    fuel: str


def model_family(make: str, name: str) -> str:
    """``328i xDrive Sports Wagon`` -> ``3 Series``: the name buyers search by, without drive, body and trim."""
    if make == "BMW" and (match := re.match(r"(?:Active ?Hybrid )?(\d)(?:\d\d|\b)", name)):
        return f"{match[1]} Series"
    if make == "BMW" and (match := re.match(r"(X\d|Z\d|M\d)", name)):
        return match[1]
    if make == "Mercedes-Benz" and (match := re.match(r"([A-Z]{1,3})\d", name)):
        return {"ML": "M", "SL": "SL", "SLK": "SLK"}.get(match[1], match[1]) + " Class"
    if make == "Porsche":
        known = [family for family in ("Cayenne", "Cayman", "Boxster", "Panamera", "Macan") if family in name]
        return known[0] if known else "911"
    if make == "MINI":
        known = [family for family in ("Clubman", "Countryman", "Paceman") if family in name]
        return known[0] if known else "Cooper"
    if make in ("Lexus", "Infiniti"):
        return re.sub(r"[xha]$", "", name.split("/")[0].split()[0])
    return common_family(make, name)


def common_family(make: str, name: str) -> str:
    name = re.sub(r"^(XC|LS|DB) (\d)", r"\1\2", NOISE.sub(" ", name).split("/")[0].strip())
    family = " ".join(name.split())
    if make != "Tesla":
        family = TRIM.sub("", family)
    return RENAMED.get((make, family), family)


def body_of(row: dict[str, str], model: str, fuel: str) -> str:
    for pattern, body in BODY_IN_NAME:
        if re.search(pattern, row["model"], re.IGNORECASE):
            return body
    if model in HATCHBACKS:
        return "hatchback"
    body = next((body for part, body in BODY_BY_CLASS if part in row["class"].lower()), "other")
    if body == "hatchback" and float(row["cyl"] or 4) >= 6 and fuel == "petrol":
        return "coupe"  # a subcompact with a big engine
    return body


def fuel_of(row: dict[str, str]) -> str:
    fuel = row["fuel"].lower()
    if fuel == "electricity":
        return "electric"
    if "electricity" in fuel:
        return "plugin_hybrid"
    if HYBRID_NAMES.search(row["model"]):
        return "hybrid"
    if fuel == "diesel":
        return "diesel"
    return "cng" if fuel == "cng" else "petrol"  # E85 cars run on petrol here


def gearbox_of(transmission: str) -> str:
    if transmission.startswith("Manual"):
        return "manual"
    return "semi_automatic" if "AM" in transmission else "automatic"


def drive_of(drive: str) -> str:
    if drive.startswith("Front"):
        return "front"
    return "rear" if drive.startswith(("Rear", "2-Wheel")) else "all"


def combined_mpg(row: dict[str, str]) -> float:
    """Miles per US gallon, 55 % city and 45 % highway, averaged over distance as the EPA does."""
    return 1 / (0.55 / float(row["cty"]) + 0.45 / float(row["hwy"]))


def variant_of(row: dict[str, str]) -> Variant:
    model = model_family(row["make"], row["model"])
    fuel = fuel_of(row)
    drive, gearbox = drive_of(row["drive"]), gearbox_of(row["trans"])
    engine_l = "" if fuel == "electric" else row["displ"]
    cylinders = "" if fuel == "electric" or not row["cyl"] else str(int(float(row["cyl"])))
    return Variant(row["make"], model, body_of(row, model, fuel), gearbox, drive, cylinders, engine_l, fuel)


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if float(row["year"]) >= FIRST_YEAR and float(row["cty"]) > 0:
                yield row


def derive(rows: Iterator[dict[str, str]]) -> Iterator[tuple]:
    """One line per variant: its key, first and last model year, mean miles per US gallon, rows it stands for."""
    years: dict[Variant, list[int]] = defaultdict(list)
    mpg: dict[Variant, list[float]] = defaultdict(list)
    for row in rows:
        variant = variant_of(row)
        years[variant].append(int(float(row["year"])))
        mpg[variant].append(combined_mpg(row))
    for variant in sorted(years):
        if variant.model:
            mean = sum(mpg[variant]) / len(mpg[variant])
            yield *variant, min(years[variant]), max(years[variant]), round(mean, 1), len(years[variant])


def write_gzip(path: Path, lines: Iterator[tuple]) -> int:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "first_year", "last_year", "mpg_us", "n_rows"])
    n_lines = 0
    for line in lines:
        writer.writerow(line)
        n_lines += 1
    with open(path, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:
        file.write(text.getvalue().encode())
    return n_lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    n_variants = write_gzip(arguments.target, derive(read_rows(arguments.source)))
    print(f"{n_variants} variants, {arguments.target.stat().st_size / 1024:.0f} KiB")
