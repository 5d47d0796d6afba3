"""Admin pages of the catalogue: listings, sellers, imports, feeds and the quality report."""

from catalog.admin import quality_cards, stock_cards
from catalog.admin.feeds import FeedAdmin
from catalog.admin.import_records import ImportProblemAdmin
from catalog.admin.imports import ImportRunAdmin
from catalog.admin.quality import QualityReportAdmin
from catalog.admin.stock import ListingAdmin, count_of

__all__ = [
    "FeedAdmin",
    "ImportProblemAdmin",
    "ImportRunAdmin",
    "ListingAdmin",
    "QualityReportAdmin",
    "count_of",
    "quality_cards",
    "stock_cards",
]
