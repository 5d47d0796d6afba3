"""What a user has below ``/users/me``, of a client system's customer: below ``/buyers/{external_id}``.

The same views, serializers and rules. Only who it is about comes from the path.
"""

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.request import Request

from accounts.api.permissions import HasScope
from accounts.models import Buyer
from recommendations.api.alerts import (
    SEARCH_ID,
    AlertSettingsView,
    SavedSearchesView,
    SavedSearchInSerializer,
    SavedSearchSerializer,
    SavedSearchView,
)
from recommendations.api.buyers import BUYERS, PATH_ID, known, made
from recommendations.api.questionnaire import QuestionnaireView

NOT_ASKED = OpenApiParameter("buyer", exclude=True)  # the path says it
OF_THIS_BUYER = [PATH_ID, NOT_ASKED]
ONE_SEARCH = [PATH_ID, SEARCH_ID, NOT_ASKED]


class OfBuyer:
    """Of the buyer in the path: reading answers 404 for one of whom nothing is known, and adding makes them."""

    kwargs: dict[str, str]

    def known_buyer(self, request: Request) -> Buyer:
        return known(self.kwargs["external_id"])

    def buyer(self, request: Request) -> Buyer:
        return made(self.kwargs["external_id"])


@extend_schema_view(
    get=extend_schema(tags=BUYERS, operation_id="list_saved_searches_of_buyer", parameters=OF_THIS_BUYER),
    post=extend_schema(
        tags=BUYERS,
        operation_id="save_search_of_buyer",
        parameters=OF_THIS_BUYER,
        request=SavedSearchInSerializer,
        responses={
            201: SavedSearchSerializer,
            200: OpenApiResponse(SavedSearchSerializer, description="Saved before."),
        },
    ),
)
class SavedSearchesOfBuyerView(OfBuyer, SavedSearchesView):
    """The searches that a buyer saved."""

    permission_classes = [HasScope]
    parameters = {}


@extend_schema_view(
    get=extend_schema(tags=BUYERS, operation_id="get_saved_search_of_buyer", parameters=ONE_SEARCH),
    patch=extend_schema(tags=BUYERS, operation_id="change_saved_search_of_buyer", parameters=ONE_SEARCH),
    delete=extend_schema(tags=BUYERS, operation_id="remove_saved_search_of_buyer", parameters=ONE_SEARCH),
)
class SavedSearchOfBuyerView(OfBuyer, SavedSearchView):
    """One saved search of a buyer."""

    permission_classes = [HasScope]
    parameters = {}


@extend_schema_view(
    get=extend_schema(tags=BUYERS, operation_id="get_alert_settings_of_buyer", parameters=OF_THIS_BUYER),
    patch=extend_schema(tags=BUYERS, operation_id="change_alert_settings_of_buyer", parameters=OF_THIS_BUYER),
)
class AlertSettingsOfBuyerView(OfBuyer, AlertSettingsView):
    """Whether, how often and at which hours a buyer gets alerts."""

    permission_classes = [HasScope]
    parameters = {}


@extend_schema_view(
    get=extend_schema(
        tags=BUYERS,
        summary="Read a buyer's questionnaire",
        operation_id="get_answers_of_buyer",
        parameters=OF_THIS_BUYER,
    ),
    post=extend_schema(
        tags=BUYERS,
        summary="Answer the questionnaire for a buyer",
        operation_id="save_answers_of_buyer",
        parameters=OF_THIS_BUYER,
    ),
)
class QuestionnaireOfBuyerView(OfBuyer, QuestionnaireView):
    """What a buyer answered."""

    permission_classes = [HasScope]
    parameters = {}
