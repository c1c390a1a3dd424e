"""A table that can be printed as Markdown, LaTeX or HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reporting.tables import ABOVE, BELOW, columns_of_words, markdown_table

LATEX_HEAD = "% Needs \\usepackage{booktabs} and \\usepackage{amssymb}.\n\n"
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ESCAPED = re.compile(r"\\([\\`*<|])")
_CELL_ENDS = re.compile(r"(?<!\\)\|")
_LATEX = {
    ABOVE: r"$\blacktriangle$",
    BELOW: r"$\blacktriangledown$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


@dataclass(frozen=True)
class PrintedTable:
    """Lines of cells with what is said about them.

    Args:
        name: Of its files.
        caption: One line.
        lines: Cells as plain text, the head first; bold is `**...**`.
        note: How to read it; may be empty.
    """

    name: str
    caption: str
    lines: Sequence[Sequence[str]]
    note: str = ""

    @property
    def words(self) -> list[bool]:
        """Which columns hold words, and are set to the left."""
        return columns_of_words(self.lines)

    def markdown(self) -> str:
        """Return the table under its caption."""
        lines = [[_escape(cell) for cell in line] for line in self.lines]
        return "\n\n".join(filter(None, [f"**{self.caption}**", markdown_table(lines), self.note])) + "\n"

    def latex(self) -> str:
        r"""Return a `table` environment; needs the packages booktabs and amssymb."""
        from pandas import DataFrame

        head, *body = self.lines
        # Columns may have the same head, which pandas' printer does not take: it gets numbers.
        frame = DataFrame([list(line) for line in body], columns=range(len(head)), dtype=object)
        style = frame.style.hide(axis="index").format(escape="latex")
        style = style.format_index(lambda column: head[column], axis="columns", escape="latex")
        columns = "".join("l" if words else "r" for words in self.words)
        text = style.to_latex(hrules=True, column_format=columns, position="htbp")
        for sign, command in _LATEX.items():
            text = text.replace(sign, command)
        text = _BOLD.sub(r"\\textbf{\1}", text)
        # Captions are words of ours and names from a recipe, which hold no markup beyond these.
        caption = re.sub(r"([&%$#_])", r"\\\1", self.caption)
        rule, note = r"\begin{tabular}", re.sub(r"([&%$#_])", r"\\\1", self.note)
        for sign, command in _LATEX.items():
            note = note.replace(sign, command)
        text = text.replace(rule, f"\\caption{{{caption}}}\n\\label{{tab:{self.name}}}\n\\centering\n{rule}", 1)
        end = "\\end{tabular}\n"
        return text.replace(end, end + (f"\n\\smallskip\n{{\\footnotesize {note}}}\n" if note else ""), 1)


def read_tables(markdown: str) -> list[list[list[str]]]:
    """Return the cells of the tables in a text of ours, as plain text.

    Args:
        markdown: As `markdown_table` makes them; bold stays marked.
    """
    tables: list[list[list[str]]] = []
    inside = False
    for line in markdown.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            tables.append([])
        inside = True
        cells = [_ESCAPED.sub(r"\1", cell.strip()) for cell in _CELL_ENDS.split(line)[1:-1]]
        if not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            tables[-1].append(cells)
    return tables


def bold_parts(cell: str) -> list[tuple[str, bool]]:
    """Return the parts of a cell in turn, each with whether it is bold."""
    parts = _BOLD.split(cell)
    return [(part, bool(number % 2)) for number, part in enumerate(parts) if part]


def _escape(cell: str) -> str:
    """Put a backslash before what Markdown would read as markup, except in the marks of bold."""
    return "".join(f"**{_plain(part)}**" if bold else _plain(part) for part, bold in bold_parts(" ".join(cell.split())))


def _plain(text: str) -> str:
    return re.sub(r"([\\`*<|])", r"\\\1", text)
