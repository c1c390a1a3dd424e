"""Tables as Markdown and LaTeX, and the way back from Markdown."""

from reporting.printed_table import PrintedTable, bold_parts, read_tables

TABLE = PrintedTable(
    "scores",
    "Macro-F1 & more",
    [["System", "8 a class", "8 a class"], ["a|b_c", "**0.7** [0.6, 0.8] ▲", "50 %"]],
    "▲ up.",
)


def test_markdown_and_back():
    text = TABLE.markdown()
    assert text.splitlines()[0] == "**Macro-F1 & more**" and text.endswith("▲ up.\n")
    assert "| a\\|b_c | **0.7** [0.6, 0.8] ▲ | 50 % |" in text
    assert read_tables(f"{text}\nwords\n\n{text}") == [[list(line) for line in TABLE.lines]] * 2


def test_latex():
    text = TABLE.latex()
    assert r"\caption{Macro-F1 \& more}" in text and r"\label{tab:scores}" in text
    assert r"a|b\_c & \textbf{0.7} [0.6, 0.8] $\blacktriangle$ & 50 \% \\" in text
    assert r"System & 8 a class & 8 a class \\" in text and text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert text.index(r"\caption") < text.index(r"\begin{tabular}{lrr}")
    assert text.index(r"\end{tabular}") < text.index(r"\footnotesize $\blacktriangle$ up.") < text.index(r"\end{table}")


def test_bold_parts():
    assert bold_parts("**a** b **c**") == [("a", True), (" b ", False), ("c", True)]
    assert bold_parts("plain") == [("plain", False)] and bold_parts("") == []
