"""How long the steps of a study will take: arithmetic at first, then what finished steps took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from classify_options import DEFAULT_METHODS, WITH_ENCODER, reads_embeddings
from corpora.json_files import read_json
from reporting.durations import minutes
from reporting.study_results import BASE
from study_plan import Step
from study_recipe import PREPARED
from study_runner import StudyFolder, Work

# Of a GPU's or CPU's speed on large products of matrices, what an encoder comes to.
EFFICIENCY = 0.35
# Seconds that a script needs to start and to import the libraries.
START = 10.0
DEMO_WORDS_A_PATIENT, TOKENS_A_WORD, BYTES_A_WORD, GZIP = 250, 1.4, 6.5, 3.5
# For bases that are not there yet and say nothing: the shape of roberta-base.
ROBERTA_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 50_265}
MASKED_SHARE, BACKWARD = 0.15, 3.0
FINE_TUNED_CLASSES = 10


class TimeTable:
    """Estimated seconds of each step.

    Before the first step of a kind is finished, floating-point operations (2 a weight and token; three times as many to
    train) over the measured speed of the machine; after it, the same number times what the finished ones took over
    their estimate.

    Args:
        folder: Of the study.
        steps: Those that will run.
        threads: Processor threads of a step; all where None.
    """

    def __init__(self, folder: StudyFolder, steps: Sequence[Step], threads: int | None = None) -> None:
        self.folder, self.steps, self.threads, self._rate = folder, steps, threads, None
        self._taken: dict[str, tuple[float, float]] = {}
        for step in steps:
            if folder.record(step) is not None:
                self.learn(step)

    def learn(self, step: Step) -> None:
        """Take the time of a finished step into account."""
        record = self.folder.record(step)
        taken, guessed = self._taken.get(step.script, (0.0, 0.0))
        if record is not None:
            self._taken[step.script] = (taken + record["seconds"], guessed + self._guess(step))

    def estimate(self, step: Step) -> float:
        """Return the seconds that a step will take."""
        known = [pair for script, pair in self._taken.items() if script in _OPERATIONS]
        taken, guessed = self._taken.get(step.script) or (
            sum(one for one, _ in known),
            sum(one for _, one in known),
        )
        return self._guess(step) * (taken / guessed if guessed else 1.0)

    def left(self, waiting: Sequence[Step], works: Sequence[Work] = (), jobs: int = 1) -> float:
        """Return the seconds until the last of some steps is finished.

        Args:
            waiting: Steps that are not at work yet, in the order in which they are started.
            works: Steps at work.
            jobs: Steps at work at the same time.
        """
        ends = [(max(0.0, self.estimate(work.step) - work.seconds()), work.step.name) for work in works]
        waiting, now = [step for step in waiting if not self.folder.is_finished(step)], 0.0
        while waiting or ends:
            open_names = {step.name for step in waiting} | {name for _, name in ends}
            ready = [step for step in waiting if not open_names & step.waits_for][: jobs - len(ends)]
            for step in ready:
                waiting.remove(step)
                ends.append((now + self.estimate(step), step.name))
            first = min(ends)
            ends.remove(first)
            now = first[0]
        return now

    def plan(self, redone: Sequence[str] = (), jobs: int = 1) -> str:
        """Return the steps with their states and times as a table.

        Args:
            redone: Names of steps whose results would be deleted.
            jobs: Steps at work at the same time.
        """
        width = max(len(step.name) for step in self.steps)
        lines, waiting = [f"{'step':<{width}}  {'script':<22} {'time':>12}  state"], []
        for step in self.steps:
            record = self.folder.record(step)
            if record is not None and step.name not in redone:
                done = self.folder.is_finished(step)
                state, seconds = "finished" if done else "finished with other settings", record["seconds"]
                if step.takes_what_is_there and not done:
                    state = "to do again"
            else:
                state, seconds = "to do", self.estimate(step)
                waiting.append(step)
            about = "" if state != "to do" else "~ "
            lines.append(f"{step.name:<{width}}  {step.script:<22} {about + minutes(seconds):>12}  {state}")
        total = minutes(self.left(waiting, jobs=jobs))
        return "\n".join([*lines, "", f"About {total} on this machine for what is to do."])

    def _guess(self, step: Step) -> float:
        return (
            START + _OPERATIONS.get(step.script, lambda *_: 0.0)(self, step) / self.rate() + _PLAIN.get(step.script, 0)
        )

    def rate(self) -> float:
        """Return the floating-point operations a second that an encoder comes to on this machine; measured once."""
        if self._rate is None:
            import torch

            if self.threads is not None:
                torch.set_num_threads(self.threads)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            left, right = torch.ones(2048, 384, device=device), torch.ones(384, 1536, device=device)
            count, begun = 0, None
            while begun is None or time.perf_counter() - begun < 0.2:
                product = left @ right
                product[0, 0].item()  # waits for a GPU
                begun, count = (time.perf_counter(), 0) if begun is None else (begun, count + 1)
            self._rate = EFFICIENCY * count * 2 * left.numel() * right.shape[1] / (time.perf_counter() - begun)
        return self._rate

    def _encoder(self, checkpoint: str | None) -> Mapping[str, Any]:
        """Return the sizes of the encoder that a step works with."""
        config = read_json(Path(checkpoint) / "config.json") if checkpoint else None
        if config is None:
            config = self._base()
        # DistilBERT has names of its own.
        names = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "vocab_size": "vocab_size"}
        return {name: config.get(name, config.get(other, ROBERTA_BASE[name])) for name, other in names.items()}

    def _base(self) -> Mapping[str, Any]:
        """Return the sizes of the base, which are those of every model of a study."""
        steps = self.folder.steps.values()
        made = {str(step.folder) for step in steps}
        for step in steps:
            if step.name == BASE:
                return step.options
            start = step.options.get("model_name_or_path")
            config = read_json(Path(start) / "config.json") if start and start not in made else None
            if config is not None:
                return config
        return ROBERTA_BASE

    def _forward(self, checkpoint: str | None, masked: bool = False) -> float:
        """Return the operations of one token, with the share of tokens whose words are predicted where asked."""
        sizes = self._encoder(checkpoint)
        weights = 12 * sizes["num_hidden_layers"] * sizes["hidden_size"] ** 2
        return 2.0 * (weights + masked * MASKED_SHARE * sizes["vocab_size"] * sizes["hidden_size"])

    def _corpus(self, folder: str) -> tuple[float, float]:
        """Return documents and tokens of a prepared corpus, or of what it will be prepared from."""
        step = next((one for one in self.folder.steps.values() if str(one.folder) == folder), None)
        files = step.options.get("input_files", []) if step is not None else []
        made = next((one for one in self.folder.steps.values() if [str(one.made)] == files), None)
        if made is not None:
            patients = made.options.get("patients", 1000)
            return 4 * patients, patients * DEMO_WORDS_A_PATIENT * TOKENS_A_WORD
        found = [Path(file) for file in files if Path(file).is_file()]
        read = sum(file.stat().st_size * (GZIP if file.suffix == ".gz" else 1) for file in found)
        tokens = read / BYTES_A_WORD * TOKENS_A_WORD
        tokens *= step.options.get("sample_share", 1.0) if step is not None else 1.0
        report = read_json(Path(folder) / PREPARED)
        if report is None:
            return max(1.0, tokens / 400), tokens
        words = sum(split["words"] for split in report["splits"].values())
        return report["documents_kept"], words * TOKENS_A_WORD

    def _pretraining(self, step: Step) -> float:
        options = step.options
        documents, tokens = map(sum, zip(*(self._corpus(file) for file in options["train_file"]), strict=True))
        read = options.get("train_tokens") or tokens * 0.8 * options.get("num_train_epochs", 3)
        if options.get("max_steps", -1) > 0:
            read = options["max_steps"] * options.get("per_device_train_batch_size", 8) * min(512, tokens / documents)
        return BACKWARD * read * self._forward(options.get("model_name_or_path"), masked=True)

    def _classification(self, step: Step) -> float:
        options = step.options
        documents, tokens = self._corpus(options["data"][0])
        length = min(tokens / documents, options.get("window_length") or 512)
        models = [entry.partition("=")[2] for entry in options["models"]]
        trained = [name for name in options.get("methods", DEFAULT_METHODS) if name in WITH_ENCODER]
        cells = options.get("seeds", 5) * len(trained) * max(1, len(options.get("freeze", [0])))
        read = 0.0
        for shots in options.get("shots", [0, 8, 16, 32, 64, 128, 200]):
            training = min(0.7 * documents, shots * FINE_TUNED_CLASSES) if shots else 0.7 * documents
            a_pass = BACKWARD * training + 0.1 * documents
            read += cells * (options.get("epochs", 10) * a_pass + 0.2 * documents) * length
        if self._is_first(step, "embedding_cache", reads_embeddings):
            # Head, and head and tail, are one window of each document; all other readings share all windows.
            readings = options.get("readings", ["windows"])
            heads = sum(name.startswith("head") for name in readings)
            read += heads * documents * length + (heads < len(readings)) * tokens
        return sum(read * self._forward(model) for model in models)

    def _space(self, step: Step) -> float:
        _, tokens = self._corpus(step.options["data"][0])
        # The test documents and their halves.
        read = 0.6 * tokens if self._is_first(step, "embeddings_dir", lambda one: True) else 0.0
        return read * sum(self._forward(entry.partition("=")[2]) for entry in step.options["spaces"])

    def _is_first(self, step: Step, cache: str, embeds: Callable[[Mapping[str, Any]], Any]) -> bool:
        """Tell whether a step embeds documents that no step before it has embedded into the same cache."""
        same = (
            one.name
            for one in self.folder.steps.values()
            if one.script == step.script
            and (one.options["data"], one.options.get(cache)) == (step.options["data"], step.options.get(cache))
            and embeds(one.options)
        )
        return next(same, None) == step.name

    def _audit(self, step: Step) -> float:
        documents, tokens = self._corpus(step.options["members"][0])
        options = step.options
        read = tokens * min(1.0, (options.get("max_documents") or documents) / documents)
        folds = options.get("folds", 7) if options.get("attacks") != ["embeddings"] else 1
        return 2 * folds * read * self._forward(options["model"], masked=True)

    def _tagging(self, step: Step) -> float:
        options = step.options
        if step.subcommand != "train":
            return 0.0
        files = [Path(file) for file in options["train_file"] if Path(file).is_file()]
        read = sum(file.stat().st_size * (GZIP if file.suffix == ".gz" else 1) for file in files) or 200_000
        tokens = read / 8 * options.get("epochs", 4) * options.get("seeds", 3)
        tokens *= sum(options.get("train_shares", [100.0])) / 100
        return (BACKWARD + 0.3) * tokens * self._forward(options["model_name_or_path"])


_OPERATIONS = {
    "pretrain.py": TimeTable._pretraining,
    "classify.py": TimeTable._classification,
    "analyse_embeddings.py": TimeTable._space,
    "audit_privacy.py": TimeTable._audit,
    "tag.py": TimeTable._tagging,
}
# Seconds beside the encoder: probes and intervals, maps and clusters.
_PLAIN = {"classify.py": 60.0, "analyse_embeddings.py": 60.0, "report_study.py": 30.0}
