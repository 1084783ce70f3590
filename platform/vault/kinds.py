"""Where a secret can live, who may point a reference there, and what was found when somebody looked."""

from typing import Final

from django.db import models


class BackEnd(models.TextChoices):
    """What resolves a reference. The first three are services of their own, the last two are this machine."""

    KV = "KV", "OpenBao or Vault, key-value"
    DYNAMIC = "DYNAMIC", "OpenBao or Vault, made for each lease"
    AWS = "AWS", "AWS Secrets Manager"
    FILE = "FILE", "Files of this machine"
    ENVIRONMENT = "ENVIRONMENT", "Environment of this machine"


class Health(models.TextChoices):
    """What the worker found when it last looked, without keeping what it saw."""

    UNKNOWN = "UNKNOWN", "Not checked yet"
    GOOD = "GOOD", "Reachable"
    NOT_SET_UP = "NOT_SET_UP", "Back end not set up"
    UNREACHABLE = "UNREACHABLE", "Back end not reachable"
    SEALED = "SEALED", "Back end sealed"
    FORBIDDEN = "FORBIDDEN", "Not allowed there"
    NOT_THERE = "NOT_THERE", "Nothing there"
    GARBAGE = "GARBAGE", "Answer not understood"
    EXPIRED = "EXPIRED", "Expired"


#: A tenant's own people bind these; what lies on the machine itself is for operators.
MEMBER_BACK_ENDS: Final = frozenset({BackEnd.KV, BackEnd.DYNAMIC, BackEnd.AWS})
OPERATOR_BACK_ENDS: Final = frozenset(BackEnd)
