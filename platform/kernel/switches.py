"""Kill switches: what can be stopped, how, and the columns that every record of a stop has."""

from django.db import models

from kernel.ids import uuid7


class SwitchLevel(models.TextChoices):
    """What a kill switch stops. `platform` is the shared schema's alone; models and providers may stand in both."""

    PLATFORM = "platform"
    TENANT = "tenant"
    WORKSPACE = "workspace"
    APP = "app"
    WORKFLOW = "workflow"
    AGENT = "agent"
    TOOLSET = "toolset"
    TOOL = "tool"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"


class SwitchMode(models.TextChoices):
    """STOP_NEW lets running work settle; CANCEL_HOLDS also gives back what it holds."""

    STOP_NEW = "STOP_NEW"
    CANCEL_HOLDS = "CANCEL_HOLDS"


class Switch(models.Model):
    """An operator's stop, from `thrown_at` until it is lifted or ends. Lifted ones stay for the record."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    level = models.TextField(choices=SwitchLevel)
    name = models.TextField(blank=True, default="", help_text="Lower-cased; a tool's and a key's as they are.")
    mode = models.TextField(choices=SwitchMode, default=SwitchMode.STOP_NEW)
    reason = models.TextField()
    actor = models.TextField()
    thrown_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.TextField(blank=True, default="")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.level} {self.name}".rstrip()
