"""Commands of django_tenants that would go past the books. Under their names stands a sentence instead."""

from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError


class RefusedCommand(BaseCommand):
    """Does nothing, whatever it is given, and says why and what to do instead."""

    refusal: ClassVar[str]
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # Without what follows the command's name, which an old habit or a script may have added.
        super().run_from_argv(argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(self.refusal)
