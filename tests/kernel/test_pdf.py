"""Papers: any text can be printed, in its order, and none of it is a command."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.pages.paper import Paper, PaperTable
from kernel.pages.pdf import pdf_of, shown

LETTERS = set(range(0x20, 0x7F)) | {0x20B9, *range(0x5D0, 0x5EB)}
MARK = "\N{REPLACEMENT CHARACTER}"


def paper(text: str) -> Paper:
    table = PaperTable(
        title=text, heads=(text, "Charged"), rows=[(text, "₹1.00")], widths=(2, 1), numbers_from=1, last_is_total=True
    )
    made_at = datetime(2026, 11, 22, tzinfo=UTC)
    return Paper(title=text, facts=[("Tenant", text)], tables=[table], notes=[text], made_at=made_at)


class TestShown:
    @pytest.mark.parametrize(
        ("text", "printed"),
        [
            ("plain", "plain"),
            ("₹1", "₹1"),
            ("a\tb\nc", "a b c"),
            ("a\N{RIGHT-TO-LEFT OVERRIDE}b\N{ZERO WIDTH SPACE}\x00", f"a{MARK}b{MARK}{MARK}"),
            ("字", MARK),
            ("שלום", "םולש"),
            # A number behind a word that runs from right to left stands to its left.
            ("run שלום 12", "run 12 םולש"),
        ],
    )
    def test_is_text_in_the_order_in_which_it_is_read(self, text: str, printed: str) -> None:
        assert shown(text, letters=LETTERS) == printed

    @given(st.text())
    def test_has_only_letters_that_the_font_has(self, text: str) -> None:
        assert {ord(sign) for sign in shown(text, letters=LETTERS)} <= LETTERS | {ord(MARK)}


class TestPdf:
    @settings(max_examples=10, deadline=None, derandomize=True)
    @given(st.text(min_size=1, max_size=256))
    def test_can_be_made_of_any_text(self, text: str) -> None:
        assert pdf_of(paper(text)).startswith(b"%PDF-")

    @pytest.mark.parametrize("text", ["{nb}", "**bold**", "<b>", "=1+1", "x" * 256, "字" * 256, "שלום 😀", " "])
    def test_takes_nothing_for_a_command(self, text: str) -> None:
        assert pdf_of(paper(text)) == pdf_of(paper(text))

    def test_goes_on_over_as_many_pages_as_it_needs(self) -> None:
        rows = [(f"workspace {number}", "$1.00") for number in range(300)]
        table = PaperTable(title="Long", heads=("Workspace", "Charged"), rows=rows, widths=(2, 1), numbers_from=1)
        long = Paper(title="Long", facts=[], tables=[table], notes=[], made_at=datetime(2026, 11, 22, tzinfo=UTC))

        assert pdf_of(long).count(b"/Type /Page\n") > 3
