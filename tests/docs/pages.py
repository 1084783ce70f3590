"""The project's pages in Markdown: their fenced blocks and their links.

A line `<!-- runs -->` before a block says that the block is run as it stands, `<!-- answer -->` that the block before
it answers so.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.plugins.servers import ROOT

_BLOCK: Final = re.compile(
    r"^(?:<!-- (?P<mark>[a-z ]+) -->\n)?```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_LINK: Final = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `mark` is `runs`, `answer` or empty."""

    mark: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    def blocks(self) -> list[Block]:
        return [Block(match["mark"] or "", match["language"], match["text"]) for match in _BLOCK.finditer(self.text)]

    def links(self) -> list[str]:
        """Where its links lead to, outside of fenced blocks."""
        return [match["target"] for match in _LINK.finditer(_BLOCK.sub("", self.text))]

    def anchors(self) -> set[str]:
        """What a link to a heading of this page may name."""
        titles = [match["title"].lower() for match in _HEADING.finditer(_BLOCK.sub("", self.text))]
        return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def pages() -> list[Page]:
    """Every page that is part of the project, or is about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Page(ROOT / name) for name in sorted(listed.stdout.splitlines()) if (ROOT / name).exists()]
