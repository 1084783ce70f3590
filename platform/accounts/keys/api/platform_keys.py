"""Keys of the platform's operators, for those who hold one."""

from datetime import UTC, datetime

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.keys.api.fields import (
    IssuedKeyFields,
    KeyFields,
    KeyListFields,
    NewPlatformKeyFields,
    RotationFields,
    key_facts,
)
from accounts.keys.api.refusals import KEY_REFUSALS, require_covered
from accounts.keys.api.views import KeyedView, answer
from accounts.keys.selectors.keys import key_by_id, keys
from accounts.keys.services.keys import LIFETIME_DEFAULT, KeyNotFound, create_key, revoke_key, rotate_key
from kernel.http.described import described
from kernel.http.serialized import ReasonFields
from kernel.ids import PLATFORM_TAG
from kernel.tenancy import in_public

_TAG = "platform keys"


class PlatformKeys(KeyedView):
    refusals = KEY_REFUSALS

    @described(name="list_platform_keys", summary="All platform keys", tag=_TAG, answer=KeyListFields)
    def get(self, request: Request) -> Response:
        now = datetime.now(UTC)
        with in_public():
            found = [key_facts(key, now=now) for key in keys().order_by("created_at", "key_id")]
        return answer(KeyListFields, {"keys": found})

    @described(
        name="create_platform_key",
        summary="A new platform key, its token shown once",
        tag=_TAG,
        body=NewPlatformKeyFields,
        answer=IssuedKeyFields,
        status=201,
    )
    def post(self, request: Request) -> Response:
        values, now = self.body(NewPlatformKeyFields), datetime.now(UTC)
        require_covered(self.caller.key.permissions.issuperset(values["permissions"]))
        with in_public():
            issued = create_key(
                tag=PLATFORM_TAG,
                name=values["name"],
                permissions=values["permissions"],
                expires_at=values.get("expires_at", now + LIFETIME_DEFAULT),
                actor=self.actor(reason=values["reason"]),
                now=now,
            )
        return answer(IssuedKeyFields, {"key": key_facts(issued.key, now=now), "token": issued.token}, status=201)


class PlatformKeyRotate(KeyedView):
    refusals = KEY_REFUSALS

    @described(
        name="rotate_platform_key",
        summary="A new secret, shown once; the one before works on for a while",
        tag=_TAG,
        body=RotationFields,
        answer=IssuedKeyFields,
        refusals={404: "NOT_FOUND: no such key.", 409: "INVALID_REQUEST: the key is revoked."},
    )
    def post(self, request: Request, key_id: str) -> Response:
        values, now = self.body(RotationFields), datetime.now(UTC)
        with in_public():
            key = key_by_id(key_id)
            if key is None:
                raise KeyNotFound(key_id)
            require_covered(self.caller.key.permissions.issuperset(key.permissions))
            issued = rotate_key(
                tag=PLATFORM_TAG,
                key_id=key_id,
                overlap=RotationFields.overlap(values),
                actor=self.actor(reason=values["reason"]),
                now=now,
            )
        return answer(IssuedKeyFields, {"key": key_facts(issued.key, now=now), "token": issued.token})


class PlatformKeyRevoke(KeyedView):
    refusals = KEY_REFUSALS

    @described(
        name="revoke_platform_key",
        summary="The key, which is good for nothing from now on",
        tag=_TAG,
        body=ReasonFields,
        answer=KeyFields,
        refusals={404: "NOT_FOUND: no such key."},
    )
    def post(self, request: Request, key_id: str) -> Response:
        values, now = self.body(ReasonFields), datetime.now(UTC)
        with in_public():
            key = revoke_key(key_id=key_id, actor=self.actor(reason=values["reason"]), now=now)
        return answer(KeyFields, key_facts(key, now=now))
