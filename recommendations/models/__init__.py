"""What happened, what was learned from it, and what was shown.

``Interaction`` is the log and the truth; ``RankerVersion``, ``ListingVector`` and ``Preference`` can be rebuilt from
it and the catalogue at any time. A module holds one subject; every model is imported here, where Django looks for it.
"""

from recommendations.models.alerts import AlertMessage as AlertMessage
from recommendations.models.alerts import AlertSettings as AlertSettings
from recommendations.models.alerts import CarAlert as CarAlert
from recommendations.models.bots import BotMark as BotMark
from recommendations.models.buyers import BuyerSeller as BuyerSeller
from recommendations.models.buyers import SavedSearch as SavedSearch
from recommendations.models.buyers import ShownAgain as ShownAgain
from recommendations.models.demand import DemandDay as DemandDay
from recommendations.models.evaluations import Evaluation as Evaluation
from recommendations.models.evaluations import EvaluationFigure as EvaluationFigure
from recommendations.models.evaluations import WeightTrial as WeightTrial
from recommendations.models.events import Attribution as Attribution
from recommendations.models.events import EventKey as EventKey
from recommendations.models.events import EventKind as EventKind
from recommendations.models.events import Interaction as Interaction
from recommendations.models.experiments import Experiment as Experiment
from recommendations.models.exposure import CountedDay as CountedDay
from recommendations.models.exposure import SellerDay as SellerDay
from recommendations.models.feed import FeedFit as FeedFit
from recommendations.models.feed import FeedJudgement as FeedJudgement
from recommendations.models.impressions import Impression as Impression
from recommendations.models.lists import Placement as Placement
from recommendations.models.lists import ServedList as ServedList
from recommendations.models.merchandising import MerchandisingChange as MerchandisingChange
from recommendations.models.merchandising import MerchandisingRule as MerchandisingRule
from recommendations.models.rankers import RankerArtifact as RankerArtifact
from recommendations.models.rankers import RankerVersion as RankerVersion
from recommendations.models.rankers import TrainingRun as TrainingRun
from recommendations.models.simulation import SeedRun as SeedRun
from recommendations.models.simulation import SimulatedTaste as SimulatedTaste
from recommendations.models.vectors import SIMILAR_DIMENSIONS as SIMILAR_DIMENSIONS
from recommendations.models.vectors import VECTOR_DIMENSIONS as VECTOR_DIMENSIONS
from recommendations.models.vectors import ListingVector as ListingVector
from recommendations.models.vectors import Preference as Preference
from recommendations.models.vectors import TasteMap as TasteMap
from recommendations.models.waiting import WaitingEvent as WaitingEvent
