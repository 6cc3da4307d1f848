from rich.text import Text

from reactorsync_local.rendering.table import Column, render_table

COLUMNS: list[Column[tuple[str, str]]] = [
    Column("NAME", lambda row: row[0]),
    Column("STATE", lambda row: Text(row[1], style="red")),
    Column("NOTE", lambda row: f"note on {row[0]}", wide=True),
]

ROWS = [("bruce-1", "Running"), ("a", "")]


def test_columns_are_aligned_by_spaces_and_nothing_trails() -> None:
    table = render_table(COLUMNS, ROWS)
    assert table.titles.plain == "NAME      STATE"
    assert [row.plain for row in table.rows] == ["bruce-1   Running", "a         -"]


def test_an_empty_cell_is_a_dash_so_that_fields_can_be_counted() -> None:
    assert [len(row.plain.split()) for row in render_table(COLUMNS, ROWS).rows] == [2, 2]


def test_wide_columns_are_shown_only_when_asked_for() -> None:
    assert "NOTE" not in render_table(COLUMNS, ROWS).titles.plain
    assert render_table(COLUMNS, ROWS, wide=True).rows[1].plain.endswith("note on a")


def test_a_last_column_that_may_be_cut_fits_the_width_but_keeps_its_begin() -> None:
    status: Column[tuple[str, str]] = Column("STATUS", lambda _: "word " * 20, cut=True)
    columns = [COLUMNS[0], status]
    assert [row.cell_len for row in render_table(columns, ROWS, width=40).rows] == [40, 40]
    assert render_table(columns, ROWS, width=40).rows[0].plain.endswith("…")
    narrow = render_table(columns, ROWS, width=5).rows[0].plain
    assert narrow.startswith("bruce-1   word word")
    assert render_table(columns, ROWS).rows[0].plain.rstrip().count("word") == 20


def test_a_table_without_rows_is_its_titles() -> None:
    table = render_table(COLUMNS, [])
    assert (table.titles.plain, table.rows) == ("NAME   STATE", [])
