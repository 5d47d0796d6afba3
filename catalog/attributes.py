"""The attributes of a listing, each declared once: column, unit, filter, feature, headings, display and reason.

Whatever deals with attributes reads ``ATTRIBUTES``: the columns of the model, the filters in SQL and in memory, the
importer and its headings, the API, the admin, the export, the shop window, the encoder, stated wishes and reasons. A
new attribute is an entry here and a migration for its column. An artifact that was fitted before knows nothing of it
and serves as ever; the next training learns it. Vectors name what they were made of, so those that are stored are made
anew once there is another feature, as after a change of the listings themselves.

What a listing has besides has rules of its own and is not declared here: make and model, title, description, tags,
year, price with its currency, place and seller.

No Django: the engine and the reading of rows know attributes without a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


def gettext_noop(text: str) -> str:
    """Marks a text for translation; Django's function of that name, which nothing here may import."""
    return text


class Choice(NamedTuple):
    """A value of a category.

    Attributes:
        value: As stored.
        label: As staff and visitors read it.
        cars: What cars of that value are called in a reason, in the plural: "diesel cars"; '' where no reason names it.
        words: That mean it in a file or a search, besides those of ``words.toml``: with spaces between, and hyphens
            within a phrase.
    """

    value: str
    label: str
    cars: str = ""
    words: str = ""


@dataclass(frozen=True)
class Aside:
    """What a reason says besides of a number that is low, or high, for what is on sale.

    Attributes:
        text: "with low mileage".
        factor: Below 1, a number under that much of the usual one is low; above 1, one over it is high.
        usual: Where the stock has no median. Left out: nothing is said then.
    """

    text: str
    factor: float
    usual: float | None = None

    def holds(self, value: float | None, median: float | None) -> bool:
        """Whether a number may be called that, against the median of the live listings."""
        usual = self.usual if median is None else median
        if value is None or usual is None:
            return False
        return value < self.factor * usual if self.factor < 1 else value > self.factor * usual


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """What every attribute says of itself.

    Attributes:
        name: As the encoder, a search and the importer call it.
        column: Of ``Listing``, and of whatever holds listings; its name says the unit. Left out: the name.
        label: As people read it.
        about: For readers of the API.
        strength: Expected spread of the utility due to it, relative to other fields (``EncoderConfig.strengths``);
            0: no feature.
        likeness: What a difference counts for in which cars are alike (``engine.similarity``).
        headings: Of files, besides those of ``headings.toml``, with commas between.
        exported_as: The heading of its column in an export. Left out: the column.
        answers_as: Its name in answers of the API. Left out: the column.
        is_on_card: Whether lists of cars show it, or the page of one car alone.
    """

    name: str
    column: str = ""
    label: str
    about: str = ""
    strength: float = 0.0
    likeness: float = 0.0
    headings: str = ""
    exported_as: str = ""
    answers_as: str = ""
    is_on_card: bool = False

    def __post_init__(self) -> None:
        for field, usual in (("column", self.name), ("exported_as", self.column or self.name),
                             ("answers_as", self.column or self.name)):  # fmt: skip
            if not getattr(self, field):
                object.__setattr__(self, field, usual)


@dataclass(frozen=True, kw_only=True)
class Category(Attribute):
    """One word of a few, or any word (``is_open``); '' where it is unknown.

    Attributes:
        choices: The values, or those of an open category that reasons have a phrase for.
        filter: Its field of ``ListingFilters``, in the plural.
        max_length: Of the column.
        says_others: Whether a reason may name values without a phrase of their own.
        is_in_search: Whether its words in a typed search are a filter; otherwise they are words of the text.
    """

    choices: tuple[Choice, ...]
    filter: str
    max_length: int = 15
    is_open: bool = False
    says_others: bool = True
    is_in_search: bool = True

    @property
    def filters(self) -> tuple[str, ...]:
        return (self.filter,)

    @property
    def phrases(self) -> dict[str, str]:
        """Value -> what such cars are called."""
        return {choice.value: choice.cars for choice in self.choices if choice.cars}


