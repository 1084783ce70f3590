"""The closed lists of what a span is and of what is noted about spans."""

from django.db import models


class SpanKind(models.TextChoices):
    INFERENCE = "inference", "Model call"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    TOOL = "tool"
    AGENT = "agent"
    OTHER = "other"


class NoteKind(models.TextChoices):
    """LEAK: kept; another tenant's prompt or namespace. The others: refused."""

    LEAK = "leak"
    FOREIGN = "foreign", "Says that it is of another tenant"
    MALFORMED = "malformed"
    OUT_OF_TIME = "out_of_time", "Too old, or of the future"
