"""Refusals of the catalogue, in words fit to show a person."""

from collections.abc import Sequence


class CatalogRefusal(Exception):
    """Something the catalogue will not do; ``str()`` says what and why."""


class ListingNotReady(CatalogRefusal):
    """A listing lacks what a buyer must know before it can go on sale; ``missing`` names the fields."""

    def __init__(self, message: str, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(message)


class StatusRefused(CatalogRefusal):
    """A step that does not lead on from the listing's present status."""

    def __init__(self, message: str, status: str, step: str) -> None:
        self.status, self.step = status, step
        super().__init__(message)


class PriceRefused(CatalogRefusal):
    """A price no car can have."""


class MassDisappearance(CatalogRefusal):
    """A complete set that would take much of the stock off the market."""


class ImportRefused(CatalogRefusal):
    """An import that cannot begin, or cannot go on."""


class FileRefused(ImportRefused):
    """A file that cannot be opened or is not a table of text."""


class HeaderRefused(ImportRefused):
    """Headings that name no car, or a mapping that does not fit the file."""


class SourceUnnamed(ImportRefused):
    """A delivery of which nothing lasting says whose it is; ``example`` is a name that it may have, or ''."""

    def __init__(self, file_name: str, example: str) -> None:
        self.example = example
        self.reason = f"“{file_name}” may be called otherwise tomorrow, and its cars would be there twice"
        super().__init__(f"{self.reason}: say whose listings these are, with --source {example or 'NAME'}.")


class SourceBusy(ImportRefused):
    """Another import of the same source is under way."""


class UndoRefused(CatalogRefusal):
    """An import that cannot be taken back, or not any more."""


class MendRefused(ImportRefused):
    """Rows of an import that cannot be read again, or a meaning that cannot be taught."""


class FeedRefused(ImportRefused):
    """A feed that is not known, or has nothing to be run now."""


class AbsenceDecided(CatalogRefusal):
    """A decision about missing listings that is not asked for any more."""
