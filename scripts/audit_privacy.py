"""May these weights be shared? Attacks on a model's memory of its training notes, and a verdict in plain words.

    python scripts/audit_privacy.py MODEL --members corpus --nonmembers corpus --reference BASE

writes `privacy_audit.json` and a figure into the model's folder; neither holds words of a document nor ids.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_documents import Side, find_canaries, read_sides
from audit_options import ATTACKS, AttackOptions, AuditOptions
from command_line import RecipeParser, run
from corpora.canaries import Canary, read_canaries
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.records import ReadingOptions
from metrics.privacy_verdict import THRESHOLDS, privacy_verdict
from modeling.checkpoint_folder import check_checkpoint
from modeling.devices import check_device
from modeling.weights_digest import weights_digest

if TYPE_CHECKING:
    from modeling.masked_scores import MaskedScorer

RESULTS = "privacy_audit.json"
SCHEMA_VERSION = 1


def audit(options: AuditOptions, attacks: AttackOptions) -> dict[str, Any]:
    """Read both sides, run the attacks and judge them.

    Returns:
        The content of `privacy_audit.json`.

    Raises:
        InputError: A checkpoint, the documents, the canaries or the device are at fault, or an attack that was asked
            for needs a head that the checkpoint does not have.
    """
    check_checkpoint(options.model)
    if options.reference is not None:
        check_checkpoint(options.reference)
        if weights_digest(options.reference) == weights_digest(options.model):
            raise InputError(
                "the reference has the very weights of the model, and every comparison would find nothing",
                file=options.reference,
                remedy="give the checkpoint that training started from",
            )
    check_device(attacks.device)
    canary_file = find_canaries(options)
    canaries = read_canaries(canary_file) if canary_file is not None else None
    if canaries is None and "canaries" in (options.attacks or ()):
        raise InputError("--attacks canaries needs --canaries", remedy="give the file of prepare_notes.py --canaries")
    members, others = read_sides(options, attacks, ReadingOptions(on_missing_patient="keep"), canaries or ())
    wanted = options.attacks or ATTACKS
    masked = [name for name in wanted if name != "embeddings"]
    scorer = load_scorer(options.model, options.reference, attacks) if masked else None
    if masked and scorer is None and options.attacks is not None:
        raise InputError(
            f"the checkpoint has no masked language modelling head, which --attacks {masked[0]} needs",
            file=options.model,
            remedy="give --attacks embeddings",
        )
    if scorer is not None and options.reference is not None and len(scorer.models) < 2:
        raise InputError(
            "the reference has no masked language modelling head",
            file=options.reference,
            remedy="give --attacks embeddings, which needs none, or a reference that has one",
        )
    return attack_and_judge(
        options.model, options.reference, scorer, members, others, canaries, attacks, wanted, quiet=options.quiet
    )


def attack_and_judge(
    model: str,
    reference: str | None,
    scorer: MaskedScorer | None,
    members: Side,
    others: Side,
    canaries: Sequence[Canary] | None,
    attacks: AttackOptions,
    wanted: Sequence[str] = ATTACKS,
    *,
    quiet: bool = False,
) -> dict[str, Any]:
    """Run the attacks and judge them.

    Args:
        model: The audited checkpoint.
        reference: One that has not seen the members.
        scorer: From `load_scorer`; without one, the attacks that need a masked language modelling head stay out.
        members: Documents that the model was trained on.
        others: Documents of the same kind that it was not trained on.
        canaries: Those planted into the members, with the controls.
        attacks: How.
        wanted: Which of `ATTACKS`.
        quiet: Show no progress.

    Returns:
        The content of `privacy_audit.json`.
    """
    found: dict[str, Any] = dict.fromkeys(ATTACKS)
    if scorer is not None:
        found |= _masked_attacks(scorer, wanted, members, others, canaries, attacks, _Progress(shown=not quiet))
    if "embeddings" in wanted:
        found["embeddings"] = _embedding_attack(model, reference, attacks, members, others)
    verdict, sentences = privacy_verdict(found)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "privacy_audit",
        "notespace_version": version("notespace"),
        "verdict": verdict,
        "sentences": sentences,
        "thresholds": THRESHOLDS,
        **found,
        "documents": {"members": members.describe(), "nonmembers": others.describe()},
        "settings": {
            **{name: value for name, value in asdict(attacks).items() if name != "device"},
            "reference": reference is not None,
            "masked_lm_head": None if not set(wanted) - {"embeddings"} else scorer is not None,
            "weights_sha256": weights_digest(model),
        },
    }


def load_scorer(model: str, reference: str | None, attacks: AttackOptions) -> MaskedScorer | None:
    """Load a model, and the reference beside it where that has a head too; None for a checkpoint without a head.

    Raises:
        InputError: The two have different tokenizers.
    """
    from modeling.loading import load_masked_lm, load_tokenizer
    from modeling.masked_scores import MaskedScorer, check_same_tokenizer

    def load(path: str) -> Any:
        try:
            loaded, has_new_head = load_masked_lm(path)
        except InputError:
            return None  # an architecture without such a head; whether it loads at all, the embeddings will tell
        return None if has_new_head else loaded

    own = load(model)
    if own is None:
        return None
    tokenizer = load_tokenizer(model)
    other = load(reference) if reference is not None else None
    if other is not None:
        check_same_tokenizer(tokenizer, load_tokenizer(reference), reference)
    return MaskedScorer(
        [own] if other is None else [own, other],
        tokenizer,
        batch_size=attacks.batch_size,
        max_length=attacks.max_length,
        device=attacks.device,
        dtype=attacks.dtype,
    )


def _masked_attacks(
    scorer: MaskedScorer,
    wanted: Iterable[str],
    members: Side,
    others: Side,
    canaries: Sequence[Canary] | None,
    attacks: AttackOptions,
    progress: _Progress,
) -> dict[str, Any]:
    from audit_attacks import canary_exposure, masked_membership
    from audit_identifiers import identifier_recovery

    found: dict[str, Any] = {}
    if "membership" in wanted:
        found["membership"] = masked_membership(scorer, members, others, attacks, progress)
    if "canaries" in wanted and canaries is not None:
        found["canaries"] = canary_exposure(scorer, canaries, attacks)
    # Places of tokens in the text are known to fast tokenizers only.
    if "identifiers" in wanted and scorer.tokenizer.is_fast:
        found["identifiers"] = identifier_recovery(scorer, members, others, attacks)
    return found


def _embedding_attack(
    model: str, reference: str | None, attacks: AttackOptions, members: Side, others: Side
) -> dict[str, Any]:
    from audit_attacks import embedding_membership
    from modeling.document_encoder import DocumentEncoder

    encoder, other = (
        None
        if name is None
        else DocumentEncoder.from_pretrained(
            name, device=attacks.device, dtype=attacks.dtype, max_length=attacks.max_length
        )
        for name in (model, reference)
    )
    return embedding_membership(encoder, other, members, others, attacks)


class _Progress:
    """Wraps documents in a progress bar on stderr."""

    def __init__(self, *, shown: bool) -> None:
        self.shown = shown

    def __call__(self, items: Iterable, total: int) -> Iterable:
        from tqdm.auto import tqdm

        return tqdm(items, total=total, unit=" documents", desc="scoring", disable=not self.shown)


def write_audit(results: dict[str, Any], folder: Path, *, figure: bool = True) -> None:
    """Write the figure, and last the results, so that these say that the audit is complete."""
    if figure:
        from reporting.privacy_figure import draw_privacy_figure

        draw_privacy_figure(results, folder)
    write_json(folder / RESULTS, results)


def main(argv: list[str] | None = None) -> None:
    """Audit as the command line says, write the results and print the verdict."""
    options, attacks = RecipeParser(
        [AuditOptions, AttackOptions], description=" ".join(__doc__.split("\n\n")[0].split())
    ).parse(argv)
    check_checkpoint(options.model)
    folder = Path(options.output or options.model)
    if options.output is None and not folder.is_dir():
        raise InputError("a model of the Hub has no folder to write to", remedy="give --output")
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output")
    results = audit(options, attacks)
    folder.mkdir(parents=True, exist_ok=True)
    write_audit(results, folder, figure=options.figure)
    for sentence in results["sentences"]:
        print(sentence)
    if not options.quiet:
        print(f"\nAudit: {folder / RESULTS}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
