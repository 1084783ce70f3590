"""Links between the pages lead somewhere."""

import pytest

from tests.docs.pages import Page, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_relative_links_lead_to_files_and_headings(page: Page) -> None:
    dead = []
    for target in page.links():
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, heading = target.partition("#")
        path = page.path.parent / file if file else page.path
        is_alive = path.exists() and (not heading or heading in Page(path).anchors())
        if not is_alive:
            dead.append(target)

    assert dead == []
