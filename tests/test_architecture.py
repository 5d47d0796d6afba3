"""Rules that hold across files. Import directions are import-linter's; what it cannot see is here."""

import ast
import inspect
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.management import call_command

from jobs.admin.base import JobAdmin
from jobs.work import job_models
from recommender_site.celery import app
from recommender_site.local import processes
from tasks import schedule

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = [
    "recommender_site",
    "accounts",
    "catalog",
    "console",
    "jobs",
    "recommendations",
    "shop",
    "tasks",
    "web",
    "webhooks",
]


ENQUEUE = {"enqueue", "enqueue_on_commit", "enqueue_once_on_commit", "taken_up"}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in (PROJECT / package).rglob("*.py")]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def task_decorators(path: Path) -> list[ast.expr]:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    decorators = [decorator for function in functions for decorator in function.decorator_list]
    return [decorator for decorator in decorators if "shared_task" in ast.unparse(decorator)]


def our_tasks() -> dict[str, str]:
    """The module of every registered task of ours, by its name."""
    app.loader.import_default_modules()
    return {name: task.__module__ for name, task in app.tasks.items() if task.__module__.partition(".")[0] in PACKAGES}


@pytest.mark.parametrize("path", [path for path in modules() if task_decorators(path)], ids=dotted)
def test_a_module_with_tasks_is_imported_by_celery_and_names_each_task(path):
    assert dotted(path) in settings.CELERY_IMPORTS
    for decorator in task_decorators(path):
        assert isinstance(decorator, ast.Call), "a task without a name moves with its file, and orphans queued work"
        assert "name" in [keyword.arg for keyword in decorator.keywords]


def test_every_module_that_celery_imports_holds_tasks():
    assert set(our_tasks().values()) == set(settings.CELERY_IMPORTS)


def test_every_task_in_the_timetable_exists():
    assert {entry.task for entry in schedule.TIMETABLE} <= set(our_tasks())


def test_every_queue_that_tasks_are_routed_to_has_a_worker():
    routed = {app.amqp.router.route({}, name)["queue"].name for name in our_tasks()}
    commands = (processes.worker_command(), processes.importer_command(), processes.trainer_command())
    consumed = {queue for command in commands for queue in queues(command)}
    assert sum(len(queues(command)) for command in commands) == len(consumed), "two workers take from one queue"
    assert routed <= consumed == set(settings.QUEUES)


def enqueued_by_name() -> list[tuple[str, ast.Call]]:
    """Every call that hands work to the queue by a name that is written out, and where it is."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                "enqueue",
                "enqueue_on_commit",
            ):
                found.append((dotted(path), node))
    return found


@pytest.mark.parametrize(
    ("location", "call"), enqueued_by_name(), ids=lambda each: each if isinstance(each, str) else str(each.lineno)
)
def test_what_is_enqueued_by_name_is_a_task_with_those_arguments(location, call):
    our_tasks()
    name, *args = call.args
    if not isinstance(name, ast.Constant):  # handed through: the name stands as an attribute, tested below
        assert location == "jobs.work" or ast.unparse(name).endswith(".TASK")
        return
    inspect.signature(app.tasks[name.value].run).bind(*args)


@pytest.mark.parametrize("model", job_models(), ids=lambda model: model._meta.label)
def test_every_kind_of_job_has_a_page_and_a_task_that_takes_the_key_of_its_row(model):
    our_tasks()
    inspect.signature(app.tasks[model.TASK].run).bind(1)
    assert isinstance(admin.site._registry[model], JobAdmin)


def queues(command: list[str]) -> list[str]:
    return command[command.index("--queues") + 1].split(",")


def test_long_work_never_waits_in_the_queue_of_the_loop():
    for name in our_tasks():
        if any(kind in name for kind in ("retrain", "seed_", "evaluate", "draw_map", "try_weights")):
            assert app.amqp.router.route({}, name)["queue"].name == settings.LONG_QUEUE


@pytest.mark.parametrize("model", job_models(), ids=lambda model: model._meta.label)
def test_no_kind_of_job_is_worked_off_by_the_worker_of_the_loop(model):
    assert app.amqp.router.route({}, model.TASK)["queue"].name not in queues(processes.worker_command())


def test_files_and_feeds_never_wait_behind_a_training():
    files = [
        name for name in our_tasks() if name.startswith("catalog.import_") or "feed" in name.partition("catalog.")[2]
    ]
    assert "catalog.import_file" in files
    for name in files:
        assert queues(processes.importer_command()) == [app.amqp.router.route({}, name)["queue"].name]
    assert not set(queues(processes.importer_command())) & set(queues(processes.trainer_command()))


@pytest.mark.parametrize("name", sorted(our_tasks()))
def test_every_task_has_a_time_limit_and_is_asked_to_stop_before_it_is_killed(name):
    task = app.tasks[name]
    soft = task.soft_time_limit or app.conf.task_soft_time_limit
    hard = task.time_limit or app.conf.task_time_limit
    assert 0 < soft < hard <= 6900


def test_a_process_of_a_worker_gives_its_memory_back():
    for command in (processes.worker_command(), processes.importer_command(), processes.trainer_command()):
        assert {"--max-memory-per-child", "--max-tasks-per-child"} & set(command)


@pytest.mark.parametrize("path", list((PROJECT / "recommendations" / "engine").rglob("*.py")), ids=dotted)
def test_the_engine_asks_neither_framework_nor_clock(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert not imported & {"django", "celery", "redis", "time", "random"}


LONGEST_FUNCTION = 40  # lines, without its docstring


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    n_lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return n_lines
    return n_lines - (first.end_lineno - first.lineno + 1)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_function_is_short_enough_to_be_read_at_once(package):
    too_long = [
        f"{dotted(path)}.{node.name}: {lines_without_docstring(node)} lines"
        for path in (PROJECT / package).rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_without_docstring(node) > LONGEST_FUNCTION
    ]
    assert not too_long


@pytest.mark.parametrize("path", [path for path in modules() if path.name == "__init__.py"], ids=dotted)
def test_a_package_says_what_belongs_there_and_leaves_code_to_its_modules(path):
    for node in ast.parse(path.read_text()).body:
        is_list_of_names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) or is_list_of_names


@pytest.mark.django_db
def test_models_and_migrations_agree():
    ours = [config.label for config in apps.get_app_configs() if config.name.partition(".")[0] in PACKAGES]
    call_command("makemigrations", *ours, check=True, dry_run=True)


def test_system_checks_have_nothing_to_say():
    call_command("check", fail_level="WARNING")
