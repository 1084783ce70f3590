from django.apps import AppConfig


class FindingsConfig(AppConfig):
    name = "telemetry.findings"
    label = "findings"