@dataclass(frozen=True, kw_only=True)
class Number(Attribute):
    """A number from 0 up; None where it is unknown.

    Attributes:
        kind: Of the column; money is in the currency of the price, and a month is its year and number, as in 201803.
        unit: "km".
        is_filtered: Whether a search may ask for a range of it.
        asked_up_to: The largest bound that a search may name. Left out: what the column holds.
        is_asked_exactly: Whether a search may name one number for both bounds.
        largest: Of a fraction that a client may send.
        scale: On which equal steps mean equally much to buyers.
        offset: Added before the logarithm: how much of it matters little.
        grid: Start, stop and step of the values at which curves of utility are drawn, for profiles; None: no curve.
        aside: What reasons may say of it.
        n_decimals: As it is shown.
    """

    kind: Literal["count", "large count", "fraction", "money", "month"]
    unit: str = ""
    is_filtered: bool = False
    asked_up_to: int | None = None
    is_asked_exactly: bool = False
    largest: float = 1e9
    scale: Literal["logarithmic", "linear"] = "logarithmic"
    offset: float = 0.0
    grid: tuple[float, float, float] | None = None
    aside: Aside | None = None
    n_decimals: int = 0

    @property
    def filters(self) -> tuple[str, ...]:
        return (f"min_{self.column}", f"max_{self.column}") if self.is_filtered else ()

    @property
    def holds_at_most(self) -> int:
        """The largest whole number that fits the column."""
        return 32_767 if self.kind == "count" else 2_147_483_647


@dataclass(frozen=True, kw_only=True)
class Moment(Attribute):
    """A time; None where it is unknown."""


@dataclass(frozen=True, kw_only=True)
class Text(Attribute):
    """A few words as the seller writes them; '' where there are none. They are shown, and neither filtered nor learned.

    Attributes:
        max_length: In characters; what is longer is cut.
    """

    max_length: int


@dataclass(frozen=True, kw_only=True)
class Addresses(Attribute):
    """Several web addresses, in their order; an empty tuple where there are none. ``is_web_address`` says what is one.

    Attributes:
        at_most: How many of them are kept.
        max_length: Of one, in characters.
    """

    at_most: int
    max_length: int = 500


COLOURS = (
    Choice("beige", gettext_noop("Beige"), gettext_noop("beige cars")),
    Choice("black", gettext_noop("Black"), gettext_noop("black cars")),
    Choice("blue", gettext_noop("Blue"), gettext_noop("blue cars")),
    Choice("bronze", gettext_noop("Bronze"), gettext_noop("bronze cars")),
    Choice("brown", gettext_noop("Brown"), gettext_noop("brown cars")),
    Choice("gold", gettext_noop("Gold"), gettext_noop("gold cars")),
    Choice("green", gettext_noop("Green"), gettext_noop("green cars")),
    Choice("grey", gettext_noop("Grey"), gettext_noop("grey cars")),
    Choice("orange", gettext_noop("Orange"), gettext_noop("orange cars")),
    Choice("pink", gettext_noop("Pink"), gettext_noop("pink cars")),
    Choice("purple", gettext_noop("Purple"), gettext_noop("purple cars")),
    Choice("red", gettext_noop("Red"), gettext_noop("red cars")),
    Choice("silver", gettext_noop("Silver"), gettext_noop("silver cars")),
    Choice("white", gettext_noop("White"), gettext_noop("white cars")),
    Choice("yellow", gettext_noop("Yellow"), gettext_noop("yellow cars")),
)

