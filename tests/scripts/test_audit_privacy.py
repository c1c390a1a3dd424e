"""The audit, whole: an over-trained model raises the alarm, the untouched base does not; faults are told."""

import json
import shutil
import string
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset, load_from_disk
from safetensors.torch import load_file, save_file

import pretrain
from audit_attacks import embedding_membership, secret_losses
from audit_documents import Side
from audit_options import AttackOptions, AuditOptions
from audit_privacy import audit, main
from corpora.canaries import CanaryOptions, make_canaries, read_canaries
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.preparation import prepare_notes
from corpora.splitting import SplitOptions
from modeling.masked_scores import MaskedScorer

WORDS = (
    "admitted with chest pain and dyspnoea on exertion no fever cough or rash noted today plan continue aspirin "
    "metoprolol review in clinic after echo well stable discharged home follow up seen by mr mrn the patient was"
).split()
CANARIES = CanaryOptions(canaries=1, canary_repetitions=[64], canary_digits=3)
WEIGHTS = "model.safetensors"
QUICK = AttackOptions(resamples=200, device="cpu")


def tiny_model(folder, names, family="bert"):
    """An untrained model whose vocabulary holds words, digits and the canaries' names."""
    from transformers import BertTokenizer, set_seed

    from modeling.from_scratch import EncoderSize, scratch_config, untrained_model

    letters = string.ascii_lowercase + string.digits
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), "/"]
    vocabulary += [".", *sorted({*WORDS, "locator", "of", "is", *names} - set(letters))]
    tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(vocabulary)})
    set_seed(0)
    model = untrained_model(scratch_config(family, EncoderSize(64, 2, 4, 256, 128, 0.0), tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def overtrain(base, corpus, output, *more):
    """Train far too long on the prepared notes as they are, with the canaries that were planted into them."""
    words = f"--objective mlm --model_name_or_path {base} --train_file {corpus} --output_dir {output} --use_cpu"
    words += " --no_concatenate_documents --max_length 64 --per_device_train_batch_size 32 --mlm_probability 0.3"
    words += " --save_strategy no --disable_tqdm --no_model_card"
    assert pretrain.main([*words.split(), *more]) == 0


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A corpus with canaries, an untouched model, and one trained on the corpus for far too long."""
    folder = tmp_path_factory.mktemp("audit")
    random = np.random.default_rng(0)
    rows = []
    for number in range(110):
        words = list(random.choice(WORDS, 8))
        words.insert(2, f"mrn {random.integers(10_000, 99_999)}")
        rows.append({"text": " ".join(words), "patient_id": f"SECRETPATIENT{number // 2}"})
    notes = folder / "notes.jsonl"
    notes.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare_notes(
        notes, folder / "corpus", canaries=CANARIES, splits=SplitOptions(0.0, 0.4),
        duplicates=DuplicateOptions(near_duplicate_threshold=0),
    )  # fmt: skip
    canary = read_canaries(folder / "corpus")[0]
    # Once in each of 64 documents: several in one could be copied from each other rather than remembered.
    copies = [text.count(canary.sentence()) for text in load_from_disk(folder / "corpus")["train"]["text"]]
    assert sum(copies) == 64 and max(copies) == 1 and len(copies) == 66
    names = [word.lower() for canary in make_canaries(CANARIES) for word in canary.name.split()]
    tiny_model(folder / "base", names)
    schedule = ["--max_steps", "250", "--learning_rate", "4e-3", "--lr_scheduler_type", "constant"]
    overtrain(folder / "base", folder / "corpus", folder / "trained", *schedule)
    # With relative positions a secret is the same wherever it stands, so that a tiny model learns it whole.
    tiny_model(folder / "relative", names, "modernbert")
    schedule = ["--max_steps", "160", "--learning_rate", "5e-3", "--warmup_steps", "0.1"]
    overtrain(folder / "relative", folder / "corpus", folder / "relative_trained", *schedule)
    return folder


def options(case, **changes):
    given = {"members": [str(case / "corpus")], "nonmembers": [str(case / "corpus")], "quiet": True}
    return AuditOptions(**(given | {"model": str(case / "base")} | changes))


def test_an_overtrained_model_raises_the_alarm(case, tmp_path, capsys):
    corpus, output = str(case / "corpus"), tmp_path / "out"
    main([
        str(case / "trained"), "--members", corpus, "--nonmembers", corpus, "--reference", str(case / "base"),
        "--output", str(output), "--resamples", "200", "--device", "cpu", "--quiet",
    ])  # fmt: skip
    text = (output / "privacy_audit.json").read_text()
    found = json.loads(text)
    assert found["verdict"] == "risk" and found["kind"] == "privacy_audit" and found["schema_version"] == 1
    assert found["documents"]["members"]["patients"] == 33
    for name in ("loss", "likelihood_ratio"):
        for unit in ("document", "patient"):
            auc = found["membership"]["attacks"][name][unit]["auc"]
            assert auc["low"] > 0.55 and auc["value"] > 0.7
    control = found["membership"]["attacks"]["reference_loss"]["document"]["auc"]
    assert control["low"] <= 0.5 <= control["high"]
    unseen, planted = found["canaries"]["groups"]
    assert (unseen["repetitions"], planted["repetitions"]) == (0, 64)
    assert found["canaries"]["method"] == "exact rank" and found["canaries"]["space_bits"] == pytest.approx(
        9.966, abs=1e-3
    )
    assert planted["mean_bits"]["value"] > unseen["mean_bits"]["value"] and unseen["p_value"] > 0.01
    identifiers = found["identifiers"]["kinds"]
    assert identifiers["number"]["members"] == 66 and identifiers["date"] is None
    assert found["embeddings"]["attacks"]["neighbour_margin"]["not_scored"] == 110  # too short for two halves
    printed = capsys.readouterr()
    assert printed.out.startswith("Risk:") and "64 times" in printed.out
    assert (output / "privacy_audit.png").stat().st_size > 10_000 and (output / "privacy_audit.svg").is_file()
    canary = read_canaries(case / "corpus")[0]
    written = text + printed.out + printed.err + (output / "privacy_audit.svg").read_text()
    for secret in ("SECRETPATIENT", canary.name, canary.secret + '"', "metoprolol", "notes-", str(case)):
        assert secret not in written
    assert sorted(file.name for file in output.iterdir()) == [
        "privacy_audit.json", "privacy_audit.png", "privacy_audit.svg",
    ]  # fmt: skip


def test_a_secret_that_was_planted_often_raises_the_alarm(case):
    for model, verdict in (("relative_trained", "risk"), ("relative", "low")):
        found = audit(options(case, model=str(case / model), attacks=["canaries"]), QUICK)
        unseen, planted = found["canaries"]["groups"]
        assert found["verdict"] == verdict and unseen["p_value"] > 0.01
        if verdict == "risk":
            assert planted["mean_bits"]["value"] > 8 and planted["p_value"] < 0.01
        else:
            assert planted["p_value"] > 0.01


def test_the_untouched_base_model_is_not_suspected(case):
    found = audit(options(case), QUICK)
    assert found["verdict"] == "low"
    for unit in ("document", "patient"):
        auc = found["membership"]["attacks"]["loss"][unit]["auc"]
        assert auc["low"] <= 0.5 <= auc["high"] and auc["high"] - auc["low"] > 0.1
    assert all(group["p_value"] > 0.01 for group in found["canaries"]["groups"])
    assert found["settings"]["reference"] is False and len(found["settings"]["weights_sha256"]) == 64


def test_the_audit_is_deterministic_and_its_seed_counts(case):
    wanted = {"attacks": ["membership", "identifiers"]}
    first, again = (audit(options(case, **wanted), QUICK) for _ in range(2))
    assert first == again and first["canaries"] is None and first["embeddings"] is None
    other = audit(options(case, **wanted), AttackOptions(resamples=200, device="cpu", seed=1))
    assert other["membership"]["mean_loss"] != first["membership"]["mean_loss"]


def test_secret_losses_equal_a_plain_loop(case):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(case / "trained") for kind in (AutoModelForMaskedLM, AutoTokenizer))
    canary = read_canaries(case / "corpus")[0]
    found = secret_losses(MaskedScorer([model], tokenizer, device="cpu"), canary, [canary.secret, "505"])
    for secret, loss in zip((canary.secret, "505"), found, strict=True):
        ids = tokenizer(canary.sentence(secret), return_tensors="pt")["input_ids"]
        expected = 0.0
        for place in (6, 7, 8):  # [CLS] locator of NAME NAME is
            hidden = ids.clone()
            hidden[0, place] = tokenizer.mask_token_id
            assert tokenizer.decode(ids[0, place]).strip() == secret[place - 6]
            with torch.no_grad():
                expected -= torch.log_softmax(model(input_ids=hidden).logits[0, place], 0)[ids[0, place]].item()
        assert loss == pytest.approx(expected, abs=1e-4)


def test_a_device_that_is_not_there_is_told_before_anything_is_read(make_encoder):
    unread = ["nowhere.jsonl"]
    with pytest.raises(InputError, match=r"^--device nonsense cannot be used here; give cpu, or leave it out$"):
        audit(
            AuditOptions(model=str(make_encoder("bert")), members=unread, nonmembers=unread),
            AttackOptions(device="nonsense"),
        )


def test_a_checkpoint_without_a_head_is_audited_by_its_embeddings(make_encoder, tmp_path):
    encoder = str(make_encoder("bert"))
    random = np.random.default_rng(5)
    sides = []
    for side in ("members", "nonmembers"):
        texts = [" ".join(random.choice(["fever", "cough", "chest", "pain", "knee"], 40)) for _ in range(30)]
        if side == "members":  # halves that say the same, as a model would see what it has been drawn to
            texts = [" ".join(2 * text.split()[:20]) for text in texts]
        Dataset.from_dict({"text": [*texts, f"one of the {side}"]}).to_json(tmp_path / f"{side}.jsonl")
        sides.append([str(tmp_path / f"{side}.jsonl")])
    found = audit(AuditOptions(model=encoder, members=sides[0], nonmembers=sides[1], quiet=True), QUICK)
    assert found["membership"] is None and found["settings"]["masked_lm_head"] is False
    assert sum("not measured" in sentence for sentence in found["sentences"]) == 3
    attacks = found["embeddings"]["attacks"]
    assert attacks["halves_similarity"]["document"]["auc"]["value"] == 1 and found["verdict"] == "risk"
    assert attacks["neighbour_margin"]["document"]["auc"]["value"] > 0.9
    assert attacks["neighbour_margin"]["patient"] is None and attacks["neighbour_margin"]["not_scored"] == 2
    # Against a reference that is the same nothing was gained, and the sides are seen to differ by themselves.
    same = tmp_path / "same"
    shutil.copytree(encoder, same)
    save_file(load_file(same / WEIGHTS), same / WEIGHTS, metadata={"format": "pt", "saved": "again"})
    found = audit(
        AuditOptions(model=encoder, reference=str(same), members=sides[0], nonmembers=sides[1], attacks=["embeddings"]),
        QUICK,
    )
    assert found["embeddings"]["attacks"]["likeness_gain"]["document"]["auc"]["value"] == 0.5
    assert found["verdict"] == "low" and any("does not count" in sentence for sentence in found["sentences"])


def test_halves_scores_equal_a_plain_loop(make_encoder):
    from audit_attacks import _halves_scores
    from modeling.document_encoder import DocumentEncoder

    random = np.random.default_rng(6)
    texts = [" ".join(random.choice(["fever", "cough", "chest", "pain"], 36)) for _ in range(6)]
    side = Side(Dataset.from_dict({"text": [*texts, "short"], "document_id": list("abcdefg")}), None, 7)
    encoder = DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu")
    cosines, margins = _halves_scores(encoder, [side])
    parts = [[" ".join(text.split()[start : start + 18]) for start in (0, 18)] for text in texts]
    vectors = np.stack([encoder.encode(pair) for pair in parts])
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    for row, (first, second) in enumerate(vectors):
        others = [first @ vectors[other, 1] for other in range(6) if other != row]
        assert cosines[row] == pytest.approx(first @ second, abs=1e-5)
        assert margins[row] == pytest.approx(first @ second - max(others), abs=1e-5)
    assert np.isnan(cosines[6]) and np.isnan(margins[6])


def test_patients_with_many_notes_on_one_side_are_no_sign_of_membership(make_encoder):
    """Notes of a patient repeat each other, and a patient lies on one side whole; the encoder has seen none of them."""
    from modeling.document_encoder import DocumentEncoder

    random = np.random.default_rng(8)
    words, number = ["fever", "cough", "chest", "pain", "knee", "swelling", "left", "right", "mild", "severe"], 0

    def side(patients, notes):
        nonlocal number
        texts = []
        for _ in range(patients):
            first = list(random.choice(words, 20))
            for _ in range(notes):
                second = list(random.choice(words, 20))
                second[:14] = first[:14]  # one template a patient: all the second halves are alike
                texts.append(" ".join([*random.choice(words, 20), *second]))
        ids = [f"note-{number + place}" for place in range(len(texts))]
        number += len(texts)
        return Side(Dataset.from_dict({"text": texts, "document_id": ids}), np.repeat(np.arange(patients), notes), 0)

    encoder = DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu")
    members, others = side(80, 1), side(10, 8)
    for first, second in ((members, others), (others, members)):
        attack = embedding_membership(encoder, None, first, second, QUICK)["attacks"]["neighbour_margin"]["document"]
        assert attack["auc"]["low"] <= 0.5 <= attack["auc"]["high"] and attack["members"] == 80


def test_faults_are_told(case, make_encoder, tmp_path, monkeypatch):
    corpus = str(case / "corpus")
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    train = load_from_disk(corpus)["train"]
    Dataset.from_dict({"text": train["text"][:12], "patient_id": ["x"] * 12}).to_json(tmp_path / "copied.jsonl")
    stripped = {"text": [f"other {number}" for number in range(12)], "patient_id": train["patient_id"][:12]}
    Dataset.from_dict(stripped).to_json(tmp_path / "patients.jsonl")
    Dataset.from_dict({"text": ["one", "two"]}).to_json(tmp_path / "few.jsonl")
    roberta = str(make_encoder("roberta"))
    tiny_model(tmp_path / "another", ["zebrafish"])
    shutil.copytree(case / "base", tmp_path / "copy")
    shutil.copytree(case / "base", tmp_path / "diverged")
    weights = {name: torch.full_like(value, torch.nan) for name, value in load_file(case / "base" / WEIGHTS).items()}
    save_file(weights, tmp_path / "diverged" / WEIGHTS, metadata={"format": "pt"})
    for changes, words in (
        ({"nonmembers": [str(tmp_path / "copied.jsonl")]}, "12 texts are members and non-members"),
        ({"nonmembers": [str(tmp_path / "patients.jsonl")]}, "patients have documents among members and non-members"),
        ({"nonmembers": [corpus], "nonmembers_split": ["train"]}, "members and non-members"),
        ({"nonmembers": [str(tmp_path / "few.jsonl")]}, "2 documents, too few"),
        ({"nonmembers": [str(empty)]}, "empty.jsonl"),
        ({"nonmembers_split": ["dev"]}, "no split 'dev'"),
        ({"model": str(make_encoder("bert")), "attacks": ["membership"]}, "no masked language modelling head"),
        ({"reference": roberta}, "no masked language modelling head; give --attacks embeddings"),
        ({"reference": str(tmp_path / "another")}, "another tokenizer"),
        ({"reference": str(tmp_path / "copy")}, "the reference has the very weights of the model"),
        ({"model": str(tmp_path / "diverged"), "attacks": ["membership"]}, "numbers that are not finite"),
        ({"model": str(tmp_path / "nowhere")}, "nowhere"),
        ({"canaries": str(empty)}, "not a file of canaries"),
    ):
        with pytest.raises(InputError) as fault:
            audit(options(case, **changes), QUICK)
        message = str(fault.value)
        assert words in message and "SECRETPATIENT" not in message and "metoprolol" not in message
    monkeypatch.setattr(sys, "argv", ["audit_privacy.py"])
    with pytest.raises(InputError, match="folds"):
        main([str(case / "base"), "--members", corpus, "--nonmembers", corpus, "--folds", "1"])
    assert not (case / "base" / "privacy_audit.json").exists()
