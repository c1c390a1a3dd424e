"""Parcels for where no network goes, the checks before, and the command."""

import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import publish as script  # scripts/ comes first, as when a script runs
from corpora.errors import InputError
from model_cards import loader_check
from model_cards.publishing import LeakOptions, check_audit, checked, write_parcel
from modeling.sentence_transformers_files import write_sentence_transformers_files
from modeling.weights_digest import weights_digest

TEXT = "the knee was swollen and warm after a long walk in the snow"


@pytest.fixture(scope="module")
def encoder(make_encoder, tmp_path_factory):
    folder = Path(shutil.copytree(make_encoder("roberta"), tmp_path_factory.mktemp("parcel") / "model"))
    write_sentence_transformers_files(folder, 16, 32)
    (folder / "README.md").write_text("---\nlicense: other\n---\n# An encoder\n\nMade of made-up words.\n")
    return folder


@pytest.fixture(scope="module")
def publication(encoder):
    return checked(encoder, LeakOptions(None), lambda line: None)


@pytest.fixture
def folder(encoder, tmp_path):
    return Path(shutil.copytree(encoder, tmp_path / "model"))


@pytest.fixture
def corpus(tmp_path):
    file = tmp_path / "notes.csv"
    file.write_text(f"document_id,patient_id,text\na,p,{TEXT}\nb,q,no fever\n")
    return file


def test_loaders_of_an_encoder_agree_and_are_compared(publication, encoder, monkeypatch):
    outputs = publication.outputs
    assert set(outputs) == {"SentenceTransformer", "AutoModel"}
    assert outputs["AutoModel"].shape == (len(loader_check.PROBES), 16) and np.ptp(outputs["AutoModel"]) > 0.1
    plain = loader_check._embed
    monkeypatch.setattr(loader_check, "_embed", lambda *arguments: plain(*arguments) + 1e-3)
    with pytest.raises(InputError, match=r"SentenceTransformer and AutoModel give different embeddings \(by 0.001"):
        loader_check.loader_outputs(encoder)


