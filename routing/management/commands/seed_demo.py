"""``manage.py seed_demo``: the demo's plans, prices, tenants, keys and sign-in, and a day of traffic."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.keys.tokens import parse_token
from accounts.services.local_sign_in import ensure_operator, ensure_owner
from budgets.selectors.audit import audit
from budgets.services.demo.access import (
    ADMIN_PERMISSIONS,
    OPERATOR_PERMISSIONS,
    RUNTIME_PERMISSIONS,
    ensure_key,
    read_file,
    write_file,
)
from budgets.services.demo.cast import OPERATOR_EMAIL, TENANTS, DemoTenant
from budgets.services.demo.play import NotPlayable, play_day, was_played
from budgets.services.demo.references import ensure_references
from budgets.services.demo.stage import ACTOR, ensure_tenant, is_in_business
from budgets.services.plan_seeding import ensure_plans
from budgets.services.visits import visit_books
from kernel.ids import PLATFORM_TAG, Tag
from kernel.tenancy import in_public, in_tenant
from routing.services.catalogue_prices import ensure_catalogue_prices

FILE_NAME = "demo.env"


class Command(BaseCommand):
    help = (
        "Make the demo's plans, prices, tenants, keys and sign-in where they are missing, and play a day of traffic,"
        " once a day. Writes the keys to demo.env in the var folder."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seed", type=int, default=1, help="The same seed makes the same traffic.")
        parser.add_argument("--without-traffic", action="store_true", help="Tenants, keys and sign-in only.")

    def handle(self, *args: Any, seed: int, without_traffic: bool, **options: Any) -> None:
        now = datetime.now(UTC)
        path = settings.VAR_DIR / FILE_NAME
        ensure_plans(actor=ACTOR, now=now)
        ensure_catalogue_prices(actor=ACTOR, now=now)
        tags = {tenant.slug: ensure_tenant(tenant, now=now) for tenant in TENANTS}
        for tenant in TENANTS:
            ensure_references(tenant, tag=tags[tenant.slug], folder=settings.CREDENTIALS.folder, now=now)
        values = self._access(path, tags, now=now)
        self.stdout.write(f"Keys and sign-in: {path}")
        for tenant in () if without_traffic else TENANTS:
            self._play(
                tenant, tag=tags[tenant.slug], token=values[f"{tenant.slug.upper()}_API_KEY"], seed=seed, now=now
            )
        # As the worker would in a moment: the first page that is opened has something to show.
        for tag in tags.values():
            visit_books(tag=tag, has_time=lambda: True)

    def _access(self, path: Path, tags: dict[str, Tag], *, now: datetime) -> dict[str, str]:
        known = read_file(path)
        values = dict(_tenant_keys(known, tags, now=now))
        with in_public():
            values["PLATFORM_API_KEY"] = ensure_key(
                known.get("PLATFORM_API_KEY", ""),
                tag=PLATFORM_TAG,
                name="Demo: operator",
                permissions=OPERATOR_PERMISSIONS,
                now=now,
            )
        operator = ensure_operator(email=OPERATOR_EMAIL, password=known.get("OPERATOR_PASSWORD", ""), now=now)
        values["OPERATOR_EMAIL"], values["OPERATOR_PASSWORD"] = operator.email, operator.password
        for tenant in TENANTS:
            name = tenant.slug.upper()
            values[f"{name}_OWNER_EMAIL"] = tenant.owner_email
            values[f"{name}_OWNER_PASSWORD"] = ensure_owner(
                tag=tags[tenant.slug],
                email=tenant.owner_email,
                password=known.get(f"{name}_OWNER_PASSWORD", ""),
                actor=ACTOR,
                now=now,
            )
        values["API_URL"] = f"http://127.0.0.1:{settings.API_PORT}"
        values["CONSOLE_URL"] = settings.CONSOLE_URL
        write_file(path, values)
        return values

    def _play(self, tenant: DemoTenant, *, tag: Tag, token: str, seed: int, now: datetime) -> None:
        day = now.astimezone(ZoneInfo(tenant.time_zone)).strftime("%Y%m%d")
        with in_tenant(tag):
            if not is_in_business():
                self.stdout.write(f"{tenant.slug}: not in business, so no traffic.")
                return
        if was_played(tag, seed=seed, day=day):
            self.stdout.write(f"{tenant.slug}: today's traffic is in the books already.")
            return
        key = parse_token(token)
        assert key is not None
        begun = perf_counter()
        try:
            played = play_day(tenant, tag=tag, key=key, seed=seed, day=day)
        except NotPlayable as error:
            raise CommandError(f"The traffic of {tenant.slug} cannot be played: {error}.") from None
        if differences := audit(tag):
            raise CommandError(f"The books of {tenant.slug} do not add up: {differences[0]}")
        answers = ", ".join(f"{count:,} {name}" for name, count in sorted(played.answers.items()))
        self.stdout.write(
            f"{tenant.slug}: {played.operations:,} operations in {perf_counter() - begun:.1f} s ({answers},"
            f" {played.expired} expired); the books add up."
        )


def _tenant_keys(known: dict[str, str], tags: dict[str, Tag], *, now: datetime) -> Iterator[tuple[str, str]]:
    for suffix, name, permissions in (
        ("API_KEY", "Demo: runtime", RUNTIME_PERMISSIONS),
        ("ADMIN_KEY", "Demo: tenant admin", ADMIN_PERMISSIONS),
    ):
        for slug, tag in tags.items():
            variable = f"{slug.upper()}_{suffix}"
            with in_tenant(tag):
                yield (
                    variable,
                    ensure_key(known.get(variable, ""), tag=tag, name=name, permissions=permissions, now=now),
                )
