"""API keys in requests and answers of the management API."""

from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from accounts.keys.models import ApiKey, KeyStatus, Permission
from accounts.keys.services.keys import OVERLAP_DEFAULT, OVERLAP_MAX, PLATFORM_PERMISSIONS, TENANT_PERMISSIONS
from kernel.http.serialized import Fields, Integer, OneOf, ReasonFields, Text


class KeyFields(Fields):
    """A key, without anything that is secret or made from a secret."""

    key_id = serializers.CharField()
    name = serializers.CharField()
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=Permission.choices))
    scope_filter = serializers.ListField(
        child=serializers.CharField(), help_text="Scope paths that it is confined to; empty for none."
    )
    status = serializers.ChoiceField(choices=["ACTIVE", "EXPIRED", "REVOKED"])
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    previous_secret_expires_at = serializers.DateTimeField(
        allow_null=True, help_text="Until then the secret before the last rotation works too."
    )


class KeyListFields(Fields):
    keys = KeyFields(many=True)


class IssuedKeyFields(Fields):
    """A key with its token. It is shown this once."""

    key = KeyFields()
    token = serializers.CharField(help_text="Keep it now: it is stored nowhere and cannot be shown again.")


class NewPlatformKeyFields(ReasonFields):
    """What a platform key may do."""

    name = Text(max_length=256)
    permissions = serializers.ListField(
        child=OneOf(choices=sorted(PLATFORM_PERMISSIONS)), min_length=1, max_length=len(Permission)
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="A year from now when left out; null for never."
    )


class NewKeyFields(NewPlatformKeyFields):
    """What a tenant's key may do."""

    permissions = serializers.ListField(
        child=OneOf(choices=sorted(TENANT_PERMISSIONS)), min_length=1, max_length=len(Permission)
    )
    scope_filter = serializers.ListField(
        child=Text(max_length=1024),
        max_length=100,
        default=list,
        help_text="Scope paths that it is confined to, like tenant:acme/workspace:prod; none for the whole tenant.",
    )


class RotationFields(ReasonFields):
    """How long the secret before the rotation goes on working."""

    overlap_seconds = Integer(default=int(OVERLAP_DEFAULT.total_seconds()), max_value=int(OVERLAP_MAX.total_seconds()))

    @staticmethod
    def overlap(values: dict[str, Any]) -> timedelta:
        return timedelta(seconds=values["overlap_seconds"])


def key_facts(key: ApiKey, *, now: datetime) -> dict[str, Any]:
    """A key as `KeyFields` shows it."""
    is_expired = key.expires_at is not None and key.expires_at <= now
    return {
        "key_id": key.key_id,
        "name": key.name,
        "permissions": key.permissions,
        "scope_filter": key.scope_filter,
        "status": "EXPIRED" if is_expired and key.status == KeyStatus.ACTIVE else key.status,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "previous_secret_expires_at": key.previous_expires_at,
    }
