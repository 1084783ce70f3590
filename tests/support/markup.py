"""What stands in a page's HTML: its forms, and everything that the policy against code within would stop."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Form:
    method: str
    action: str | None
    has_token: bool = False


@dataclass(slots=True)
class Markup(HTMLParser):
    """Read with `markup_of`. `faults` are sentences about what no page of the console may hold."""

    forms: list[Form] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    _is_in_form: bool = False

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inspect(tag, given)
        if identity := given.get("id"):
            if identity in self.ids:
                self.faults.append(f"the id {identity!r} stands twice")
            self.ids.add(identity)
        if tag == "form":
            if self._is_in_form:
                self.faults.append("a form stands in a form")
            self._is_in_form = True
            self.forms.append(Form((given.get("method") or "get").lower(), given.get("action")))
        elif self._is_in_form and given.get("name") == "csrfmiddlewaretoken" and given.get("value"):
            self.forms[-1].has_token = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_in_form = False

    def _inspect(self, tag: str, given: dict[str, str | None]) -> None:
        if tag == "style":
            self.faults.append("<style> within the page")
        is_ours = (given.get("src") or "").startswith("/static/")
        if tag == "script" and not is_ours and given.get("type") != "application/json":
            self.faults.append("<script> without a file of our own")
        for name in given:
            if name == "style" or name.startswith(("on", "hx-on")):
                self.faults.append(f"<{tag} {name}>")
        asks = {name for name in given if name in {"hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete"}}
        if asks and tag == "a" and not given.get("href"):
            self.faults.append(f"<a {min(asks)}> leads nowhere without htmx")
        if asks and tag == "form" and given.get("action") is None:
            self.faults.append(f"<form {min(asks)}> goes nowhere without htmx")
        if tag == "a" and (given.get("href") or "").startswith("javascript:"):
            self.faults.append("a link with code in it")


def markup_of(html: str) -> Markup:
    """Read a page. Forms that no browser without scripts could send are among its faults."""
    markup = Markup()
    markup.feed(html)
    markup.close()
    for form in markup.forms:
        if form.method not in {"get", "post"}:
            markup.faults.append(f"a form by {form.method}, which no browser sends")
        if not form.action:
            markup.faults.append("a form without an action")
        if form.method == "post" and not form.has_token:
            markup.faults.append(f"the form to {form.action} has no token against forged requests")
    return markup
