"""What runs by itself: in plain words, with its last and its next run, a button to run it now, and a switch."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from typing import Any

from celery import current_app
from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat.admin import ClockedScheduleAdmin as BaseClockedScheduleAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BaseCrontabScheduleAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BasePeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as BasePeriodicTaskForm
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from console.auditing import record
from console.formats import NBSP, NONE, ago, badge, span, stamp
from console.pages import ConsoleAdmin, ConsoleChangeList, column, dialog, go_to
from jobs.outcomes import outcomes_of
from jobs.queue import enqueue_named
from jobs.wording import ArgumentsLost, arguments_in_words, as_python, known_task, registered, sentence_of

admin.site.unregister([PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule])

# Their own name of it is the moment as the database writes it, on every page that names one.
ClockedSchedule.add_to_class("__str__", lambda schedule: stamp(schedule.clocked_time))

admin.site.index_title = "Dashboard"

HELP = {
    "name": "As the list of schedules shows it.",
    "enabled": "Off: it runs by hand alone.",
    "description": "What it is for; empty: as the task itself says.",
    "interval": "One of the four says when; leave the others empty.",
    "crontab": "",
    "solar": "",
    "clocked": "Once, at that time.",
    "start_time": "It does not run before.",
    "one_off": "Switched off after its next run.",
    "expires": "A run that no worker took by then is left out.",
    "expire_seconds": "A run that no worker took for so long is left out.",
    "queue": "Empty: the queue of its kind of task.",
}
NO_BROKER = "The broker did not take it: is it running? Nothing was started; try again in a moment."


class PeriodicTaskForm(BasePeriodicTaskForm):
    """Refuses a schedule that could never run, beside the field that is wrong, rather than at three in the morning."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:  # absent for those who may only look
            widget = UnfoldAdminSelectWidget(choices=tasks_to_choose_from(self.instance.task))
            self.fields["task"] = forms.CharField(label="What it does", widget=widget)
        for name, text in HELP.items():
            if name in self.fields:
                self.fields[name].help_text = text

    def clean(self) -> dict[str, Any]:
        """A task that is chosen anew is given nothing; what another one is given was for that one."""
        data: dict[str, Any] = self.cleaned_data
        if "task" not in data:  # which is said beside the field, and which the form below takes for granted
            return data
        data = super().clean()
        name = data.get("task")
        if name and name != self.instance.task:
            self.instance.args, self.instance.kwargs = "[]", "{}"
        if name and registered(name) is None:
            self.add_error("task", f"There is no task “{name}” in this release; choose one of those that there are.")
        elif name and (problem := call_problem(name, self.instance)):
            self.add_error("task", problem)
        return data


def tasks_to_choose_from(current: str) -> list[tuple[str, str]]:
    """Tasks of ours that may run by a schedule, and the one that this schedule has."""
    names = {name for name in current_app.tasks if may_be_scheduled(name)}
    by_sentence = sorted((sentence_of(name), name) for name in names | {current or ""} if name)
    return [("", ""), *((name, sentence) for sentence, name in by_sentence)]


def may_be_scheduled(name: str) -> bool:
    """Whether a task of ours needs to be given nothing, and is not one that only other work of the site asks for."""
    task = known_task(name)
    return task is not None and getattr(task, "runs_by_schedule", True) and not call_problem(name, PeriodicTask())


def call_problem(name: str, schedule: PeriodicTask) -> str:
    """Why a task cannot be called with what a schedule gives it; empty when it can."""
    try:
        args, kwargs = as_python(schedule.args, ()), as_python(schedule.kwargs, {})
        task = registered(name)
        if task is not None:
            inspect.signature(task.run).bind(*args, **kwargs)
    except (TypeError, ArgumentsLost) as error:
        return f"“{sentence_of(name)}” cannot be called like this: {error}."
    return ""


