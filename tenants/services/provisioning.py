"""Making a tenant: its line in the directory, then its schema, in that order, each step safe to repeat.

The directory and the schema are written in transactions of their own (nothing writes `public` and a tenant's schema
together). A tenant whose
provisioning was cut off stays in status PROVISIONING and is completed by asking for it again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django.db import DatabaseError, DataError, IntegrityError, connections, transaction
from psycopg.errors import DuplicateSchema, UniqueViolation

from kernel.ids import Tag, mint_tag, schema_name, uuid7
from kernel.owner import acting_as_owner
from kernel.tenancy import CELL, in_public, schema_exists
from tenants.models import Domain, Plan, Tenant, TenantStatus
from tenants.services.roles import granted_to_tenant, make_role, open_schema
from tenants.services.template import read_template


class SlugTaken(Exception):
    """Another tenant has this slug."""


class UnknownTimeZone(Exception):
    """Not a name of the time zone database."""


class InvalidSlug(Exception):
    """A slug is 1 to 63 of `a-z 0-9 _ . -` and begins with a letter or digit: it is the first segment of every scope
    path.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """What is asked for. `domains` are host names, the first one the primary."""

    slug: str
    name: str
    time_zone: str = "UTC"
    plan: Plan | None = None
    domains: tuple[str, ...] = ()


def register_tenant(new: NewTenant, *, now: datetime) -> Tenant:
    """The tenant's line in the directory, in status PROVISIONING. Asked for again with the same details, the same line.

    Raises `InvalidSlug`, `UnknownTimeZone` or `SlugTaken`.
    """
    if new.time_zone not in available_timezones():
        raise UnknownTimeZone(new.time_zone)
    with in_public():
        _require_known_to_the_database(new.time_zone)
        try:
            with transaction.atomic():
                tenant = Tenant.objects.create(
                    id=uuid7(),
                    slug=new.slug,
                    name=new.name,
                    schema_name=schema_name(mint_tag()),
                    time_zone=new.time_zone,
                    plan=new.plan,
                    status=TenantStatus.PROVISIONING,
                    created_at=now,
                )
                for position, domain in enumerate(new.domains):
                    Domain.objects.create(tenant=tenant, domain=domain, is_primary=position == 0)
                return tenant
        except IntegrityError as error:
            if "tenant_slug_is_a_scope_name" in str(error):
                raise InvalidSlug(new.slug) from None
            unfinished: Tenant | None = Tenant.objects.filter(slug=new.slug, status=TenantStatus.PROVISIONING).first()
            if unfinished is None or (unfinished.name, unfinished.time_zone, unfinished.plan_id) != (
                new.name,
                new.time_zone,
                new.plan.pk if new.plan else None,
            ):
                raise SlugTaken(new.slug) from None
            return unfinished


def _require_known_to_the_database(time_zone: str) -> None:
    # Its time zone database may be older than ours, and it is the one that reckons periods.
    try:
        with transaction.atomic(), connections[CELL].cursor() as cursor:
            cursor.execute("SELECT now() AT TIME ZONE %s", [time_zone])
    except DataError:
        raise UnknownTimeZone(time_zone) from None


def create_schema(tag: Tag) -> None:
    """The tenant's schema with all its tables and functions, from the template, and its role, in one transaction.
    Nothing if it is there.
    """
    if schema_exists(tag):
        return
    name = schema_name(tag)
    with acting_as_owner():
        connection: Any = connections[CELL]  # django-tenants has no types
        connection.set_schema_to_public()
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # Two at once meet at the schema's name, and one of them goes no further.
                cursor.execute(f'CREATE SCHEMA "{name}"')
                cursor.execute(f'{make_role(name)} SET LOCAL search_path = "{name}"')
                cursor.execute(granted_to_tenant(read_template(), name))
                cursor.execute(open_schema(name))
        except DatabaseError as error:
            # Two at once: the second waited for the first to commit the same schema, and that one is complete.
            if not isinstance(error.__cause__, (DuplicateSchema, UniqueViolation)):
                raise


def set_directory_status(tag: Tag, status: str, *, closed_at: datetime | None = None) -> None:
    """Let the directory follow what the tenant's own schema says. Safe to repeat; a closed tenant stays closed there
    too.
    """
    with in_public():
        open_tenants = Tenant.objects.filter(schema_name=schema_name(tag)).exclude(status=TenantStatus.CLOSED)
        open_tenants.update(status=status, closed_at=closed_at)


def set_directory_stop(tag: Tag, *, stopped_at: datetime | None, ends_at: datetime | None) -> None:
    """Let the directory follow the tenant's own kill switch. Safe to repeat."""
    with in_public():
        Tenant.objects.filter(schema_name=schema_name(tag)).update(stopped_at=stopped_at, stop_ends_at=ends_at)


def set_directory_plan(tag: Tag, *, code: str, version: int) -> None:
    """Let the directory follow the tenant's own subscription. Safe to repeat."""
    with in_public():
        plan = Plan.objects.get(code=code, version=version)
        # A row that says so already is not written again: sweeps ask for every tenant.
        Tenant.objects.filter(schema_name=schema_name(tag)).exclude(plan=plan).update(plan=plan)
