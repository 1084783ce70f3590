"""That a tenant waits for an answer, in the shared schema: so that nobody has to look through all tenants for it."""

from django.db import models

from tenants.models.tenant import Tenant


class OpenRequest(models.Model):
    """One request for money that nobody has answered; the request itself is in the tenant's schema, under this id.

    Written and deleted in the transactions in which the request is made and answered.
    """

    id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="open_requests", db_constraint=False)
    scope_path = models.TextField()
    unit = models.TextField()
    amount = models.BigIntegerField()
    reason = models.TextField()
    asked_by = models.TextField()
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "open_request"
        indexes = [models.Index(fields=["asked_at", "id"], name="open_request_asked")]

    def __str__(self) -> str:
        return f"{self.scope_path} {self.amount} {self.unit}"
