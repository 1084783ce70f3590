"""What the pages tell people to type is typed here, and answers as the pages say."""

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.docs.answers import differences, masked
from tests.docs.conftest import Checkout
from tests.docs.pages import Block, Page, pages
from tests.plugins.servers import ROOT

_END: Final = "=== end of block ==="

RUNNING_PAGES: Final = [page for page in pages() if any(block.mark == "runs" for block in page.blocks())]


def outputs(page: Page, checkout: Checkout) -> list[str]:
    """What each block that runs has printed. They run in one shell, in order, as a reader's would."""
    commands = [block.text for block in page.blocks() if block.mark == "runs"]
    script = "".join(f"{command}\necho\necho '{_END}'\n" for command in commands)
    run = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=checkout.folder,
        env=checkout.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run.stdout.split(_END)[:-1]


def require_answer(shown: Block, printed: str) -> None:
    if shown.language == "json":
        assert differences(json.loads(shown.text), json.loads(printed.strip().splitlines()[-1])) == []
    else:
        for line in shown.text.strip().splitlines():
            assert masked(line) in masked(printed)


@pytest.mark.parametrize("page", RUNNING_PAGES, ids=lambda page: page.name)
def test_commands_work_and_answer_as_shown(page: Page, checkout: Checkout) -> None:
    printed = iter(outputs(page, checkout))

    output = ""
    unexpected = []
    for block in page.blocks():
        if block.mark == "runs":
            output = next(printed)
            if '"error":' in output:
                unexpected.append(output)
        elif block.mark == "answer":
            require_answer(block, output)
            unexpected = [other for other in unexpected if other is not output]

    assert unexpected == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_python_on_a_page_is_part_of_an_example(page: Page) -> None:
    examples = [path.read_text() for path in Path(ROOT / "examples").glob("*.py")]

    for block in page.blocks():
        if block.language == "python":
            assert any(block.text in example for example in examples), block.text


@pytest.mark.parametrize("path", sorted(Path(ROOT / "examples").glob("*.[ps][yh]")), ids=lambda path: path.name)
def test_every_example_is_run_by_a_page(path: Path) -> None:
    run = [block.text for page in RUNNING_PAGES for block in page.blocks() if block.mark == "runs"]

    assert any(f"examples/{path.name}" in command for command in run)
