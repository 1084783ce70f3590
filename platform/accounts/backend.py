"""Who a session belongs to, and where they belong, in one query."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject

from accounts.models import Membership, User


class PeopleBackend(ModelBackend):
    """Passwords as Django has them. Whoever is read for a request brings their memberships along, read with them."""

    def get_user(self, user_id: Any) -> User | None:
        held = Membership.objects.filter(user=OuterRef("pk")).values(held=JSONObject(tag="tenant_tag", role="role"))
        user = User.objects.annotate(memberships_held=ArraySubquery(held)).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