class ScheduleList(ConsoleChangeList):
    """Brings the outcomes of all rows, in one question to the cache."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        outcomes = outcomes_of(task.name for task in self.result_list)
        for task in self.result_list:
            task.outcome = outcomes.get(task.name)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BasePeriodicTaskAdmin, ConsoleAdmin):
    form = PeriodicTaskForm
    list_display = ["what", "switch", "timing", "last_run", "ended", "next_run", column("total_run_count", "Runs")]
    list_filter = [("enabled", BooleanRadioFilter), ("one_off", BooleanRadioFilter)]
    date_hierarchy = None
    search_help_text = "Words of the schedule's or the task's name"
    ordering = ["name"]
    actions = ["switch_on", "switch_off"]
    actions_row = ["run_now"]
    actions_detail = ["run_now", "switch_over"]
    readonly_fields = ["last_run_at", "crontab_translation", "given"]
    fieldsets = [
        (None, {"fields": ["name", "task", "given", "enabled", "description"]}),
        (
            "When",
            {
                "fields": [
                    ("interval", "crontab"), "crontab_translation", ("solar", "clocked"), ("start_time", "last_run_at"),
                    "one_off",
                ]
            },
        ),
        ("Runs that come too late", {"classes": ["collapse"], "fields": ["expires", "expire_seconds", "queue"]}),
    ]  # fmt: skip

    @display(description="Arguments")
    def given(self, task: PeriodicTask) -> str:
        """What a schedule of an operator's own program gives its task; those of ours need nothing."""
        return arguments_in_words(task.task, task.args, task.kwargs) or "none"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return ScheduleList

    def get_actions(self, request: HttpRequest) -> Any:
        """Theirs say less, and know no broker that is away."""
        theirs = ("enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks")
        return {name: each for name, each in super().get_actions(request).items() if name not in theirs}

    # --- What is shown -----------------------------------------------------------------------------------------------
    @display(description="What it does", header=True, ordering="name")
    def what(self, task: PeriodicTask) -> list[str]:
        return [task.name, task.description or f"{sentence_of(task.task)}."]

    @display(description="Switch", ordering="enabled")
    def switch(self, task: PeriodicTask) -> SafeString:
        if registered(task.task) is None:
            return badge("Broken", "danger")
        return badge("On", "success") if task.enabled else badge("Off")

    @display(description="When")
    def timing(self, task: PeriodicTask) -> str:
        """``every 30 seconds``, or ``At 03:15 UTC``."""
        if task.crontab:
            return in_words(task.crontab)
        return str(task.interval or task.solar or task.clocked or NONE)

    @display(description="Last run", ordering="last_run_at")
    def last_run(self, task: PeriodicTask) -> str:
        """By beat or by hand."""
        outcome = getattr(task, "outcome", None)
        moments = [moment for moment in (task.last_run_at, outcome and outcome.ended_at) if moment]
        return ago(max(moments)) if moments else "never"

    @display(description="How it ended")
    def ended(self, task: PeriodicTask) -> str | SafeString:
        if registered(task.task) is None:
            return f"This release has no task “{task.task}”: switch it off or choose another."
        outcome = getattr(task, "outcome", None)
        if outcome is None:
            return "not known" if task.last_run_at else NONE
        if outcome.is_success:
            return format_html("{} in {}", badge("Done", "success"), seconds(outcome.seconds))
        return format_html("{} {}", badge("Failed", "danger"), outcome.error)

    @display(description="Next run")
    def next_run(self, task: PeriodicTask) -> str:
        if not task.enabled or registered(task.task) is None:
            return NONE
        left = time_left(task)
        if left is None:
            return "at its time"
        return "now" if left <= timedelta(seconds=1) else f"in{NBSP}{span(left)}"

    # --- Buttons -----------------------------------------------------------------------------------------------------
    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        switch_schedules(request, queryset, is_on=True)

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        switch_schedules(request, queryset, is_on=False)

    @action(
        description="Switch on or off",
        url_path="switch",
        icon="toggle_on",
        permissions=["change"],
        dialog=dialog(
            "Switch this schedule",
            "What is on goes off and the other way round. A run that is under way goes on.",
            "Switch",
        ),
    )
    def switch_over(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        task = PeriodicTask.objects.get(pk=object_id)
        switch_schedules(request, PeriodicTask.objects.filter(pk=object_id), is_on=not task.enabled)
        return go_to(reverse("admin:django_celery_beat_periodictask_change", args=[object_id]))

    @action(
        description="Run now",
        url_path="run-now",
        icon="play_arrow",
        permissions=["change"],
        dialog=dialog(
            "Run this now",
            "A worker takes it as soon as one is free, beside the runs of the schedule. All of our "
            "tasks may run twice without harm.",
            "Run",
        ),
    )
    def run_now(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        task = PeriodicTask.objects.get(pk=object_id)
        if problem := run_problem(task):
            messages.error(request, problem)
        else:
            record(by=request.user, action="run now", target=task)
            messages.success(request, f"“{task.name}” was handed to the queue.")
        return go_to(reverse("admin:django_celery_beat_periodictask_changelist"))


def run_problem(task: PeriodicTask) -> str:
    """Hand a schedule's task to the queue, as beat would; why it was not, or nothing."""
    job = registered(task.task)
    if job is None:
        return f"This release has no task “{task.task}”: choose another on the page of the schedule."
    args, kwargs = as_python(task.args, ()), as_python(task.kwargs, {})
    taken = enqueue_named(job.name, args, kwargs, queue=task.queue, headers={"periodic_task_name": task.name})
    return "" if taken else NO_BROKER


def switch_schedules(request: HttpRequest, schedules: QuerySet[PeriodicTask], *, is_on: bool) -> None:
    """Turn schedules on or off, inform beat and the audit log; one whose task does not exist cannot be turned on."""
    others = schedules.exclude(enabled=is_on)
    broken = [task for task in others if is_on and registered(task.task) is None]
    switched = [task for task in others if task not in broken]
    with transaction.atomic():
        for task in switched:
            task.enabled = is_on
            task.save(update_fields=["enabled", "date_changed"])
            record(
                by=request.user, action="switched", target=task, before={"enabled": not is_on}, after={"enabled": is_on}
            )
        PeriodicTasks.update_changed()
    if switched:
        messages.success(request, f"Switched {'on' if is_on else 'off'}: {', '.join(task.name for task in switched)}.")
    if broken:
        names = ", ".join(task.name for task in broken)
        messages.warning(request, f"Not switched on, because this release does not know their tasks: {names}.")
    if not switched and not broken:
        messages.info(request, f"Nothing to do: they were {'on' if is_on else 'off'} already.")


def time_left(task: PeriodicTask) -> timedelta | None:
    """Until the next run; None where only beat knows, as of a clocked or solar schedule."""
    if not (task.interval or task.crontab):
        return None
    remaining: timedelta = task.schedule.remaining_estimate(task.last_run_at or task.date_changed)
    return max(remaining, timedelta())


def seconds(value: float) -> str:
    return f"{value:.1f}{NBSP}s" if value < 60 else span(timedelta(seconds=value))


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ConsoleAdmin):
    list_display = ["__str__", "every", "period"]


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BaseCrontabScheduleAdmin, ConsoleAdmin):
    inlines: list[Any] = []
    list_display = ["__str__", "words"]

    @display(description="In words")
    def words(self, crontab: CrontabSchedule) -> str:
        return in_words(crontab)


def in_words(crontab: CrontabSchedule) -> str:
    """``At 15:04 UTC``: their words, on the clock of 24 hours that the rest of the console has."""

    def on_24_hours(found: re.Match[str]) -> str:
        hour = int(found["hour"]) % 12 + (12 if found["half"] == "PM" else 0)
        return f"{hour:02}:{found['minute']}"

    return re.sub(r"\b(?P<hour>\d\d?):(?P<minute>\d\d) (?P<half>[AP]M)\b", on_24_hours, crontab.human_readable)


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ConsoleAdmin):
    list_display = ["__str__", "event", "latitude", "longitude"]


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BaseClockedScheduleAdmin, ConsoleAdmin):
    inlines: list[Any] = []
