from django.apps import AppConfig


class NextReleaseConfig(AppConfig):
    name = "bench.next_release"
    label = "bench_next_release"
