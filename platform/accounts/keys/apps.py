from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "accounts.keys"
    label = "keys"
