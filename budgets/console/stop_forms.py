"""What is asked before something is stopped: as little as can be, because it can be undone."""

from typing import Any, Final

from django import forms

from kernel.stops import Stop
from kernel.switches import SwitchLevel, SwitchMode

#: Why things are stopped, the most frequent first.
REASONS: Final = (
    "Runaway spend",
    "Misbehaving agent",
    "Suspected leaked key",
    "Asked for by the customer",
    "Maintenance",
)
MODES: Final = (
    (SwitchMode.STOP_NEW.value, "Stop new calls; running ones may settle"),
    (SwitchMode.CANCEL_HOLDS.value, "Stop and cancel holds"),
)
LEVEL_WORDS: Final = {
    SwitchLevel.PLATFORM: "The whole platform",
    SwitchLevel.TENANT: "The whole tenant",
    SwitchLevel.WORKSPACE: "Workspace",
    SwitchLevel.APP: "App",
    SwitchLevel.WORKFLOW: "Workflow",
    SwitchLevel.AGENT: "Agent",
    SwitchLevel.TOOLSET: "Toolset",
    SwitchLevel.TOOL: "Tool",
    SwitchLevel.KEY: "API key",
    SwitchLevel.MODEL: "Model",
    SwitchLevel.PROVIDER: "Provider",
}
PARTS_OF_A_TENANT: Final = tuple(
    level for level in SwitchLevel if level not in {SwitchLevel.PLATFORM, SwitchLevel.TENANT}
)
PARTS_OF_THE_PLATFORM: Final = (SwitchLevel.PLATFORM, SwitchLevel.MODEL, SwitchLevel.PROVIDER)
_REST_MAX: Final = 400


class StopForm(forms.Form):
    """Why and how; both have an answer already."""

    preset = forms.ChoiceField(label="Reason", choices=[(reason, reason) for reason in REASONS], initial=REASONS[0])
    more = forms.CharField(
        label="In your own words (optional)",
        max_length=_REST_MAX,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Every caller that is refused reads the reason.",
    )
    mode = forms.ChoiceField(label="How", choices=MODES, initial=SwitchMode.STOP_NEW.value)

    def stop(self, *, level: SwitchLevel, name: str = "") -> Stop:
        """What was asked for; after `is_valid`."""
        values: dict[str, Any] = self.cleaned_data
        reason = f"{values['preset']}: {values['more']}" if values["more"] else values["preset"]
        return Stop(level=level, name=name, mode=SwitchMode(values["mode"]), reason=reason)


class _PartForm(StopForm):
    level = forms.ChoiceField(label="What")
    name = forms.CharField(
        label="Which one",
        max_length=256,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    field_order = ("level", "name", "preset", "more", "mode")

    def stop_part(self) -> Stop:
        return self.stop(level=SwitchLevel(self.cleaned_data["level"]), name=self.cleaned_data["name"])


class TenantPartForm(_PartForm):
    """A part of one tenant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        level, name = self.fields["level"], self.fields["name"]
        level.choices = [(part.value, LEVEL_WORDS[part]) for part in PARTS_OF_A_TENANT]  # type: ignore[attr-defined]
        level.initial = SwitchLevel.AGENT.value
        name.required = True
        name.help_text = "The agent's name, the tool's, the model's like openai:gpt-5.6, or the id of the key."


class PlatformPartForm(_PartForm):
    """The platform, or a model or a provider in every tenant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        level, name = self.fields["level"], self.fields["name"]
        level.choices = [(part.value, LEVEL_WORDS[part]) for part in PARTS_OF_THE_PLATFORM]  # type: ignore[attr-defined]
        level.initial = SwitchLevel.PLATFORM.value
        name.help_text = "The model or the provider, like openai:gpt-5.6 or openai; empty for the platform."


def kept_reason(reason: str) -> tuple[str, str]:
    """A reason in the two fields of the form, to be sent again with another mode."""
    preset, _, more = reason.partition(": ")
    return (preset, more[:_REST_MAX]) if preset in REASONS else (REASONS[0], reason[:_REST_MAX])


class LiftForm(forms.Form):
    """What is to work again, and why if somebody wants to say it."""

    level = forms.ChoiceField(choices=SwitchLevel.choices, widget=forms.HiddenInput())
    name = forms.CharField(required=False, max_length=256, widget=forms.HiddenInput())
    reason = forms.CharField(
        label="Reason (optional)", max_length=512, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class ResumeForm(forms.Form):
    reason = forms.CharField(
        label="Reason (optional)", max_length=512, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