# The order is part of the digests of rows (``ListingRow.digest``): a new one goes to the end.
AnyAttribute = Category | Number | Moment | Text | Addresses
ATTRIBUTES: tuple[AnyAttribute, ...] = (
    Number(
        name="mileage", column="mileage_km", label=gettext_noop("Mileage"), kind="large count", unit="km",
        is_filtered=True,
        strength=0.3, likeness=0.7, offset=5_000.0,  # the first kilometres matter, but less than a logarithm has it
        grid=(0.0, 250_001.0, 5_000.0), aside=Aside(gettext_noop("with low mileage"), 0.8, usual=62_500.0),
        answers_as="km_driven", is_on_card=True,
    ),
    Category(
        name="fuel", label=gettext_noop("Fuel"), filter="fuels", strength=0.6, likeness=0.8, is_on_card=True,
        choices=(
            Choice("petrol", gettext_noop("Petrol"), gettext_noop("petrol cars")),
            Choice("diesel", gettext_noop("Diesel"), gettext_noop("diesel cars")),
            Choice("hybrid", gettext_noop("Hybrid"), gettext_noop("hybrid cars")),
            Choice("plugin_hybrid", gettext_noop("Plug-in hybrid"), gettext_noop("plug-in hybrid cars")),
            Choice("electric", gettext_noop("Electric"), gettext_noop("electric cars")),
            Choice("lpg", gettext_noop("LPG"), gettext_noop("LPG cars")),
            Choice("cng", gettext_noop("CNG"), gettext_noop("CNG cars")),
            Choice("ethanol", gettext_noop("Ethanol"), gettext_noop("ethanol cars")),
            Choice("hydrogen", gettext_noop("Hydrogen"), gettext_noop("hydrogen cars")),
            Choice("other", gettext_noop("Other")),
        ),
    ),
    Category(
        name="gearbox", label=gettext_noop("Gearbox"), filter="gearboxes", strength=0.6, likeness=0.5, is_on_card=True,
        choices=(
            Choice("manual", gettext_noop("Manual"), gettext_noop("manual cars")),
            Choice("automatic", gettext_noop("Automatic"), gettext_noop("automatic cars")),
            Choice("semi_automatic", gettext_noop("Semi-automatic"), gettext_noop("semi-automatic cars")),
        ),
    ),
    Category(
        name="body", label=gettext_noop("Body"), filter="bodies", strength=0.7, likeness=1.2, is_on_card=True,
        says_others=False,
        choices=(
            Choice("hatchback", gettext_noop("Hatchback"), gettext_noop("hatchbacks")),
            Choice("saloon", gettext_noop("Saloon"), gettext_noop("saloons")),
            Choice("estate", gettext_noop("Estate"), gettext_noop("estates")),
            Choice("suv", gettext_noop("SUV"), gettext_noop("SUVs")),
            Choice("coupe", gettext_noop("Coupé"), gettext_noop("coupés")),
            Choice("convertible", gettext_noop("Convertible"), gettext_noop("convertibles")),
            Choice("mpv", gettext_noop("MPV"), gettext_noop("MPVs")),
            Choice("pickup", gettext_noop("Pickup"), gettext_noop("pickups")),
            Choice("van", gettext_noop("Van"), gettext_noop("vans")),
            Choice("other", gettext_noop("Other")),
        ),
    ),
    Category(
        name="drive", label=gettext_noop("Drive"), filter="drives", strength=0.4, likeness=0.5, is_on_card=True,
        max_length=10,
        choices=(
            Choice("front", gettext_noop("Front-wheel drive"), gettext_noop("front-wheel-drive cars")),
            Choice("rear", gettext_noop("Rear-wheel drive"), gettext_noop("rear-wheel-drive cars")),
            Choice("all", gettext_noop("All-wheel drive"), gettext_noop("four-wheel-drive cars")),
        ),
    ),
    Category(
        name="colour", label=gettext_noop("Colour"), filter="colours", strength=0.3, likeness=0.1, is_on_card=True,
        max_length=30,
        is_open=True, choices=COLOURS,
    ),
    Number(
        name="power", column="power_kw", label=gettext_noop("Power"), kind="count", unit="kW", is_filtered=True,
        strength=0.2, likeness=0.9, grid=(40.0, 301.0, 5.0),
        aside=Aside(gettext_noop("with plenty of power"), 1.1), is_on_card=True,
    ),
    Number(
        name="engine", column="engine_l", label=gettext_noop("Engine"), kind="fraction", unit="l", largest=100,
        n_decimals=1,
        strength=0.25, likeness=0.7, is_on_card=True,
    ),
    Number(
        name="consumption", column="consumption_l_100km", label=gettext_noop("Consumption"), kind="fraction",
        unit="l/100 km",
        largest=1000, n_decimals=1, strength=0.2, likeness=0.5,
        aside=Aside(gettext_noop("with low fuel consumption"), 0.9),
    ),
    Number(
        name="doors", label=gettext_noop("Doors"), kind="count", is_filtered=True, asked_up_to=9, is_asked_exactly=True,
    ),
    Number(
        name="seats", label=gettext_noop("Seats"), kind="count", is_filtered=True, asked_up_to=99,
        is_asked_exactly=True,
    ),
    Number(
        name="owner_count", label=gettext_noop("Previous owners"), kind="count", about="How many owners it has had.",
        exported_as="previous owners", answers_as="owner",
    ),
    Number(name="annual_tax", label=gettext_noop("Annual tax"), kind="money", exported_as="annual tax"),
    Number(
        name="first_registration", label=gettext_noop("First registration"), kind="month", is_filtered=True,
        is_asked_exactly=True,
        about="Year and month.", headings="first registration month", exported_as="first registration month",
    ),
    Category(
        name="condition", label=gettext_noop("Condition"), filter="conditions", strength=0.3, likeness=0.3,
        max_length=10,
        exported_as="new or used", is_on_card=True, is_in_search=False,
        choices=(
            Choice("new", gettext_noop("New"), gettext_noop("new cars")),
            Choice("used", gettext_noop("Used"), gettext_noop("used cars")),
            Choice("demo", gettext_noop("Ex-demo or pre-registered"), gettext_noop("ex-demonstrators")),
        ),
    ),
    Category(
        name="damage", label=gettext_noop("Damage"), filter="damages", strength=0.4, likeness=0.5, max_length=15,
        about="`none` where the seller says so; empty where nothing is said.",
        is_on_card=True, says_others=False, is_in_search=False,
        choices=(
            Choice("none", gettext_noop("Accident-free")),
            Choice("repaired", gettext_noop("Damage repaired")),
            Choice("damaged", gettext_noop("Damaged")),
            Choice("written_off", gettext_noop("Insurance write-off")),
        ),
    ),
    Moment(name="posted_at", label=gettext_noop("Posted"), about="When its source put the advertisement online."),
    Addresses(name="photos", label=gettext_noop("Photos"), about="Web addresses, the main photo first.", at_most=30),
    Text(
        name="manufacturer_colour", label=gettext_noop("Manufacturer's colour"), max_length=60,
        about="What the manufacturer calls the colour, as the seller writes it.",
    ),
    Category(
        name="vat", label=gettext_noop("VAT"), filter="vat_kinds", max_length=15,
        exported_as="vat in price",
        about="What is known of the value added tax in the price; empty where nothing is said.",
        says_others=False, is_in_search=False,
        choices=(
            Choice("included", gettext_noop("Included")),
            Choice("reclaimable", gettext_noop("Included, can be reclaimed")),
            Choice("margin", gettext_noop("Margin scheme, cannot be reclaimed")),
            Choice("added", gettext_noop("Added to a net price")),
            Choice("excluded", gettext_noop("Not included")),
        ),
    ),
)  # fmt: skip

