from django.apps import AppConfig


class RoutingConfig(AppConfig):
    name = "routing"
    label = "routing"

    def ready(self) -> None:
        # Services need the models, which are there only now.
        from budgets.services.rule_compiler import install  # noqa: PLC0415
        from routing.services.rulesets import publish_ruleset  # noqa: PLC0415

        install(publish_ruleset)
