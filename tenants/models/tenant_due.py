"""When a tenant next has something to expire: what tells the worker whom to visit, and whom not."""

from django.db import models


class TenantDue(models.Model):
    """A hint, never the truth: it may be too early or missing, and the tenant's own reservations decide.

    It names the tenant by its tag and refers to no row, so that noting it locks nothing but itself.
    """

    tag = models.TextField(primary_key=True)
    due_at = models.DateTimeField(
        help_text="The database's clock. While a visit is under way: when to try again should it never end."
    )
    claim = models.UUIDField(null=True, help_text="The visit under way; taken away by a note that comes meanwhile.")

    class Meta:
        db_table = "tenant_due"
        indexes = [models.Index(fields=["due_at"], name="tenant_due_at")]

    def __str__(self) -> str:
        return f"{self.tag} at {self.due_at}"
