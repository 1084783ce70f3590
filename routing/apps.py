from django.apps import AppConfig

from kernel.actor import Actor
from kernel.ids import Tag


class RoutingConfig(AppConfig):
    name = "routing"
    label = "routing"

    def ready(self) -> None:
        # Services need the models, which are there only now.
        from budgets.services.rule_compiler import install  # noqa: PLC0415

        install(_publish)


def _publish(*, tag: Tag, actor: Actor) -> bool:
    # The compiler and its tokenizers are some 30 MB, which a process that compiles nothing need not have.
    from routing.services.rulesets import publish_ruleset  # noqa: PLC0415

    return publish_ruleset(tag=tag, actor=actor)
