"""The report: its Markdown, its JSON, its folder."""

import json
from dataclasses import replace

import pytest

from corpora.errors import InputError
from reporting import figure_style
from reporting.classification_report import comparisons_json, main_table, make_report, report_markdown, write_report
from reporting.classification_results import System, join_results, load_results

SYSTEMS = {
    ("base", "logistic_regression", "windows", "all"): 1.0,
    ("declutr", "fine_tuned", "windows", "2"): 2.0,
    ("declutr", "fine_tuned", "windows", "none"): 2.1,
}


@pytest.fixture
def results(write_results):
    return load_results(write_results(SYSTEMS, shots=(8, None), documents=80))


def test_markdown(results):
    report = make_report(results, resamples=300)
    text = report_markdown(report)
    assert main_table(report) in text and text.endswith("|\n")
    head, *rest = text.split("\n\n")
    assert head == "# Classification of specialty"
    assert rest[0] == "4 classes; 1,200 training, 130 validation and 80 test documents."
    assert rest[2] == (
        "Macro-F1: mean over 3 seeds (1 on all documents where nothing is left to chance) [95 % interval over test "
        "documents and seeds]. Best of a column in bold. ▲ ▼ above or below TF-IDF with as many documents: paired "
        "bootstrap (300 resamples), p at most 0.05 after Holm's correction for 7 comparisons. Encoders read windows."
    )
    (results.folder / "settings.json").write_text('{"window_length": 48}')
    short = load_results(results.folder)
    assert "Encoders read windows of 48 tokens." in main_table(make_report(short, resamples=300))
    assert join_results([short, results]).window_length is None
    assert rest[3:6:2] == [
        "## All scores, trained on all documents",
        "## Classes: declutr, fine-tuned, trained on all documents",
    ]
    table = {line.split(" | ")[0][2:]: line for line in rest[1].splitlines()[2:]}
    assert "**" in table["declutr, fine-tuned"] and "▲" in table["declutr, fine-tuned"]
    assert "▼" in table["majority class"] and "▲" not in table["TF-IDF"]


def test_the_note_says_how_many_seeds_there_are(results):
    def note(keep):
        cells = tuple(cell for cell in results.cells if keep(cell))
        return main_table(make_report(replace(results, cells=cells), resamples=100)).split("\n\n")[1]

    assert "mean over 3 seeds [95 %" in note(lambda cell: cell.system.method != "majority")
    assert "mean over 1 seed [95 %" in note(lambda cell: cell.seed == 0)
    one_less = note(lambda cell: cell.id != "tfidf-tfidf-None-None-s8-2")
    assert "mean over 3 seeds (fewer, 1 at least, in 2 of 9 cells)" in one_less


def test_reference_metric_and_resamples(results):
    report = make_report(results, "base", "accuracy", resamples=100, seed=7)
    assert report.reference == System("base", "logistic_regression", "windows", "all")
    assert report.resamples == 7 * 40  # more than asked for: there are seven comparisons
    assert main_table(report).startswith("| Accuracy, specialty |")
    with pytest.raises(InputError, match="no interval for 'ece'; choose from f1_macro, accuracy"):
        make_report(results, metric="ece")
    with pytest.raises(InputError, match="no system is called 'new'"):
        make_report(results, "new")


def test_json_holds_rows_and_comparisons(results):
    report = make_report(results, resamples=300)
    found = json.loads(json.dumps(comparisons_json(report), allow_nan=False))
    assert (found["kind"], found["metric"], found["resamples"]) == ("classification_comparison", "f1_macro", 300)
    assert found["reference"] == {
        "model": "tfidf",
        "method": "tfidf",
        "reading": None,
        "frozen": None,
        "name": "TF-IDF",
    }
    assert len(found["rows"]) == 9 and len(found["comparisons"]) == 7
    first = found["rows"][0]
    assert first["mean"] == pytest.approx(sum(first["by_seed"]) / 3) and first["seeds"] == [0, 1, 2]
    assert first["interval"][0] < first["mean"] < first["interval"][1]
    for comparison in found["comparisons"]:
        assert comparison["significant"] == (comparison["adjusted_p_value"] <= 0.05)


def test_folder(results, tmp_path):
    report = make_report(results, resamples=300)
    folder = tmp_path / "deep" / "report"
    files = write_report(report, folder)
    names = [
        f"{name}.{suffix}"
        for name in ("confusion_matrix", "few_shot_curves", "frozen_depth")
        for suffix in ("png", "svg")
    ]
    assert sorted(file.name for file in files) == sorted(["table.md", "comparisons.json", *names])
    assert sorted(folder.iterdir()) == sorted(files)
    assert (folder / "table.md").read_text() == report_markdown(report)
    assert json.loads((folder / "comparisons.json").read_text()) == comparisons_json(report)


def test_an_earlier_report_is_replaced_and_other_files_stay(results, write_results, tmp_path):
    folder = tmp_path / "report"
    (folder / "report.partial").mkdir(parents=True)  # of a run that was killed
    (folder / "report.partial" / "left.png").touch()
    (folder / "frozen_depth.svg").touch()
    (folder / "few_shot_curves.png").touch()
    (folder / "notes.txt").write_text("mine")
    multi = load_results(write_results({("base", "knn", None, "all"): 1.0}, "multi", shots=(None,), task="multi_label"))
    write_report(make_report(multi, resamples=100), folder)
    # One number of shots, no partly frozen encoder, several categories a document: no figure at all.
    assert sorted(file.name for file in folder.iterdir()) == ["comparisons.json", "notes.txt", "table.md"]


def test_nothing_is_left_of_a_report_that_failed(results, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(figure_style, "save_figure", fail)
    report = make_report(results, resamples=100)
    with pytest.raises(OSError, match="no space"):
        write_report(report, tmp_path / "deep" / "report")
    assert not (tmp_path / "deep").exists()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "table.md").write_text("earlier")
    with pytest.raises(OSError, match="no space"):
        write_report(report, tmp_path / "report")
    assert [(file.name, file.read_text()) for file in (tmp_path / "report").iterdir()] == [("table.md", "earlier")]
