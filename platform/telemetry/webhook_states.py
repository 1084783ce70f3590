"""The states of subscriptions and deliveries: the protocol's closed lists."""

from typing import Final

from django.db import models


class WebhookStatus(models.TextChoices):
    """PAUSED by somebody; DISABLED by the worker, because the receiver failed too often, or with its tenant."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    DISABLED = "DISABLED"


class DeliveryStatus(models.TextChoices):
    """FAILED is given up, the dead letters; a replay sends it again."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    RETRYING = "RETRYING"


#: What is still to be sent.
WAITING: Final = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)