def test_weights_that_give_no_numbers_are_named(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file({name: one * float("nan") for name, one in weights.items()}, folder / "model.safetensors")
    with pytest.raises(
        InputError, match="embeddings of plain sentences are not finite numbers; its weights are broken"
    ):
        loader_check.loader_outputs(folder)


def test_outputs_are_equal_to_a_hundred_thousandth():
    one = np.array([[1.0, -4.0]])
    loader_check.check_equal(one, one + 3e-5, "", "")  # of the largest value, 4
    for other in (one + 5e-5, one * np.nan, one[:, :1]):
        with pytest.raises(InputError, match="differ"):
            loader_check.check_equal(one, other, "they differ", "here")


def test_a_folder_has_files_and_a_manifest_that_sha256sum_reads(publication, tmp_path):
    target = tmp_path / "parcel"
    assert write_parcel(publication, "folder", target)
    done = subprocess.run(["sha256sum", "--check", "MANIFEST.sha256"], cwd=target, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK") == len(publication.hashes)
    assert not write_parcel(publication, "folder", target)  # the same again changes nothing
    (target / "README.md").write_text("changed")
    with pytest.raises(InputError, match="is there already"):
        write_parcel(publication, "folder", target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parcel"]


def test_a_zip_is_the_same_every_time_and_has_its_hash_beside_it(publication, tmp_path):
    first, second = tmp_path / "a.zip", tmp_path / "b.zip"
    assert write_parcel(publication, "zip", first) and write_parcel(publication, "zip", second)
    assert first.read_bytes() == second.read_bytes() and not write_parcel(publication, "zip", first)
    (tmp_path / "a.zip.sha256").unlink()
    assert not write_parcel(publication, "zip", first)  # brings back its hash too
    assert subprocess.run(["sha256sum", "--check", "a.zip.sha256"], cwd=tmp_path, capture_output=True).returncode == 0
    with zipfile.ZipFile(first) as archive:
        assert set(archive.namelist()) == {*publication.hashes, "MANIFEST.sha256"} and archive.testzip() is None
    second.write_bytes(b"something else")
    with pytest.raises(InputError, match="is there already"):
        write_parcel(publication, "zip", second)
    assert second.read_bytes() == b"something else" and not list(tmp_path.glob("*.partial"))


def test_a_file_that_changes_after_the_check_is_not_written(publication, folder, tmp_path):
    (folder / "config.json").write_text("{}")
    for kind in ("folder", "zip"):
        with pytest.raises(InputError, match="differs"):
            write_parcel(replace(publication, folder=folder), kind, tmp_path / kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_parcel_outside_the_folder_only(publication, tmp_path):
    with pytest.raises(InputError, match="lies in the folder"):
        write_parcel(publication, "zip", publication.folder / "a.zip")
    with pytest.raises(InputError, match="no such folder"):
        write_parcel(publication, "zip", tmp_path / "missing" / "a.zip")


def write_audit(folder, verdict, **settings):
    audit = {
        "schema_version": 1,
        "kind": "privacy_audit",
        "verdict": verdict,
        "sentences": ["Found."],
        "thresholds": {},
    }
    parts = {"membership": {}, "canaries": None, "identifiers": None, "embeddings": {}, "settings": settings}
    (folder / "privacy_audit.json").write_text(json.dumps(audit | parts))


def test_the_verdict_of_the_audit(folder):
    assert check_audit(folder, None) is None
    for verdict in ("low", "moderate"):
        write_audit(folder, verdict)
        assert check_audit(folder, None) == verdict
    write_audit(folder, "risk", weights_sha256=weights_digest(folder))
    for reason in (None, " "):
        with pytest.raises(InputError, match=r"tell of their training documents.*--accept_privacy_risk"):
            check_audit(folder, reason)
    assert check_audit(folder, "a contract forbids attacks") == "risk"
    write_audit(folder, "low", weights_sha256="0" * 64)
    with pytest.raises(InputError, match="of other weights"):
        check_audit(folder, "reason")
    write_audit(folder, "fine")
    with pytest.raises(InputError, match="not a privacy audit"):
        check_audit(folder, "reason")
    (folder / "privacy_audit.json").write_text("no JSON")
    with pytest.raises(InputError, match="JSON"):
        check_audit(folder, "reason")


def test_a_finding_a_missing_card_and_a_broken_model_stop(folder, corpus):
    said = []
    (folder / "train.csv").write_text("a\n")
    (folder / "README.md").write_text(TEXT)
    with pytest.raises(InputError, match=r"README.md: sequences of 8 words of the corpus \(6\).*train.csv: a dataset"):
        checked(folder, LeakOptions([corpus]), said.append)
    assert [line.split(":")[0] for line in said] == ["stop", "stop", "note"] and "knee" not in " ".join(said)
    (folder / "README.md").unlink()
    (folder / "train.csv").unlink()
    with pytest.raises(InputError, match="card is missing"):
        checked(folder, LeakOptions(None), said.append)
    (folder / "README.md").write_text("# Card")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "unheard_of"}))
    with pytest.raises(InputError, match="cannot be loaded and used"):
        checked(folder, LeakOptions(None), said.append)


def test_the_command_shows_what_would_go_and_writes_nothing(folder, corpus, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    script.main([str(folder), "--repo_id", "clinic/model", "--corpus", str(corpus), "--dry-run"])
    shown = capsys.readouterr().out
    assert "model.safetensors" in shown and f"{(folder / 'config.json').stat().st_size:,}  config.json" in shown
    assert "Made of made-up words." in shown and "nothing was sent" in shown and "audit: none was made" in shown
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    (folder / "README.md").write_text("# Card\n" + TEXT)
    with pytest.raises(InputError, match="sequences of 8 words"):
        script.main([str(folder), "--repo_id", "clinic/model", "--corpus", str(corpus), "--dry-run"])
    assert "knee" not in capsys.readouterr().out


def test_the_command_writes_a_parcel(folder, corpus, tmp_path, capsys):
    command = [str(folder), "--target", "zip", "--output", str(tmp_path / "a.zip"), "--corpus", str(corpus)]
    script.main(command)
    assert "written and verified" in capsys.readouterr().out and (tmp_path / "a.zip").is_file()
    script.main(command)
    assert "up to date" in capsys.readouterr().out


def test_an_accepted_risk_stands_in_the_card(folder, corpus, tmp_path, capsys):
    from model_cards.render import write_card

    (folder / "README.md").unlink()
    write_card(folder)
    write_audit(folder, "risk")
    command = [str(folder), "--target", "folder", "--output", str(tmp_path / "out"), "--corpus", str(corpus)]
    with pytest.raises(InputError, match="--accept_privacy_risk"):
        script.main(command)
    command += ["--accept-privacy-risk", "readers sign a contract"]
    script.main([*command, "--dry_run"])
    assert "readers sign a contract" in capsys.readouterr().out
    assert "readers sign" not in (folder / "README.md").read_text()
    script.main(command)
    assert "readers sign a contract" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--repo_id"),
        (["--repo_id", "a/b", "--target", "zip"], "--repo_id"),
        (["--target", "zip"], "--output"),
        (["--target", "zip", "--output", "a.zip", "--public"], "belong to a Hub"),
        (["--repo_id", "a/b"], "--corpus"),
        (["--repo_id", "a/b/c", "--without_corpus", "--dry_run"], "a/b/c: is no name of a repository; give ORG/NAME"),
        (["--repo_id", "model", "--without_corpus", "--dry_run"], "model: is no name of a repository; give ORG/NAME"),
        (["--repo_id", "a/b", "--corpus", "x.csv", "--without_corpus"], "--corpus"),
        (["--repo_id", "a/b", "--without_corpus", "--max_file_gb", "0"], "max_file_gb"),
        (["--repo_id", "a/b", "--without_corpus", "--accept_privacy_risk", " "], "needs a reason"),
    ],
)
def test_faults_of_the_command_line(folder, words, message):
    with pytest.raises(InputError, match=message):
        script.main([str(folder), *words])
