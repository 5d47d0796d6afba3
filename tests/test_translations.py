"""German is complete for what callers of the API and visitors of the shop read."""

import ast
import io
import string
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from django.utils import translation

from catalog.imports.vocabulary import COLOUR
from catalog.models import Listing, Seller
from catalog.services import MISSING_FOR_SALE, REFUSED_STEPS, STATUSES, step_refused
from recommendations.engine import reasons
from recommendations.engine.reason import Kind, Money, Reason
from recommendations.engine.reasons import CATEGORIES
from recommendations.serving import wording
from recommendations.serving.evidence import STRENGTH
from recommendations.serving.wording import sentence

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = [
    "recommender_site",
    "tasks",
    "shop",
    "recommendations",
    "catalog",
    "accounts",
    "webhooks",
    "jobs",
    "console",
    "web",
]
LOCALE = PROJECT / "locale"
EAGER = {"_", "gettext", "pgettext", "ngettext"}
MARKS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}
VALUES = {
    "make": ["Skoda", "Audi"],
    "model": ["Skoda Octavia", "Audi A4"],
    "body": [value for value in Listing.Body.values if value != "other"],
    "fuel": [*(value for value in Listing.Fuel.values if value != "other"), "steam"],
    "gearbox": [*Listing.Gearbox.values, "twin"],
    "drive": [*Listing.Drive.values, "middle"],
    "condition": [*Listing.Condition.values],
    "damage": [],  # no reason speaks of it
    "vat": [],
    "colour": [*sorted(set(COLOUR.values)), "mint_green"],
    "seller": Seller.Kind.values,
}
BUDGETS = [None, Money(12_500.0, "GBP"), Money(12_500.0, "EUR"), Money(8_400.0, "CHF"), Money(130.0)]


def every_reason() -> list[Reason]:
    """Of each kind, with each value of each field that it may name, and each budget; and each aside beside one."""
    of_values = [
        Reason(kind, field, value) for kind in wording.OF_CARS for field in CATEGORIES for value in VALUES[field]
    ]
    plain = [Reason(kind) for kind in wording.STATEMENTS]
    of_budget = [Reason(kind, budget=budget) for kind in wording.WITH_BUDGET for budget in BUDGETS if budget]
    of_tags = [Reason(kind, tags=tags) for kind in wording.OF_TAGS for tags in [("crime",), ("crime", "drama")]]
    with_asides = [Reason(Kind.MATCH, asides=(aside,)) for aside in reasons.ASIDES]
    return [*plain, *of_values, *of_budget, *of_tags, *with_asides, Reason(Kind.MATCH, asides=reasons.ASIDES[:3])]


def in_language(language: str, reason: Reason) -> str:
    with translation.override(language):
        return sentence(reason)


@pytest.fixture(scope="module")
def german() -> Catalog:
    with (LOCALE / "de" / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale="de")


def marked() -> set[tuple[str, str | None]]:
    """Every text that code and templates mark, with its context."""
    methods = [("**.py", "python"), ("**.html", "web.template_texts:extract")]
    return {
        (text, context)
        for package in (*PACKAGES, "templates")
        for _, _, text, _, context in extract_from_dir(PROJECT / package, methods, keywords=MARKS)
    }


def placeholders(text: str) -> set[str]:
    percent = {part.partition(")")[0] for part in text.split("%(")[1:]}
    return percent if percent else {name for _, name, _, _ in string.Formatter().parse(text) if name}


def forms(text: Any) -> tuple[str, ...]:
    """One text, or those of one and of several."""
    return (text,) if isinstance(text, str) else tuple(text)


# --- The catalogue ---------------------------------------------------------------------------------------------------


def test_every_marked_text_has_german_and_nothing_else_has(german):
    known = {(forms(message.id), message.context) for message in german if message.id}
    assert known == {(forms(text), context) for text, context in marked()}
    assert not [message.id for message in german if message.id and (not all(forms(message.string)) or message.fuzzy)]
    assert not german.obsolete


def test_a_translation_has_the_placeholders_of_its_text(german):
    for message in german:
        for text, translated in zip(forms(message.id), forms(message.string), strict=True):
            if '{"' not in text:
                assert placeholders(translated) == placeholders(text), text


def test_the_compiled_catalogue_is_that_of_the_texts(german):
    compiled = io.BytesIO()
    write_mo(compiled, german)
    with (LOCALE / "de" / "LC_MESSAGES" / "django.mo").open("rb") as file:
        stored = read_mo(file)
    again = read_mo(io.BytesIO(compiled.getvalue()))
    texts = [
        {(forms(message.id), message.context): forms(message.string) for message in each if message.id}
        for each in (stored, again)
    ]
    assert texts[0] == texts[1]


# --- Reasons ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_reason_has_words():
    worded = {*wording.STATEMENTS, *wording.WITH_BUDGET, *wording.OF_CARS, *wording.OF_TAGS}
    assert worded == set(Kind)
    assert set(wording.OF_NAME) == set(wording.OF_CARS)
    assert set(STRENGTH) < set(wording.OF_CARS)
    assert set(wording.ASIDES) == set(reasons.ASIDES)


def test_every_value_of_a_field_has_a_phrase_of_its_own():
    assert set(wording.CARS["body"]) == {*Listing.Body.values} - {"other"}
    assert set(wording.CARS["seller"]) == set(reasons.SELLERS) == set(Seller.Kind.values)
    assert set(wording.CARS["fuel"]) == {*Listing.Fuel.values} - {"other"}
    assert set(wording.CARS["gearbox"]) == set(Listing.Gearbox.values)
    assert set(wording.CARS["drive"]) == set(Listing.Drive.values)
    assert set(wording.CARS["colour"]) == set(COLOUR.values)


