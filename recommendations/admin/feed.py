"""Admin pages of the feed: its last fit, and the verdict on it."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from console.auditing import record
from console.formats import NONE, badge
from console.pages import ReadOnlyAdmin, column, dialog, go_to
from recommendations.admin.gate_drawing import verdict_drawn
from recommendations.feed.judging import overrule_judgement
from recommendations.models import FeedFit, FeedJudgement


@admin.register(FeedFit)
class FeedFitAdmin(ReadOnlyAdmin):
    """The last fit; a single row without its arrays."""

    list_display = ["number", "fitted_at", "seconds", column("n_shown", "Items shown"), column("n_actions", "Actions")]
    fields = ["number", "fitted_at", "seconds", "n_shown", "n_actions"]


@admin.register(FeedJudgement)
class FeedJudgementAdmin(ReadOnlyAdmin):
    """The last verdict, a single row, and the model that is served after it."""

    empty_help = "What the feed learns is judged every few minutes; its verdict stands here."
    list_display = ["judged_at", "verdict_badge", "served", "kept_until"]
    fields = ["judged_at", "served", "kept_until", "reason", "drawn"]
    actions_detail = ["serve_what_was_learned"]

    def has_overrule_permission(self, request: HttpRequest, object_id: str = "") -> bool:
        return request.user.has_perm("recommendations.change_feedjudgement")

    @display(description="Verdict")
    def verdict_badge(self, judgement: FeedJudgement) -> SafeString:
        if "passed" not in judgement.verdict:  # overruled
            return badge("None yet", "info")
        return badge("Passed", "success") if judgement.verdict["passed"] else badge("Not passed", "danger")

    @display(description="Served")
    def served(self, judgement: FeedJudgement) -> SafeString:
        if judgement.is_holding:
            return badge("The kept fit, what was learned since is worse", "danger")
        return badge("What is learned, as it is learned", "success")

    @display(description="Verdict")
    def reason(self, judgement: FeedJudgement) -> str:
        return judgement.verdict.get("reason") or NONE

    @display(description="Figures")
    def drawn(self, judgement: FeedJudgement) -> str | SafeString:
        figures = judgement.verdict.get("figures")
        return verdict_drawn(figures, "What is learned", "Kept fit") if figures else NONE

    @action(
        description="Serve what was learned",
        url_path="serve-what-was-learned",
        icon="publish",
        permissions=["overrule"],
        dialog=dialog(
            "Serve what the feed has learned",
            "The feed serves its newest fit despite the verdict. The next judgement keeps that fit; later fits are "
            "compared with it, and it is served again if they are worse.",
            "Serve it",
            BaseDialogForm,
        ),
    )
    def serve_what_was_learned(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        judgement = get_object_or_404(FeedJudgement, pk=object_id)
        overrule_judgement()
        record(by=request.user, action="changed", target=judgement, note="What the feed learned is served again")
        messages.success(request, "The feed serves what it learns.")
        return go_to(reverse("admin:recommendations_feedjudgement_changelist"))
