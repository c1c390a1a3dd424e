"""`pretrain.py --publish`: from notes to a repository on a Hub in one command that may be killed and refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hub_server import TOKEN
from huggingface_hub import metadata_load

import pretrain
from corpora.canaries import CanaryOptions
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.preparation import prepare_notes
from corpora.splitting import SplitOptions
from pretrain_options import CardOptions, ModelOptions, NotesOptions
from pretrain_publication import plan_publication
from publication_options import PublicationOptions

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
REPO = "clinic/ward-notes"
REASON = "shared under an agreement with the ward"

# One interpreter imports the libraries once. Each run is a forked process of its own, which ends as the script does.
PROGRAM = """
import gc, json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
import transformers, sentence_transformers
import command_line, pretrain, pretrain_evaluation, pretrain_publication
import audit_attacks, frozen_probe, trainers, sklearn.linear_model, matplotlib.figure
import model_cards.render, model_cards.publishing, reporting.privacy_figure
from transformers import AutoModelForMaskedLM
AutoModelForMaskedLM.from_pretrained("base")  # the first model that is loaded compiles the names of all weights
gc.collect()
gc.freeze()  # the children need not look at these objects again


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


for step in json.loads(sys.argv[2]):
    sys.stdout.flush(), sys.stderr.flush()
    child = os.fork()
    if child == 0:
        for number, name in ((1, step["name"] + ".out"), (2, step["name"] + ".err")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        sys.argv = ["pretrain.py"]
        for name in step.get("without", ()):
            del os.environ[name]
        if "kill" in step:
            setattr(pretrain_publication, step["kill"], die)
        if "verdict" in step:
            path = os.path.join("model", "privacy_audit.json")
            audit = json.load(open(path))
            json.dump({**audit, "verdict": step["verdict"]}, open(path, "w"))
        command_line.run(pretrain.main, step["arguments"])
    status = os.waitpid(child, 0)[1]
    print(step["name"], os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
    if step["name"] == "killed":
        os.rename("model", "model_killed")
        import shutil
        shutil.copytree("model_killed", "model")

import numpy as np
from sentence_transformers import SentenceTransformer
from transformers import AutoModel
from model_cards.loader_check import PROBES
AutoModelForMaskedLM.from_pretrained(sys.argv[3])
np.savez(
    "back.npz",
    published=SentenceTransformer(sys.argv[3]).encode(list(PROBES)),
    local=SentenceTransformer("model").encode(list(PROBES)),
    weights=AutoModel.from_pretrained(sys.argv[3]).embeddings.word_embeddings.weight.detach().numpy(),
)
"""


@pytest.fixture
def corpus(notes, tmp_path, monkeypatch):
    """Forty notes prepared, with two canaries, 28 of them for training."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [dict(row, specialty=["chest", "knee"][number % 2]) for number, row in enumerate(notes)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    from corpora.columns import NoteColumns

    prepare_notes(
        tmp_path / "notes.jsonl",
        tmp_path / "corpus",
        columns=NoteColumns(patient_column="patient_id", category_column="note_category", label_columns=("specialty",)),
        canaries=CanaryOptions(canaries=2, canary_repetitions=[4], canary_digits=2),
        splits=SplitOptions(0.3, 0.0),
        duplicates=DuplicateOptions(near_duplicate_threshold=0),
    )
    return tmp_path / "corpus"


def training(base, corpus, *more):
    words = ["--objective", "mlm", "--model_name_or_path", base, "--train_file", corpus, "--output_dir", "model"]
    words += ["--use_cpu", "--disable_tqdm", "--max_steps", 2, "--per_device_train_batch_size", 4]
    words += ["--save_strategy", "no", "--max_length", 32]
    return list(map(str, [*words, *more]))


def test_one_command_from_notes_to_the_hub(hub, hub_environment, base, corpus, tmp_path):
    statement = {"license": "apache-2.0", "language": ["en"], "source": "made-up notes of one ward"}
    (tmp_path / "statement.yaml").write_text(yaml.safe_dump(statement))
    # Keys of a recipe are options like all others.
    recipe = {"publish": REPO, "statement": "statement.yaml", "tag": "v1", "gated": "manual"}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = ["recipe.yaml", *training(base, corpus, "--probe_label", "specialty")]
    steps = [
        {"name": "no_token", "arguments": command, "without": ["HF_TOKEN"]},
        {"name": "killed", "arguments": command, "kill": "send"},
        {"name": "resumed", "arguments": command},
        {"name": "again", "arguments": command},
        {"name": "refused", "arguments": command, "verdict": "risk"},
        {"name": "accepted", "arguments": [*command, "--tag", "v2", "--accept_privacy_risk", REASON]},
    ]
    program = [sys.executable, "-c", PROGRAM, str(SCRIPTS), json.dumps(steps), REPO]
    done = subprocess.run(program, env=hub_environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = {step["name"]: (tmp_path / f"{step['name']}.out").read_text() for step in steps}
    faults = {step["name"]: (tmp_path / f"{step['name']}.err").read_text() for step in steps}
    statuses = dict(line.split() for line in done.stdout.splitlines())
    expected = {"no_token": 2, "killed": int(signal.SIGKILL), "resumed": 0, "again": 0, "refused": 2, "accepted": 0}
    assert statuses == {name: str(status) for name, status in expected.items()}, faults

    # Before the training: nothing was made.
    assert printed["no_token"] == "" and "there is no access token; log in with" in faults["no_token"]
    # Killed between audit and push: all is there but the repository.
    assert "auditing" in printed["killed"] and "published" not in printed["killed"]
    killed = tmp_path / "model_killed"
    for name in ("results/evaluation.json", "privacy_audit.json", "privacy_audit.png", "README.md"):
        assert (killed / name).is_file(), name
    # The same command goes on there: nothing is trained, evaluated or audited anew.
    for name in ("resumed", "again", "accepted"):
        for words in ("is finished already", "evaluated already", "audited already", f"published: {REPO} at"):
            assert words in printed[name], (name, words)
    assert "files changed" in printed["resumed"] and "up to date" in printed["again"]
    assert faults["refused"].count("\n") == 1 and "--accept_privacy_risk" in faults["refused"]
    repository = hub.repositories[REPO]
    assert repository.private and repository.gated == "manual" and set(repository.tags) == {"v1", "v2"}
    assert len(repository.commits) == 3  # the first, what was published, the card with the reason
    first = repository.commits[repository.tags["v1"]]
    changed = {name for name, content in repository.main.items() if first.get(name) != content}
    assert changed == {"README.md", "privacy_audit.json"}
    assert REASON in repository.main["README.md"].decode() and REASON not in first["README.md"].decode()

    # What is on the Hub is what lies in the folder, and no more.
    main = {name: content for name, content in repository.main.items() if name != ".gitattributes"}
    assert {"model.safetensors", "modules.json", "results/evaluation.json", "privacy_audit.svg"} <= set(main)
    assert not {"canaries.json", "training_summary.json", "run_settings.json", "card_facts.json"} & set(main)
    for name, content in main.items():
        assert content == (tmp_path / "model" / name).read_bytes(), name
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()
    back = np.load(tmp_path / "back.npz")
    np.testing.assert_allclose(back["published"], back["local"], atol=1e-6)
    assert back["weights"].shape[1] == 16

    # The card: statement, evaluation beside the base model, audit with canaries, model-index.
    card = repository.main["README.md"].decode()
    for words in (
        "made-up notes of one ward",
        "### Masked language modelling",
        "### Embedding space: specialty",
        "### Classification: specialty",
        "| **adapted, logistic regression** |",
        "| base, logistic regression |",
        "Canaries planted 4 times",
        "likelihood ratio to the reference",
        "**Verdict of the audit",
    ):
        assert words in card, words
    evaluation = json.loads(main["results/evaluation.json"])
    metadata = metadata_load(tmp_path / "model" / "README.md")
    values = {
        metric["name"]: metric["value"]
        for result in metadata["model-index"][0]["results"]
        for metric in result["metrics"]
        if result["dataset"]["split"] == "validation"
    }
    masked, space, probe = evaluation["results"]
    assert values["Pseudo-perplexity"] == pytest.approx(masked["measures"]["perplexity"][1]["value"], abs=1e-4)
    assert values["Uniformity"] == pytest.approx(space["measures"]["uniformity"][1]["value"], abs=1e-4)
    own = next(row for row in probe["rows"] if row["system"] == "adapted, logistic regression")
    name = "F1 macro (adapted, logistic regression, all labels)"
    assert values[name] == pytest.approx(own["scores"]["None"]["mean"], abs=1e-4)
    audit = json.loads(main["privacy_audit.json"])
    counts = json.loads((corpus / "preparation.json").read_text())["splits"]
    for side, split in (("members", "train"), ("nonmembers", "validation")):
        assert audit["documents"][side]["documents"] == counts[split]["documents"]
    # The masked loss, by the plain model and one mask at a time.
    assert masked["measures"]["loss"][1]["value"] == pytest.approx(_plain_loss(tmp_path / "model", corpus), rel=0.02)
    everything = "".join([*printed.values(), *faults.values()])
    assert not [words for words in (TOKEN, "metoprolol", "dyspnoea") if words in everything]


def _plain_loss(folder, corpus):
    """The mean loss of tokens hidden one at a time; a model of two steps hardly looks at the other tokens."""
    import torch
    from datasets import load_from_disk
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForMaskedLM, AutoTokenizer))
    means = []
    for text in load_from_disk(corpus)["validation"]["text"]:
        ids = torch.tensor(tokenizer(text, truncation=False, verbose=False)["input_ids"][:64])
        places = torch.arange(1, len(ids) - 1)
        hidden = ids.repeat(len(places), 1)
        hidden[torch.arange(len(places)), places] = tokenizer.mask_token_id
        with torch.no_grad():
            logits = model(input_ids=hidden).logits[torch.arange(len(places)), places]
        means.append(torch.nn.functional.cross_entropy(logits, ids[places]).item())
    return np.mean(means)


@pytest.fixture
def token(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)


def test_faults_show_before_the_training(token, hub, base, corpus, notes, tmp_path, monkeypatch):
    notes.to_json(tmp_path / "alone.jsonl")
    same = notes.select(range(12)).remove_columns(["patient_id", "document_id"])
    same.to_json(tmp_path / "same.jsonl")
    (tmp_path / "typo.yaml").write_text("licence: apache-2.0\n")
    few = notes.select(range(4)).map(lambda row: {key: f"{value} x" for key, value in row.items()})
    few.to_json(tmp_path / "few.jsonl")
    alone = training(base, tmp_path / "alone.jsonl", "--publish", REPO)
    good = training(base, corpus, "--publish", REPO)
    monkeypatch.setattr(pretrain, "build_model", lambda *_: pytest.fail("the training began"))
    for arguments, message in (
        (alone, "--publish needs validation documents"),
        ([*alone, "--validation_file", "few.jsonl"], "4 documents, too few for the privacy audit"),
        ([*alone, "--validation_file", "same.jsonl"], "12 texts are members and non-members"),
        (training(base, corpus, "--publish", "notes"), "ORG/NAME"),
        ([*good, "--statement", "typo.yaml"], "unknown key 'licence'; the nearest is 'license'"),
        ([*good, "--statement", "none.yaml"], "no such recipe"),
        ([*good, "--probe_label", "diagnosis"], "column 'diagnosis'"),
        ([*good, "--probe_label", "document_id"], "fewer than two classes"),
        ([*good, "--audit_reference", "nowhere/at/all"], "no such checkpoint folder"),
        ([*good, "--accept_privacy_risk", " "], "needs a reason"),
        ([*good, "--no_model_card"], "contradict each other"),
        (training(base, corpus, "--public"), "--public belongs to --publish"),
    ):
        with pytest.raises(InputError, match=message):
            pretrain.main(arguments)
        assert not Path("model").exists() and hub.requests == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="switches the Hub off"):
        pretrain.main(good)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    (corpus / "canaries.json").write_text("{}")
    with pytest.raises(InputError, match="not a file of canaries"):
        pretrain.main(good)


def test_the_reference_has_not_seen_the_notes(token, base, tmp_path):
    def plan(**options):
        publication = PublicationOptions(publish=REPO, **options)
        model = ModelOptions(model_name_or_path=str(base))
        return plan_publication(publication, CardOptions(), model, NotesOptions(train_file=["notes"]), None)

    assert plan().reference == str(base) and plan().canaries is None
    # A model that an earlier stage of ours adapted has seen them, and would hide what it remembers too.
    (base / "training_summary.json").write_text("{}")
    assert plan().reference is None and plan().base == str(base)
    assert plan(audit_reference=str(base)).reference == str(base)
    assert plan_publication(PublicationOptions(), CardOptions(), None, None, None) is None
    assert "RANK" not in os.environ
