"""Why a start can be refused, each as one plain sentence."""


class StartRefused(Exception):
    """Nothing was left running; the message is meant for the person at the keyboard."""


class Interrupted(Exception):
    """Somebody asked to stop while things were still starting."""
