"""Addresses of platform keys, below `/api/v1/`."""

from django.urls import path

from accounts.keys.api.platform_keys import PlatformKeyRevoke, PlatformKeyRotate, PlatformKeys

urlpatterns = [
    path("platform-keys", PlatformKeys.as_view(), name="platform_keys"),
    path("platform-keys/<slug:key_id>/rotate", PlatformKeyRotate.as_view(), name="platform_key_rotate"),
    path("platform-keys/<slug:key_id>/revoke", PlatformKeyRevoke.as_view(), name="platform_key_revoke"),
]
