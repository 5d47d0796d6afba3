from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TasksConfig(AppConfig):
    name = "tasks"

    def ready(self) -> None:
        from tasks.schedule import install_after_migration

        post_migrate.connect(install_after_migration, dispatch_uid="tasks.install_schedule")
