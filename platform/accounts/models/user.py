"""A person who signs in to the console. One e-mail address, one person, in the shared schema."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from kernel.ids import uuid7


class OperatorRole(models.TextChoices):
    """What an operator may do on the platform's own pages; each role may do what the ones before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"


class UserManager(BaseUserManager["User"]):
    """Reads only: people are made by the services, which check what they are given."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=normal_email(username or ""))


class User(AbstractBaseUser):
    """`operator_role` is NULL for somebody who is no operator: for them the pages of operators do not exist."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True, max_length=254)
    operator_role = models.TextField(choices=OperatorRole, null=True)
    is_active = models.BooleanField(
        default=True, help_text="Somebody who left is deactivated: what they did stays named."
    )
    created_at = models.DateTimeField()

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        db_table = "user_account"
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower(F("email"))), name="user_email_is_lower_case"),
            models.CheckConstraint(
                condition=Q(operator_role=None) | Q(operator_role__in=OperatorRole.values),
                name="user_operator_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def is_operator(self) -> bool:
        return self.is_active and self.operator_role is not None


def normal_email(text: str) -> str:
    """The one spelling in which an address is stored and looked for."""
    return text.strip().lower()
