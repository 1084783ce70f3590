"""The base of every background task that works for one tenant.

The tenant is opened inside the call and nowhere else: a message that names none, or one that is gone, must fail and
must never run in the shared schema instead.
"""

from typing import Any

from celery import Task
from django.db import connections

from kernel.ids import PLATFORM_TAG, Tag, parse_tag
from kernel.logs.context import in_task
from kernel.tenancy import CELL, in_public, in_tenant, schema_exists


class TagMissing(Exception):
    """The message names no tenant."""


class TagMalformed(Exception):
    """What the message names is no tenant's tag."""


class TenantGone(Exception):
    """The tenant's schema is not there."""


class TenantTask(Task[Any, Any]):
    """A task with a keyword argument `tag`; its body runs in that tenant's schema.

    Raises `TagMissing`, `TagMalformed` or `TenantGone`, each before the body begins. Messages are JSON, so `tag` is
    plain text.
    """

    abstract = True
    serializer = "json"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tag = _tag_of(kwargs)
        try:
            with in_public():
                if not schema_exists(tag):
                    raise TenantGone(tag)
            with in_tenant(tag), in_task(self.name, tag=tag):
                return super().__call__(*args, **kwargs)
        finally:
            # A worker's next task may be nobody's in particular.
            connections[CELL].set_schema_to_public()  # type: ignore[attr-defined]  # of django-tenants' back end


def _tag_of(kwargs: dict[str, Any]) -> Tag:
    text = kwargs.get("tag")
    if text is None:
        raise TagMissing
    tag = parse_tag(text) if isinstance(text, str) else None
    if tag is None or tag == PLATFORM_TAG:
        raise TagMalformed
    return tag
