"""What `pretrain.py --publish` does with a finished model: evaluate, audit, write the card, check and push.

Each step leaves a file that says which weights it is of, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_options import AttackOptions
from command_line import RecipeParser
from corpora.canaries import CANARY_FILE, Canary, read_canaries
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.records import ReadingOptions
from launching import say
from modeling.checkpoint_folder import check_checkpoint
from pretrain_options import CardOptions, ModelOptions, NotesOptions
from publication_options import PublicationOptions
from publish import audited, prepared, send
from run_folder import SUMMARY, made_here

if TYPE_CHECKING:
    from datasets import DatasetDict

    from model_cards.card_facts import CardFacts
    from model_cards.publishing import HubTarget

EVALUATION = Path("results") / "evaluation.json"


@dataclass(frozen=True)
class RunPublication:
    """How a run is published, from `plan_publication`.

    Args:
        options: What the user said.
        target: Where on a Hub.
        notes: Where the documents are.
        reading: What was done about rows without a usable note.
        base: The model that the run starts from; None from scratch.
        reference: The audit's; None without one.
        canaries: Planted into the training documents; None where there are none.
        device: Where to compute; a GPU if there is one by default.
    """

    options: PublicationOptions
    target: HubTarget
    notes: NotesOptions
    reading: ReadingOptions
    base: str | None
    reference: str | None
    canaries: list[Canary] | None
    device: str | None = None

    def check_corpus(self, corpus: DatasetDict) -> None:
        """Look before a training whether its documents can be audited and evaluated after it.

        Raises:
            InputError: There are no validation documents, a side is too small, a document or a patient is on both, or
                the label to probe is no such thing.
        """
        from audit_documents import FEWEST_DOCUMENTS, check_apart
        from pretrain_evaluation import check_label

        file = (self.notes.validation_file or self.notes.train_file)[0]
        if "validation" not in corpus:
            raise InputError(
                "--publish needs validation documents, which the privacy audit compares the training documents with",
                file=file,
                remedy="name them in --validation_file, or prepare the notes with --validation_share",
            )
        for name, split in corpus.items():
            if len(split) < FEWEST_DOCUMENTS:
                raise InputError(
                    f"the {name} split holds {len(split)} documents, too few for the privacy audit of --publish",
                    file=file,
                    remedy=f"give {FEWEST_DOCUMENTS} at the least, better a thousand",
                )
        check_apart(corpus["train"], corpus["validation"], self.canaries or (), file)
        if self.options.probe_label is not None:
            check_label(corpus, self.options.probe_label, file)

    def publish(self, folder: Path, corpus: DatasetDict) -> None:
        """Evaluate, audit, write the card, check and push; what is done already is left as it is.

        Raises:
            InputError: The audit found a risk that nobody accepted, a finding stops the publication, or the Hub
                refuses. What was done until then stays, and the same command goes on from there.
        """
        from model_cards.publishing import LeakOptions
        from model_cards.render import write_card

        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        results = self._evaluated(folder, corpus, summary)
        self._audit(folder, corpus)
        facts = card_statement(self.options)
        facts = replace(facts, model=replace(facts.model, repo_id=self.target.repo_id))
        write_card(folder, replace(facts, results=results, result_name="adapted"))
        accepted_risk = audited(folder, self.options.accept_privacy_risk)
        leaks = LeakOptions(
            corpus=self._all_documents(),
            rare_words_report=self.options.rare_words_report,
            accept_rare_words=self.options.accept_rare_words,
        )
        send(prepared(folder, leaks, accepted_risk), self.target)

    def _evaluated(self, folder: Path, corpus: DatasetDict, summary: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the results of an evaluation of these weights, made now where there is none."""
        from modeling.weights_digest import weights_digest
        from pretrain_evaluation import evaluate_run

        file, label = folder / EVALUATION, self.options.probe_label
        if file.is_file():
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["weights_sha256"] == weights_digest(str(folder)) and content["label"] == label:
                say("evaluated already")
                return content["results"]
        say("\nevaluating on validation documents")
        masked = summary["objective"] == "mlm" or bool(summary["settings"].get("mlm_weight"))
        content = evaluate_run(folder, self.base, corpus, label, masked=masked, device=self.device)
        file.parent.mkdir(exist_ok=True)
        write_json(file, content)
        return content["results"]

    def _audit(self, folder: Path, corpus: DatasetDict) -> None:
        """Audit these weights, unless there is an audit of them."""
        from audit_documents import make_sides
        from audit_privacy import attack_and_judge, load_scorer, write_audit
        from model_cards.privacy_section import read_audit
        from modeling.weights_digest import weights_digest

        found = read_audit(folder)
        if found is not None and found["settings"].get("weights_sha256") == weights_digest(str(folder)):
            say("audited already")
            return
        say("auditing: training documents against validation documents")
        attacks = AttackOptions(max_documents=self.options.audit_documents, device=self.device)
        members, others = make_sides(corpus["train"], corpus["validation"], attacks, self.canaries or ())
        scorer = load_scorer(str(folder), self.reference, attacks)
        results = attack_and_judge(
            str(folder), self.reference, scorer, members, others, self.canaries, attacks, quiet=True
        )
        write_audit(results, folder)
        for sentence in results["sentences"]:
            say(f"    {sentence}")

    def _all_documents(self) -> DatasetDict:
        """Return all splits of all files, those that were not trained on too, for the leak check."""
        from datasets import DatasetDict

        from corpora.loading import load_corpus

        columns, found = self.notes.columns(), DatasetDict()
        for option in ("train_file", "validation_file"):
            files = getattr(self.notes, option)
            for name, split in load_corpus(files, columns, self.reading).items() if files else ():
                found[f"{option}-{name}"] = split
        return found


def plan_publication(
    options: PublicationOptions,
    card: CardOptions,
    model: ModelOptions,
    notes: NotesOptions,
    reading: ReadingOptions,
) -> RunPublication | None:
    """Look whether a publication can be made, before anything takes time; None where none is asked for.

    Raises:
        InputError: The repository's name is none, there is no access token, or a file is missing or at fault.
    """
    if options.publish is None:
        return None
    if not card.model_card:
        raise InputError("--publish and --no_model_card contradict each other", remedy="leave one of them out")
    from model_cards.publishing import HubTarget

    target = HubTarget(options.publish, options.public, options.gated, options.tag)
    target.repository()  # raises; nothing is asked of the Hub yet
    card_statement(options)
    for checkpoint in filter(None, (options.audit_reference,)):
        check_checkpoint(checkpoint)
    base = model.model_name_or_path
    canaries = Path(notes.train_file[0]) / CANARY_FILE
    return RunPublication(
        options=options,
        target=target,
        notes=notes,
        reading=reading,
        base=base,
        reference=options.audit_reference or (None if base is None or made_here(base) else base),
        canaries=read_canaries(canaries) if canaries.is_file() else None,
    )


def card_statement(options: PublicationOptions) -> CardFacts:
    """Read what people said of the model and its notes.

    Raises:
        InputError: The file is missing, or says something else.
    """
    from model_cards.card_facts import CardFacts
    from model_cards.statements import DataStatement, ModelStatement

    if options.statement is None:
        return CardFacts()
    if Path(options.statement).suffix.lower() not in (".yaml", ".yml"):
        raise InputError("is no YAML file", file=options.statement, remedy="give a file that ends in .yaml")
    model, data = RecipeParser([ModelStatement, DataStatement]).parse([options.statement])
    return CardFacts(model=model, data=data)
