"""The pages of the packages we use, in the look of the others: beat's schedules and the results of jobs."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat.admin import ClockedScheduleAdmin as BaseClockedScheduleAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BaseCrontabScheduleAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BasePeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as BasePeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget as BaseTaskSelectWidget
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.admin import GroupResultAdmin as BaseGroupResultAdmin
from django_celery_results.admin import TaskResultAdmin as BaseTaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from recommender_site.admin_kit import NONE, ConsoleAdmin, ReadOnlyAdmin, ago, badge, span

admin.site.unregister(
    [PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule, TaskResult, GroupResult]
)

admin.site.index_title = "Dashboard"

RESULT_LABELS = {"SUCCESS": "success", "FAILURE": "danger", "RETRY": "warning", "STARTED": "info", "PENDING": ""}


class TaskSelectWidget(UnfoldAdminSelectWidget, BaseTaskSelectWidget):
    """Their list of registered tasks in our select."""


class PeriodicTaskForm(BasePeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:  # absent for those who may only look
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelectWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BasePeriodicTaskAdmin, ConsoleAdmin):
    form = PeriodicTaskForm
    list_display = ["name", "enabled", "timing", "last_run", "total_run_count", "task"]
    list_filter = [("enabled", BooleanRadioFilter), ("one_off", BooleanRadioFilter)]
    date_hierarchy = None
    ordering = ["name"]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The package offers its actions, running a task among them, to everybody who sees the list."""
        return super().get_actions(request) if self.has_change_permission(request) else {}

    @display(description="When")
    def timing(self, task: PeriodicTask) -> str:
        """``every 30 seconds``, or ``At 03:15 AM UTC``."""
        if task.crontab:
            return str(task.crontab.human_readable)
        return str(task.interval or task.solar or task.clocked or NONE)

    @display(description="Last run", ordering="last_run_at")
    def last_run(self, task: PeriodicTask) -> str:
        return ago(task.last_run_at) if task.last_run_at else "never"


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ConsoleAdmin):
    list_display = ["__str__", "every", "period"]


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BaseCrontabScheduleAdmin, ConsoleAdmin):
    inlines: list[Any] = []


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ConsoleAdmin):
    list_display = ["__str__", "event", "latitude", "longitude"]


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BaseClockedScheduleAdmin, ConsoleAdmin):
    inlines: list[Any] = []


@admin.register(TaskResult)
class TaskResultAdmin(BaseTaskResultAdmin, ReadOnlyAdmin):
    list_display = ["task_name", "status_badge", "started_by", "when", "took", "worker"]
    list_filter = [("status", ChoicesDropdownFilter), ("date_done", RangeDateTimeFilter)]
    date_hierarchy = None
    search_fields = ["task_id__exact", "task_name__istartswith"]
    search_help_text = "Task id, or the task's name from its beginning"

    @display(description="Status", ordering="status")
    def status_badge(self, result: TaskResult) -> SafeString:
        return badge(result.status.capitalize(), RESULT_LABELS.get(result.status))

    @display(description="Started by")
    def started_by(self, result: TaskResult) -> str:
        return result.periodic_task_name or "an event or a person"

    @display(description="Ended", ordering="date_done")
    def when(self, result: TaskResult) -> str:
        return ago(result.date_done)

    @display(description="Took")
    def took(self, result: TaskResult) -> str:
        return span(result.date_done - result.date_started) if result.date_done and result.date_started else NONE


@admin.register(GroupResult)
class GroupResultAdmin(BaseGroupResultAdmin, ReadOnlyAdmin):
    date_hierarchy = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in self.opts.local_fields]
