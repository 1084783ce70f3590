"""Papers as PDF: headings, facts and tables, in a font that is brought along. What tenants typed is text there."""

import unicodedata
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection, XPos, YPos
from fpdf.fonts import FontFace

from kernel.pages.paper import Paper, PaperTable

_FONT: Final = "DejaVu"
_FILES: Final = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
#: Stands where the font has no such letter, or where there is none to see.
_NO_LETTER: Final = "\N{REPLACEMENT CHARACTER}"
_SOFT: Final = (84, 97, 112)
_SHADE: Final = (238, 242, 246)
_LINE: Final = (221, 227, 233)


class _Sheet(FPDF):
    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self.foot_title = title
        folder = resources.files("kernel.pages").joinpath("fonts", "dejavu")
        for style, name in _FILES.items():
            with resources.as_file(folder.joinpath(name)) as path:
                self.add_font(_FONT, style, path)
        self.set_auto_page_break(auto=True, margin=18)
        # No sign stands for the number of pages: a tenant could have typed it.
        self.str_alias_nb_pages = ""

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font(_FONT, size=7)
        self.set_text_color(*_SOFT)
        self.cell(0, 5, f"{self.foot_title} · page {self.page_no()}", align="C")

    def letters(self, style: str) -> Any:
        """The code points that the font has."""
        return self.fonts[_FONT.lower() + style].cmap  # type: ignore[union-attr]  # it is a TrueType font


def pdf_of(paper: Paper) -> bytes:
    """The file. The same paper is always the same file."""
    sheet = _Sheet("")
    sheet.foot_title = shown(paper.title, letters=sheet.letters(""))
    sheet.set_title(sheet.foot_title)
    sheet.set_creation_date(paper.made_at)
    sheet.add_page()
    sheet.set_font(_FONT, "B", 16)
    sheet.multi_cell(0, 8, shown(paper.title, letters=sheet.letters("B")), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.ln(2)
    _facts(sheet, paper.facts)
    for table in paper.tables:
        _table(sheet, table)
    sheet.ln(4)
    for note in paper.notes:
        _small(sheet, note)
    return bytes(sheet.output())


def shown(text: str, *, letters: Any) -> str:
    """Text as it is printed: what runs from right to left in its order, signs that would change the order as a mark."""
    seen = "".join(_seen(sign, letters) for sign in text)
    if any(unicodedata.bidirectional(sign) in {"R", "AL"} for sign in seen):
        return BidiParagraph(seen, base_direction=TextDirection.LTR).get_reordered_string()
    return seen


def _seen(sign: str, letters: Any) -> str:
    if sign.isspace():
        return " "
    if unicodedata.category(sign) in {"Cc", "Cf", "Co", "Cs", "Cn"}:
        return _NO_LETTER
    return sign if ord(sign) in letters else _NO_LETTER


def _facts(sheet: _Sheet, facts: Sequence[tuple[str, str]]) -> None:
    for name, words in facts:
        sheet.set_font(_FONT, size=9)
        sheet.set_text_color(*_SOFT)
        sheet.cell(38, 5.5, shown(name, letters=sheet.letters("")))
        sheet.set_text_color(0)
        sheet.multi_cell(0, 5.5, shown(words, letters=sheet.letters("")), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(sheet: _Sheet, table: PaperTable) -> None:
    sheet.ln(5)
    sheet.set_font(_FONT, "B", 11)
    sheet.multi_cell(0, 7, shown(table.title, letters=sheet.letters("B")), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.set_font(_FONT, size=8)
    sheet.set_draw_color(*_LINE)
    aligns = ["LEFT" if place < table.numbers_from else "RIGHT" for place in range(len(table.heads))]
    bold = FontFace(emphasis="B")
    with sheet.table(
        col_widths=tuple(table.widths),
        text_align=tuple(aligns),
        borders_layout="HORIZONTAL_LINES",
        line_height=5,
        padding=0.6,
        headings_style=FontFace(emphasis="B", fill_color=_SHADE),
    ) as drawn:
        drawn.row([shown(head, letters=sheet.letters("B")) for head in table.heads])
        for number, row in enumerate(table.rows, start=1):
            is_total = table.last_is_total and number == len(table.rows)
            letters = sheet.letters("B" if is_total else "")
            drawn.row([shown(text, letters=letters) for text in row], style=bold if is_total else None)
    if table.note:
        _small(sheet, table.note)


def _small(sheet: _Sheet, text: str) -> None:
    sheet.set_font(_FONT, size=7.5)
    sheet.set_text_color(*_SOFT)
    sheet.multi_cell(0, 4.5, shown(text, letters=sheet.letters("")), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    sheet.set_text_color(0)
