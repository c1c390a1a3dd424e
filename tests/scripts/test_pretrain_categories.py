"""pretrain.py with document metadata: what is printed and kept, and one clear line for each unfit column."""

import csv
import json

import numpy as np
import pytest

import pretrain
from corpora.errors import InputError
from modeling.note_category_model import NoteCategoryModel

SMALL = ["--use_cpu", "--disable_tqdm", "--max_steps", "2", "--per_device_train_batch_size", "4"]
SMALL += ["--save_strategy", "no", "--max_length", "32", "--objective", "note_category"]


pytestmark = pytest.mark.usefixtures("caches")


def write_csv(path, texts, **columns):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "document_id", *columns])
        for number, row in enumerate(zip(texts, *columns.values(), strict=True)):
            writer.writerow([row[0], f"{path.stem}-{number}", *row[1:]])
    return path


def train(base, tmp_path, file, *options):
    arguments = [*SMALL, "--model_name_or_path", base, "--train_file", file, "--output_dir", tmp_path / "out", *options]
    return pretrain.main(list(map(str, arguments)))


def test_names_with_commas_and_quotes_and_numbers_for_names(base, notes, tmp_path, capsys):
    kinds = ["Consult, cardiology", 'the "other" kind', "Écho", ""]
    file = write_csv(
        tmp_path / "notes.csv",
        notes["text"],
        kind=[kinds[number % 4] for number in range(40)],
        ward=[str([3, 10, 11][number % 3]) for number in range(40)],
    )
    options = ["--category_column", "kind", "--category_columns", "note_category", "ward", "--category_loss", "supcon"]
    assert train(base, tmp_path, file, *options) == 0
    printed = capsys.readouterr().out
    assert "note_category: 3 categories" in printed and "    Consult, cardiology                 10" in printed
    summary = json.loads((tmp_path / "out" / "training_summary.json").read_text())
    assert summary["categories"]["ward"] == {"3": 14, "10": 13, "11": 13}
    assert summary["categories"]["note_category"]['the "other" kind'] == 10
    model = NoteCategoryModel.from_pretrained(tmp_path / "out", device="cpu")
    assert model.labels == {
        "note_category": ("Consult, cardiology", 'the "other" kind', "Écho"),
        "ward": ("3", "10", "11"),
    }
    np.testing.assert_allclose(model.predict(notes["text"][:5])["ward"].sum(1), 1, rtol=1e-5)


def test_other_values_in_validation_are_reported(base, notes, tmp_path, capsys, caplog):
    texts, kinds = notes["text"][:], ["A" if number % 2 else "B" for number in range(20)]
    file = write_csv(tmp_path / "notes.csv", texts[:20], note_category=kinds)
    other = write_csv(tmp_path / "validation.csv", texts[20:], note_category=[*kinds[:15], *"CCCDD"])
    assert train(base, tmp_path, file, "--validation_file", other) == 0
    assert (
        "values of note_category that no training document has occur in validation documents (2 values, 5 times); "
        "they are left out of its scores"
    ) in caplog.text
    metrics = json.loads((tmp_path / "out" / "training_summary.json").read_text())["metrics"]
    assert metrics["eval_note_category_unseen"] == 5
    assert np.isfinite(metrics["eval_note_category_f1_macro"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda number: f"patient says {number} zebras", "400 different values in 400 training documents"),
        (lambda number: "Nursing", "all training documents that have a category have the same one"),
        (lambda number: "", "no training document has a category"),
        (lambda number: number * 0.37, "400 different values"),
        (
            lambda number: f"patient says {number} zebras" if number < 25 else "Nursing",
            "25 values occur once: the column looks like free text",
        ),
        (
            lambda number: "patient says zebras and " * 4 if number % 2 else "Nursing",
            "values of up to 95 characters: the column looks like free text",
        ),
    ],
    ids=["free text", "one value", "nothing", "measurements", "some free text", "long values"],
)
def test_unfit_columns_are_refused(base, notes, tmp_path, capsys, value, message):
    texts = [f"{notes['text'][number % 40]} {number}" for number in range(400)]
    file = write_csv(tmp_path / "notes.csv", texts, note_category=[value(number) for number in range(400)])
    with pytest.raises(InputError) as error:
        train(base, tmp_path, file)
    said = str(error.value)
    assert message in said and "column 'note_category'" in said and "\n" not in said
    assert "zebras" not in said + "".join(capsys.readouterr())
    assert not list(tmp_path.glob("out/*.safetensors"))


def test_faults_of_options_and_columns(base, notes, tmp_path):
    file = write_csv(tmp_path / "notes.csv", notes["text"], note_category=notes["note_category"])
    for options, message in [
        (["--category_columns", "ward"], "column 'ward'"),
        (["--category_columns", "note_category", "document_id"], "column 'document_id': the column holds ids"),
        (["--category_columns", "draw"], "cannot be called draw"),
        (["--category_columns", "ward", "ward_probe"], "cannot be called ward_probe beside one without _probe"),
        (["--category_balance", "inverse", "--category_weight", 0], "weights a loss that category_weight 0 leaves out"),
        (["--category_column_weights", "-2"], "category_column_weights must be positive, got [-2.0]"),
        (["--pad_to_multiple_of", 24], "--pad_to_multiple_of 24 does not divide the model's window of 64"),
        (["--category_balance", "weighted"], "category_balance"),
        (["--supcon_projection_size", 8], "belongs to category_loss supcon"),
        (["--category_weight", 0], "category_weight above 0"),
        (["--max_length", 65], "window of 64"),
        (["--num_anchors", 2], "unknown option --num_anchors"),
        (["--category_columns", "note_category", "note_category"], "twice"),
    ]:
        with pytest.raises(InputError) as error:
            train(base, tmp_path, file, *options)
        assert message in str(error.value), str(error.value)


@pytest.mark.parametrize(
    ("objective", "shown", "hidden"),
    [
        ("mlm", "--concatenate_documents", "--category_columns"),
        ("note_category", "--document_window", "--num_anchors"),
        ("declutr", "--one_category_batches", "--concatenate_documents"),
    ],
)
def test_help_shows_the_options_of_the_objective(objective, shown, hidden, capsys):
    with pytest.raises(SystemExit):
        pretrain.main(["--objective", objective, "--help"])
    printed = capsys.readouterr().out
    assert shown in printed and hidden not in printed
