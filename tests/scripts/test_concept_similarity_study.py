"""concept_similarity.py as a user runs it: the numbers, the files, one clear line for each fault."""

import json

import numpy as np
import pytest
import scipy.stats

import concept_similarity
from corpora.errors import InputError

NAMES = ["fever", "mild fever", "severe fever", "cough", "chest pain", "knee swelling", "left knee pain", "no cough"]


@pytest.fixture
def pairs(tmp_path):
    random = np.random.default_rng(0)
    rows = [(a, b, random.integers(0, 5)) for a in NAMES for b in NAMES if a < b]
    file = tmp_path / "pairs.csv"
    file.write_text("first,second,rating\n" + "".join(f"{a},{b},{rating}\n" for a, b, rating in rows))
    return file


@pytest.fixture
def relations(tmp_path):
    file = tmp_path / "relations.csv"
    rows = [f"{one},{other},sign,part\n" for one, other in zip(NAMES[:4], NAMES[4:], strict=True)]
    rows += [f"{NAMES[number]},{NAMES[number + 1]},sign,sign\n" for number in range(3)]
    file.write_text("first,second,first_kind,second_kind\n" + "".join(rows))
    return file


def study(*options):
    concept_similarity.main([str(word) for word in options])


def test_the_files_hold_what_they_say(make_encoder, pairs, relations, tmp_path, capsys):
    encoder, out = make_encoder("bert"), tmp_path / "out"
    given = ["--pairs", f"rated={pairs}", "--relations", f"goes | with={relations}", "--models", f"tiny={encoder}"]
    study(*given, "--output", out, "--null_pairs", 2_000, "--template", "{name} today")
    found = json.loads((out / "results.json").read_text())
    assert (found["schema_version"], found["kind"], found["null_pairs"]) == (1, "concept_similarity", 2_000)
    scores = {(one["benchmark"], one["model"], one["centred"]): one for one in found["scores"]}
    kinds = [("random", False), ("letters", False), ("tiny", False), ("tiny", True)]
    assert set(scores) == {(name, *kind) for name in ("rated", "goes | with") for kind in kinds}
    assert len(scores) == len(found["scores"])

    from modeling.document_encoder import DocumentEncoder

    embedded = DocumentEncoder.from_pretrained(encoder, dtype="float32").encode([f"{name} today" for name in NAMES])
    rows = [line.split(",") for line in pairs.read_text().splitlines()[1:]]
    for centred in (False, True):
        table = embedded - embedded.mean(0) if centred else embedded
        table = table / np.linalg.norm(table, axis=1, keepdims=True)
        cosines = [table[NAMES.index(first)] @ table[NAMES.index(second)] for first, second, _ in rows]
        one = scores["rated", "tiny", centred]
        assert one["value"] == pytest.approx(scipy.stats.spearmanr(cosines, [float(row[2]) for row in rows])[0])
        assert one["low"] < one["value"] < one["high"] and (one["pairs"], one["left_out"]) == (28, 0)
    for kind in kinds:
        one = scores[("goes | with", *kind)]
        parts = one["by_kinds"]
        assert [(part["kinds"], part["pairs"]) for part in parts] == [(["sign", "part"], 4), (["sign", "sign"], 3)]
        assert one["value"] == pytest.approx(sum(part["found"] for part in parts) / 7)
    # "fever" and "mild fever" share letters, "fever" and "cough" do not.
    fever, mild, _, cough, *_ = concept_similarity.letter_vectors(NAMES)
    assert fever @ mild > 0.3 > 0.05 > fever @ cough

    figures = {"concept_similarity.png", "concept_similarity.svg"}
    assert {file.name for file in out.iterdir()} == {"results.json", "table.md", *figures}
    table, printed = (out / "table.md").read_text(), capsys.readouterr().out
    assert table in printed + "\n"
    assert table.splitlines()[0] == "| Vectors | rated (rated, 28 pairs) | goes \\| with (related, 7 pairs) |"
    assert "| tiny, centred | " in table and "sign and part (4 pairs) | sign and sign (3 pairs)" in table
    best = max(scores[("rated", *kind)]["value"] for kind in kinds)
    assert f"| **{best:.3f}** [" in table


def test_faults_are_one_line_and_leave_nothing(make_encoder, pairs, relations, tmp_path):
    for name, text in {
        "word.csv": "first,second,rating\na,b,1\na,c,high\nb,c,2\n",
        "signs.csv": "first,second,rating\na,b,1\n-,c,3\nb,c,2\n",
        "two.csv": "first,second,rating\na,b,1\na,c,3\n",
        "self.csv": "first,second,first_kind,second_kind\na,a,x,x\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "results.json").write_text("{}")
    given = {"--pairs": f"p={pairs}", "--relations": f"r={relations}", "--models": f"m={make_encoder('bert')}"}
    for changed, message in [
        ({"--pairs": None, "--relations": None}, "nothing to measure"),
        ({"--pairs": pairs}, "NAME=PATH"),
        ({"--pairs": f"r={pairs}"}, "both name 'r'"),
        ({"--pairs": f"p={tmp_path / 'none.csv'}"}, "none.csv"),
        ({"--pairs": f"p={relations}"}, "column 'rating': the column is missing"),
        ({"--pairs": f"p={tmp_path / 'word.csv'}"}, "row 2, column 'rating': the rating is no finite number"),
        ({"--pairs": f"p={tmp_path / 'two.csv'}"}, "2 pairs have no rank correlation"),
        ({"--pairs": f"p={tmp_path / 'signs.csv'}"}, "signs.csv: concept '-' has no name"),
        ({"--relations": f"r={pairs}"}, "column 'first_kind': the column is missing"),
        ({"--relations": f"r={tmp_path / 'self.csv'}"}, "row 1, column 'second': a concept is related to itself"),
        ({"--models": f"letters={make_encoder('bert')}"}, "name of a control"),
        ({"--models": f"m={tmp_path / 'nowhere'}"}, "nowhere"),
        ({"--template": "name"}, "the template 'name'"),
        ({"--pair_columns": "first"}, "three names"),
        ({"--null_pairs": 5}, "--null_pairs is below 100"),
        ({"--seed": -1}, "--seed is below 0"),
        ({"--output": pairs}, "the output is a file"),
        ({"--output": tmp_path / "old"}, "holds results"),
    ]:
        words = {"--output": tmp_path / "out", **given, **changed}
        with pytest.raises(InputError) as error:
            study(*(word for name, value in words.items() if value is not None for word in (name, value)))
        assert message in str(error.value) and "\n" not in str(error.value), str(error.value)
        assert not (tmp_path / "out").exists(), message
    assert [file.name for file in (tmp_path / "old").iterdir()] == ["results.json"]
