"""Whether a tenant's books were proven to add up, and when: one row for each thing that is proven, the last time."""

from django.db import models

from tenants.models.tenant import Tenant


class VerifiedPart(models.TextChoices):
    """What is proven by itself."""

    LEDGER = "ledger"
    ROLLUPS = "rollups"
    SEALS = "seals"


class Verification(models.Model):
    """The last proof of one part. It names the tenant by its tag and locks nothing but itself."""

    tag = models.TextField()
    part = models.TextField(choices=VerifiedPart)
    pk = models.CompositePrimaryKey("tag", "part")
    # No constraint in the database: the note must lock nothing but itself.
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="verifications", db_constraint=False)
    at = models.DateTimeField()
    took_ms = models.BigIntegerField()
    read = models.BigIntegerField(help_text="Rows that the proof went through.")
    differences = models.BigIntegerField()
    first_difference = models.TextField(blank=True, default="")

    class Meta:
        db_table = "verification"

    def __str__(self) -> str:
        return f"{self.tag} {self.part} {self.at}: {self.differences}"
