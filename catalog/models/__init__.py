"""Cars for sale: makes, models, sellers, listings, and the imports they came with.

A module holds one subject; every model is imported here, where Django looks for it.
"""

from catalog.models.changes import ListingChange as ListingChange
from catalog.models.changes import ListingNews as ListingNews
from catalog.models.feeds import Feed as Feed
from catalog.models.imports import BadRow as BadRow
from catalog.models.imports import ImportedListing as ImportedListing
from catalog.models.imports import ImportedName as ImportedName
from catalog.models.imports import ImportMend as ImportMend
from catalog.models.imports import ImportProblem as ImportProblem
from catalog.models.imports import ImportRun as ImportRun
from catalog.models.imports import ImportUndo as ImportUndo
from catalog.models.imports import UploadedChunk as UploadedChunk
from catalog.models.imports import UploadedFile as UploadedFile
from catalog.models.listings import CarKey as CarKey
from catalog.models.listings import Listing as Listing
from catalog.models.listings import PriceChange as PriceChange
from catalog.models.makes import CarModel as CarModel
from catalog.models.makes import Make as Make
from catalog.models.quality import QualityReport as QualityReport
from catalog.models.sellers import Seller as Seller
from catalog.models.sellers import SellerKey as SellerKey