@pytest.mark.parametrize("reason", every_reason(), ids=str)
def test_every_reason_is_said_in_german(reason):
    english, german = in_language("en-gb", reason), in_language("de", reason)
    assert german != english
    assert german.endswith(".")
    assert "%(" not in german
    assert not {"Because", "with", "your", "cars", "those", "and"} & set(german.replace(",", "").split())


@pytest.mark.parametrize(
    ("reason", "german"),
    [
        (Reason(Kind.OPENED, "body", "estate"), "Weil Sie Kombis geöffnet haben."),
        (Reason(Kind.CONTACTED, "fuel", "diesel"), "Weil Sie Autos mit Dieselmotor angefragt haben."),
        (Reason(Kind.SEARCHED, "colour", "red"), "Weil Sie rote Autos gesucht haben."),
        (Reason(Kind.SET, "model", "Audi A4"), "Audi A4: wie von Ihnen angegeben."),
        (Reason(Kind.WITHIN_BUDGET, budget=Money(12_500, "EUR")), "Innerhalb Ihres Budgets von 12.500\u00a0€."),
        (Reason(Kind.OPENED, "make", "Skoda", asides=("mileage", "distance")),
         "Skoda: wie Autos, die Sie geöffnet haben, mit geringer Laufleistung, in Ihrer Nähe."),
    ],
)  # fmt: skip
def test_german_reasons_read_as_german(reason, german):
    assert in_language("de", reason) == german


# --- Errors ----------------------------------------------------------------------------------------------------------


def calls_of(tree: ast.AST, names: set[str]) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name_of(node) in names]


def _name_of(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


API_MODULES = sorted(
    [path for app in ("accounts", "catalog", "recommendations") for path in (PROJECT / app / "api").glob("*.py")]
    + [PROJECT / name for name in ("web/errors.py", "web/parsers.py", "web/strict.py", "accounts/exceptions.py",
                                   "accounts/services.py", "recommendations/events/recording.py",
                                   "recommendations/events/repeats.py", "recommendations/events/validation.py",
                                   "catalog/services.py", "recommendations/serving/inference.py")]
)  # fmt: skip
MARKING = {"_", "gettext", "gettext_lazy", "gettext_noop", "pgettext_lazy"}
DESCRIBING = {  # calls whose texts describe the API, in English, or go to the log
    "extend_schema", "OpenApiParameter", "OpenApiExample", "OpenApiResponse", "_array", "info", "error", "exception",
    "warning", "get_context", "execute", "compile", "ValueError", "PolymorphicProxySerializer",
}  # fmt: skip
DESCRIBED_IN = {"help_text", "description", "summary"}
NOT_SHOWN = (  # keys of what is shown, Django's words, and a text that describes
    "marked as sold", "make or title", "matches the given query.", "How many cars.",
)  # fmt: skip


def unmarked_texts(path: Path) -> list[str]:
    """String literals for people (they have a space between words) outside of what marks or describes."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Call) and _name_of(node) in MARKING | DESCRIBING:
            return
        if isinstance(node, ast.keyword) and node.arg in DESCRIBED_IN:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_constant(node):
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_for_people(node.value):
            found.append(node.value)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def _is_constant(node: ast.Assign | ast.AnnAssign) -> bool:
    """What describes the shape of bodies, by a name in capitals; messages by such a name are marked all the same."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return bool(names) and all(name.isupper() for name in names) and "MESSAGE" not in names[0]


def is_for_people(text: str) -> bool:
    words = text.split()
    return len(words) > 1 and any(word.isalpha() and word.islower() for word in words) and text not in NOT_SHOWN


@pytest.mark.parametrize("path", API_MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_message_of_the_api_is_left_unmarked(path):
    assert not unmarked_texts(path)


def test_what_looks_for_unmarked_messages_finds_them(tmp_path):
    module = tmp_path / "views.py"
    module.write_text('def f(n):\n    raise ValidationError({"a": [f"At most {n} are taken."]})\n')
    assert unmarked_texts(module) == ["At most ", " are taken."]


@pytest.mark.parametrize("path", [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")], ids=str)
def test_nothing_is_translated_while_a_module_is_imported(path):
    """It would stay in the language of the first request."""
    source = path.read_text()
    if "utils.translation" not in source:
        return
    is_lazy = "gettext_lazy as _" in source
    tree = ast.parse(source)
    inside = {id(call) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.Lambda)
              for call in calls_of(function, EAGER)}  # fmt: skip
    eager = EAGER - {"_"} if is_lazy else EAGER
    assert not [ast.unparse(call) for call in calls_of(tree, eager) if id(call) not in inside]


@pytest.mark.parametrize("step", REFUSED_STEPS)
@pytest.mark.parametrize("status", Listing.Status.values)
def test_every_refused_step_has_both_languages(status, step):
    assert set(STATUSES) == set(Listing.Status)
    assert str(step_refused(status, step)) == f"A listing that is {status} cannot be {step}."
    with translation.override("de"):
        assert str(step_refused(status, step)).startswith("Ein Inserat mit dem Status „")


@pytest.mark.parametrize("missing", MISSING_FOR_SALE, ids=str)
def test_what_a_listing_lacks_is_said_in_both_languages(missing):
    assert str(MISSING_FOR_SALE[missing]) == f"The listing cannot go on sale without {' and '.join(missing)}."
    with translation.override("de"):
        assert str(MISSING_FOR_SALE[missing]).endswith("kann das Inserat nicht veröffentlicht werden.")