BY_NAME: Mapping[str, AnyAttribute] = {attribute.name: attribute for attribute in ATTRIBUTES}
LONGEST_MONTH = 40  # characters of a text that is read as a month
CATEGORIES = tuple(attribute for attribute in ATTRIBUTES if isinstance(attribute, Category))
NUMBERS = tuple(attribute for attribute in ATTRIBUTES if isinstance(attribute, Number))
MOMENTS = tuple(attribute for attribute in ATTRIBUTES if isinstance(attribute, Moment))
TEXTS = tuple(attribute for attribute in ATTRIBUTES if isinstance(attribute, Text))
ADDRESSES = tuple(attribute for attribute in ATTRIBUTES if isinstance(attribute, Addresses))
RANGES = tuple(number for number in NUMBERS if number.is_filtered)
# As the encoder and the digests of its vectors have them: the categories that matter most first.
CATEGORY_FEATURES = tuple(sorted((each for each in CATEGORIES if each.strength), key=lambda each: -each.strength))
NUMBER_FEATURES = tuple(number for number in NUMBERS if number.strength)


# What makes a car cost less than its like: none of these is below the market.
DAMAGES_THAT_COST = ("repaired", "damaged", "written_off")


def columns_of(attributes: Iterable[Attribute]) -> tuple[str, ...]:
    return tuple(attribute.column for attribute in attributes)


def year_and_month(month: int) -> tuple[int, int]:
    """A stored month as its year and number: 201803 -> 2018, 3."""
    return divmod(month, 100)


def month_as_text(month: int) -> str:
    """A stored month as answers and exports have it: ``2018-03``."""
    return "{}-{:02d}".format(*year_and_month(month))


def is_month(value: int) -> bool:
    """Whether a number is a stored month of a car."""
    year, month = year_and_month(value)
    return 1885 <= year <= 2100 and 1 <= month <= 12


_WEB_ADDRESS = re.compile(
    r"https?://(?:[^\s/?#@,\"<>]+@)?(?:localhost|\[[0-9a-f:.]+\]|[\w-]+(?:\.[\w-]+)+)\.?(?::[0-9]{1,5})?"
    r"(?:[/?#][^\s\"<>\x00-\x1f\x7f]*)?",
    re.IGNORECASE,
)


def is_web_address(text: str) -> bool:
    """Whether a text is an address that a browser opens: of http or https, and nothing else."""
    return bool(_WEB_ADDRESS.fullmatch(text))


def declare(namespace: dict[str, Any], fields: Mapping[str, tuple[str, Any]]) -> None:
    """Add fields to the dataclass whose body calls it with its ``vars()``: name -> type, as it is written, and default.

    They stand where the call stands, as if they were written there.
    """
    namespace["__annotations__"].update({name: kind for name, (kind, _) in fields.items()})
    namespace.update({name: default for name, (_, default) in fields.items()})
