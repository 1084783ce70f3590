"""Files of lists: what a tenant has named is never a formula, numbers stay numbers, nothing piles up in memory."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.pages import parquet
from kernel.pages.exports import (
    ROWS_AT_ONCE,
    Column,
    FileFormat,
    Kind,
    cell,
    csv_response,
    csv_text,
    file_response,
)

SIGNS = ["=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "⁺", "⁼", "\N{MINUS SIGN}"]
BLANKS = ["", " ", "   ", "\t", "\r", "\n", "\r\n", "\N{NO-BREAK SPACE}", "\N{IDEOGRAPHIC SPACE}", "\N{EM SPACE}"]
NOTHINGS = ["\ufeff", "\u200b", "\u200e", "\u202e", "\u2066", "\x01", "\x7f", "\N{COMBINING GRAVE ACCENT}", "\u2028"]
AT = datetime(2026, 11, 22, 3, 4, 5, 678_000, tzinfo=UTC)


class TestCell:
    @pytest.mark.parametrize("before", [*BLANKS, *NOTHINGS, " \t\u200b "])
    @pytest.mark.parametrize("sign", SIGNS)
    def test_is_text_where_it_begins_like_a_formula(self, before: str, sign: str) -> None:
        text = f"{before}{sign}1+cmd|'/C calc'!A0"

        assert cell(text) == f"'{text}"

    @pytest.mark.parametrize("text", ["\t", "\r", "\n", "\tname", "\rname", "\nname"])
    def test_may_not_begin_with_a_tab_or_a_break(self, text: str) -> None:
        assert cell(text) in {f"'{text}", text}
        assert str(cell(text[:1])).startswith("'")

    @pytest.mark.parametrize("text", ["", " ", "a=b", "tenant:acme/agent:a-b", "1-2", "שלום", "😀 fine", "’", "'=1"])
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert cell(text) == text

    @pytest.mark.parametrize("number", [0, 1, -1, -(2**63), 2**70, -1.5])
    def test_leaves_numbers_numbers(self, number: float) -> None:
        assert cell(number) is number
        assert csv_text([[number]]) == f"{number}\r\n"

    def test_writes_times_with_their_zone_and_nothing_for_nothing(self) -> None:
        assert cell(AT) == "2026-11-22T03:04:05.678000+00:00"
        assert cell(None) == ""

    def test_writes_documents_as_json_that_is_no_formula(self) -> None:
        assert cell({"model": "=1"}) == '{"model": "=1"}'

    @given(st.text())
    def test_is_found_again_behind_at_most_an_apostrophe(self, text: str) -> None:
        assert cell(text) in {text, f"'{text}"}
        # Whoever reads it twice must not make it a formula either.
        assert cell(cell(text)) == cell(text)

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1))
    def test_comes_back_from_a_file_as_it_was_written(self, texts: list[str]) -> None:
        rows = list(csv.reader(io.StringIO(csv_text([texts]), newline="")))

        assert rows == [[str(cell(text)) for text in texts]] or texts == [""]


class TestCsv:
    def test_has_a_mark_a_head_and_every_row(self) -> None:
        response = csv_response("usage", ["name", "charged"], [["=1", -5], [None, 7]])

        assert response.getvalue().decode() == "\ufeffname,charged\r\n'=1,-5\r\n,7\r\n"
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"] == 'attachment; filename="usage.csv"'

    def test_is_sent_while_it_is_read(self) -> None:
        read = 0

        def rows() -> Iterator[list[int]]:
            nonlocal read
            for number in range(3 * ROWS_AT_ONCE):
                read += 1
                yield [number]

        chunks = iter(csv_response("many", ["number"], rows()))
        next(chunks)
        assert read == 0

        next(chunks)
        assert read <= ROWS_AT_ONCE + 1

    def test_has_a_name_that_breaks_no_header(self) -> None:
        response = csv_response('x"; filename="y', ["a"], [])

        assert response["Content-Disposition"] == 'attachment; filename="x\\"; filename=\\"y.csv"'


class TestParquet:
    files: Any = pytest.importorskip("pyarrow.parquet")
    COLUMNS = [Column("name"), Column("seq", Kind.INTEGER), Column("charged", Kind.SUM), Column("at", Kind.TIME)]

    def test_keeps_text_as_it_is_and_numbers_to_the_last_digit(self) -> None:
        rows: list[list[object]] = [["=1\u202e", 2**63 - 1, 2**80, AT], [None, None, None, None]]

        response = file_response(FileFormat.PARQUET, "usage", self.COLUMNS, rows)

        table = self.files.read_table(io.BytesIO(response.getvalue()))
        assert [list(row.values()) for row in table.to_pylist()] == rows
        assert response["Content-Disposition"] == 'attachment; filename="usage.parquet"'

    def test_of_nothing_has_its_columns(self) -> None:
        table = self.files.read_table(
            io.BytesIO(file_response(FileFormat.PARQUET, "none", self.COLUMNS, []).getvalue())
        )

        assert (table.num_rows, table.column_names) == (0, ["name", "seq", "charged", "at"])

    def test_has_a_row_group_for_what_was_in_memory_at_once(self) -> None:
        rows = ([str(number), number, number, AT] for number in range(2 * ROWS_AT_ONCE + 1))

        response = file_response(FileFormat.PARQUET, "many", self.COLUMNS, rows)

        file = self.files.ParquetFile(io.BytesIO(response.getvalue()))
        assert (file.num_row_groups, file.metadata.num_rows) == (3, 2 * ROWS_AT_ONCE + 1)

    def test_says_in_a_sentence_that_it_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(parquet, "is_installed", lambda: False)

        with pytest.raises(parquet.ParquetMissing, match="add the extra `parquet`"):
            file_response(FileFormat.PARQUET, "usage", self.COLUMNS, [])
