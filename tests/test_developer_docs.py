"""The pages for developers name files and functions that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ARCHITECTURE, CONTRIBUTING = "docs/architecture.md", "CONTRIBUTING.md"
PACKAGES = (
    "",
    "recommendations/",
    "recommendations/training/",
    "catalog/",
    "catalog/imports/",
    "catalog/imports/data/",
)
PATH = re.compile(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|toml|md))`")
ENDINGS = ("", ".py")  # a module may be named without its ending


@pytest.mark.parametrize("page", [ARCHITECTURE, CONTRIBUTING])
def test_every_path_that_a_page_for_developers_names_exists(page):
    named = set(PATH.findall((PROJECT / page).read_text()))
    assert named
    missing = [
        path for path in named if not any((PROJECT / f"{at}{path}{end}").exists() for at in PACKAGES for end in ENDINGS)
    ]
    assert not missing


def test_every_function_of_the_diagram_of_an_event_and_a_list_exists():
    text = (PROJECT / ARCHITECTURE).read_text()
    diagram = next(part for part in text.split("```") if part.startswith("mermaid\nsequenceDiagram"))
    package_of = dict(re.findall(r"participant (\w) as (?:recommendations/)?(\w+)", diagram))
    calls = [
        (package_of[to], *call)
        for to, step in re.findall(r"(?:->>|--\))(\w): (.+)", diagram)
        if to in package_of
        for call in re.findall(r"\b([a-z_]+)\.([a-z_]+)\b", step)
    ]
    assert len(calls) > 8
    for package, module, name in calls:
        assert hasattr(import_module(f"recommendations.{package}.{module}"), name), f"{package}/{module}.{name}"
