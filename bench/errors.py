"""Why a run can end without a result, each as one plain sentence."""


class BenchRefused(Exception):
    """Nothing was measured, or not what the figures would say."""
