from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "telemetry.evidence"
    label = "evidence"
