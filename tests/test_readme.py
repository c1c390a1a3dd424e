"""The README's code runs, and what it names exists."""

import re
from pathlib import Path

from datasets import DatasetDict

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
USE, CATEGORIES, TAGGER, TRAIN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_python_examples_run(make_model, notes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    model, tokenizer = make_model("roberta", window=140)
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    DatasetDict({"train": notes}).save_to_disk("corpus")
    # Four steps on the CPU in place of an epoch wherever the reader's machine runs it.
    assert "num_train_epochs=1" in TRAIN
    exec(TRAIN.replace("num_train_epochs=1", "max_steps=4, use_cpu=True, disable_tqdm=True"), {})
    assert (tmp_path / "model" / "modules.json").is_file()
    metadata = TRAIN.replace("DeclutrArguments(", 'DeclutrArguments(category_columns=["note_category"], output_dir=')
    exec(metadata.replace("num_train_epochs=1", "max_steps=2, use_cpu=True, disable_tqdm=True"), {})
    capsys.readouterr()
    exec(CATEGORIES, {})
    printed = capsys.readouterr().out
    assert "'Nursing': " in printed and "'Radiology': " in printed
    exec(USE.replace("runs/demo/declutr", "model"), {})
    assert capsys.readouterr().out.count("1.0000") == 3  # the diagonal of a 3 x 3 similarity matrix


def test_the_tagger_example_runs(make_model, tmp_path, monkeypatch, capsys):
    from modeling.tagger import TokenTagger

    monkeypatch.chdir(tmp_path)
    model, tokenizer = make_model("bert")
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    tagger = TokenTagger.from_encoder("base", ["Drug"])
    # Every word is a drug of its own, so that there is something to print.
    tagger.classifier.bias.data[tagger.config.tags.index("B-Drug")] = 50.0
    tagger.save_pretrained("tagger/model")
    tokenizer.save_pretrained("tagger/model")
    exec(TAGGER, {})
    assert capsys.readouterr().out.splitlines()[1] == "Drug 8 15 1.0"


def test_files_and_options_that_the_readme_names_exist():
    scripts = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("scripts/*.py"))
    options = scripts + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "trainers").glob("*.py"))
    for room in ("corpora", "model_cards"):
        options += "".join(path.read_text(encoding="utf-8") for path in (ROOT / room).glob("*.py"))
    for name in set(re.findall(r"(?:recipes|scripts|benchmarks)/[\w/]+\.\w+", README)):
        assert (ROOT / name).is_file(), name
    for name in set(re.findall(r"`(\w+\.yaml)`", README)):
        assert (ROOT / "recipes" / name).is_file(), name
    # Of argparse, accelerate, torchrun and TrainingArguments.
    outside = {"help", "config_file", "nproc", "bf16", "gradient_checkpointing", "output_dir", "no_crf"}
    outside |= {"torch_compile", "no_unpadded"}
    for name in set(re.findall(r"--(\w+)", README)) - outside:
        assert re.search(rf"^    {name}: ", options, re.MULTILINE), name
