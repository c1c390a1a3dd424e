"""Similarity files, whole and at fault."""

import json

import pytest

from corpora.errors import InputError
from corpora.text_pairs import TextPairs, read_text_pairs

ROWS = [("first secret", "second secret", "1.5"), ("a", "b", "0"), ("c", "d", " 2e0 ")]
PAIRS = TextPairs(["first secret", "a", "c"], ["second secret", "b", "d"], [1.5, 0.0, 2.0])


def write(file, rows, separator=",", header=("one", "other", "rating")):
    file.write_text("".join(separator.join(row) + "\n" for row in (header, *rows)), encoding="utf-8")
    return file


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("tsv", "\t")])
def test_columns_are_named(tmp_path, suffix, separator):
    file = write(tmp_path / f"pairs.{suffix}", ROWS, separator)
    assert read_text_pairs(file, "one", "other", "rating") == PAIRS
    turned = read_text_pairs(str(file), "other", "one", "rating")
    assert turned.first == PAIRS.second and len(turned) == 3


def test_json_lines_and_parquet(tmp_path):
    rows = [{"one": a, "other": b, "rating": float(r), "more": None} for a, b, r in ROWS]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read_text_pairs(file, "one", "other", "rating") == PAIRS
    from datasets import Dataset

    Dataset.from_list(rows).to_parquet(tmp_path / "pairs.parquet")
    assert read_text_pairs(tmp_path / "pairs.parquet", "one", "other", "rating") == PAIRS
    Dataset.from_list(rows).save_to_disk(tmp_path / "pairs")
    assert read_text_pairs(tmp_path / "pairs", "one", "other", "rating") == PAIRS


@pytest.mark.parametrize(
    ("row", "column", "problem"),
    [
        (("x", "y", "high secret"), "rating", "the rating is no finite number"),
        (("x", "y", ""), "rating", "the rating is no finite number"),
        (("x", "y", "nan"), "rating", "the rating is no finite number"),
        (("x", "y", "inf"), "rating", "the rating is no finite number"),
        (("", "y", "1"), "one", "the text is empty"),
        (("x", "  ", "1"), "other", "the text is empty"),
    ],
)
def test_a_fault_is_placed_and_holds_no_text(tmp_path, row, column, problem):
    file = write(tmp_path / "pairs.csv", [*ROWS, row])
    with pytest.raises(InputError) as caught:
        read_text_pairs(file, "one", "other", "rating")
    assert str(caught.value).startswith(f"{file}, row 4, column '{column}': {problem}; ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "column", "problem"),
    [
        ({"one": "x", "rating": 1}, "other", "the text is missing"),
        ({"one": "x", "other": None, "rating": 1}, "other", "the text is missing"),
        ({"one": 5, "other": "y", "rating": 1}, "one", "a text is needed, not int"),
        ({"one": "x", "other": "y"}, "rating", "no finite number"),
        ({"one": "x", "other": "y", "rating": [1]}, "rating", "no finite number"),
        ({"one": "x", "other": "y", "rating": 10**400}, "rating", "no finite number"),
    ],
)
def test_faults_of_json(tmp_path, values, column, problem):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"one": "a", "other": "b", "rating": 1}\n' + json.dumps(values) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=problem) as caught:
        read_text_pairs(file, "one", "other", "rating")
    assert (caught.value.row, caught.value.column) == (2, column)


def test_faults_of_the_file(tmp_path):
    file = write(tmp_path / "pairs.csv", ROWS)
    with pytest.raises(InputError, match="column 'score': the column is missing"):
        read_text_pairs(file, "one", "other", "score")
    with pytest.raises(InputError, match="column 'one': the column is named twice"):
        read_text_pairs(file, "one", "one", "rating")
    with pytest.raises(InputError, match="the file is missing"):
        read_text_pairs(tmp_path / "none.csv", "one", "other", "rating")
    with pytest.raises(InputError, match="2 pairs have no rank correlation"):
        read_text_pairs(write(tmp_path / "few.csv", ROWS[:2]), "one", "other", "rating")
    write(tmp_path / "more.csv", ROWS)
    with pytest.raises(InputError, match="name a single file"):
        read_text_pairs(tmp_path / "*.csv", "one", "other", "rating")
