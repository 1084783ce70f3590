"""docs/production.md names every environment variable that is read, and no other."""

import re
from typing import Final

from tests.docs.pages import Page
from tests.plugins.servers import ROOT

PRODUCTION: Final = Page(ROOT / "docs" / "production.md")

# environ.get("API_PORT"), environ["API_PORT"], and flag(os.environ, "API_PORT"); not where one is set.
_READ: Final = re.compile(
    r"""environ(?:\.get\(|\[|, )["'](?P<name>[A-Z][A-Z0-9_]+)["'][,)\]](?!\s*=[^=])""",
)
_OF_COMPOSE: Final = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]+)")


def read_by_the_program() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "platform" / "config").rglob("*.py")]
    return {match["name"] for source in sources for match in _READ.finditer(source)}


def named_under(heading: str) -> set[str]:
    """The names in the first column of the table below `heading`."""
    section = PRODUCTION.text.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", section, re.MULTILINE))


def test_variables_of_the_program() -> None:
    assert named_under("### Read by the program") == read_by_the_program()


def test_variables_of_compose() -> None:
    compose = (ROOT / "compose.yaml").read_text()

    assert named_under("### Read by compose.yaml") == {match["name"] for match in _OF_COMPOSE.finditer(compose)}


def test_no_other_file_reads_the_environment() -> None:
    """Else the table would miss it."""
    elsewhere = [
        str(path.relative_to(ROOT))
        for folder in ("platform", "tenants", "budgets", "routing")
        for path in (ROOT / folder).rglob("*.py")
        if not path.is_relative_to(ROOT / "platform" / "config")
        and re.search(r"os\.(environ|getenv)", path.read_text())
    ]

    assert elsewhere == []
