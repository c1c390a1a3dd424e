"""From a checkpoint folder to a Hub or a parcel: checked before, in one piece, verified after."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpora.errors import InputError
from model_cards.allowed_files import sort_files
from model_cards.card_files import AUDIT, CARD
from model_cards.findings import Finding
from model_cards.leak_check import MAX_FILE_BYTES, RARE_BELOW, check_folder
from model_cards.privacy_section import AGAIN, read_audit
from model_cards.remote_push import Gate, RemoteRepository, sha256_of
from model_cards.repository_names import check_repo_id
from model_cards.retries import RetryPolicy, hide_signed_addresses
from model_cards.transfer import unpack, write_folder, write_zip
from modeling.weights_digest import weights_digest

if TYPE_CHECKING:
    import numpy as np
    from datasets import DatasetDict

    from corpora.columns import NoteColumns
    from corpora.records import ReadingOptions


@dataclass(frozen=True)
class Publication:
    """What passed the checks and may go.

    Args:
        folder: The checkpoint folder.
        hashes: File in the folder to SHA-256, as it was checked.
        outputs: Loader to its output, from `model_cards.loader_check.loader_outputs`.
    """

    folder: Path
    hashes: Mapping[str, str]
    outputs: Mapping[str, np.ndarray]

    @property
    def files(self) -> dict[str, Path]:
        """Return the files by their name in the repository."""
        return {name: self.folder / name for name in self.hashes}

    def verify(self, folder: Path, place: str) -> None:
        """Compare files that came back from somewhere with those that were checked, byte by byte and as a model.

        Raises:
            InputError: They differ.
        """
        from model_cards.loader_check import check_equal, loader_outputs

        wrong = [name for name, digest in self.hashes.items() if not _is(folder / name, digest)]
        if wrong:
            raise InputError(
                f"{len(wrong)} of {len(self.hashes)} files are not those that were checked ({', '.join(wrong[:3])})",
                file=place,
                remedy="see whether the folder was changed meanwhile, then give the same command again",
            )
        outputs = loader_outputs(folder)
        for name, values in self.outputs.items():
            check_equal(values, outputs[name], f"{name} gives another output there", place)


@dataclass(frozen=True)
class LeakOptions:
    """What `model_cards.leak_check.check_folder` is to look for, and what of it is accepted.

    Args:
        corpus: Training corpus, or where it lies; None leaves the comparison with it out.
        columns: Its columns, when it is not prepared.
        reading: What to do about rows without a usable note.
        leave_out: Patterns of files that stay behind.
        max_file_bytes: Largest file.
        rare_below: Patients below which a word of the vocabulary is rare.
        rare_words_report: Local file for the rare words.
        accept_rare_words: Publish a vocabulary with rare words.
    """

    corpus: Sequence[str | Path] | DatasetDict | None
    columns: NoteColumns | None = None
    reading: ReadingOptions | None = None
    leave_out: Sequence[str] = field(default=())
    max_file_bytes: int = MAX_FILE_BYTES
    rare_below: int = RARE_BELOW
    rare_words_report: str | Path | None = None
    accept_rare_words: bool = False

    def check(self, folder: Path) -> list[Finding]:
        """Check a folder; see `check_folder`."""
        found = check_folder(
            folder,
            self.corpus,
            columns=self.columns,
            reading=self.reading,
            leave_out=self.leave_out,
            max_file_bytes=self.max_file_bytes,
            rare_below=self.rare_below,
            rare_words_report=self.rare_words_report,
        )
        return [finding for finding in found if not (self.accept_rare_words and finding.is_of_vocabulary)]


def check_audit(folder: Path, accepted_risk: str | None) -> str | None:
    """Read the verdict of the privacy audit.

    Args:
        folder: Checkpoint folder; the audit is its `privacy_audit.json`.
        accepted_risk: Why the weights are to be published against the verdict.

    Returns:
        The verdict; None without an audit.

    Raises:
        InputError: The verdict is a risk that nobody accepted, the audit is of other weights, or the file is damaged.
    """
    audit, file = read_audit(folder), folder / AUDIT
    if audit is None:
        return None
    audited, verdict = audit["settings"].get("weights_sha256"), audit["verdict"]
    if audited is not None and audited != weights_digest(folder):
        raise InputError("the audit is of other weights than those in the folder", file=file, remedy=AGAIN)
    if verdict == "risk" and not (accepted_risk or "").strip():
        raise InputError(
            "the privacy audit found that the weights tell of their training documents",
            file=file,
            remedy="train less long or on deduplicated notes, or give a reason in --accept_privacy_risk, which "
            "the card will show",
        )
    return verdict


def card_with_risk(folder: Path, reason: str) -> str:
    """Return the card as `model_cards.render.write_card` would write it with an accepted risk; nothing is written."""
    from model_cards.card_facts import read_facts
    from model_cards.kept_regions import put_back, read_regions
    from model_cards.render import render_card

    file = folder / CARD
    earlier = read_regions(file.read_text(encoding="utf-8"), file) if file.is_file() else {}
    return put_back(render_card(folder, replace(read_facts(folder), accepted_risk=reason)), earlier)


def checked(folder: str | Path, options: LeakOptions, say: Callable[[str], None] = print) -> Publication:
    """Check a folder for leaks, load it with every loader, and note the hashes of what may go.

    Args:
        folder: Checkpoint folder with its card.
        options: What to look for.
        say: Takes lines for the user.

    Raises:
        InputError: A finding stops the publication, the card is missing, or a loader fails.
    """
    from model_cards.loader_check import loader_outputs

    folder = Path(folder)
    files = sort_files(folder, options.leave_out).allowed
    # Before the check: a file that changes after it shows as another hash in the end.
    hashes = {name.as_posix(): sha256_of(folder / name) for name in files}
    refuse(folder, options.check(folder), say)
    if CARD not in hashes:
        raise InputError("the card is missing", file=folder / CARD, remedy="write one with scripts/make_card.py")
    outputs = loader_outputs(folder)
    say(f"loaders agree: {', '.join(outputs)}")
    return Publication(folder, hashes, outputs)


def refuse(folder: Path, findings: Sequence[Finding], say: Callable[[str], None]) -> None:
    """Show all findings, and stop at those that forbid a publication.

    Raises:
        InputError: There are such findings.
    """
    for finding in findings:
        say(f"{'stop' if finding.stops else 'note'}: {finding}")
    stopping = [finding for finding in findings if finding.stops]
    if stopping:
        more = f" and {len(stopping) - 2} more" if len(stopping) > 2 else ""
        raise InputError(f"not to be published: {'. '.join(map(str, stopping[:2]))}{more}", file=folder)


@dataclass(frozen=True)
class HubTarget:
    """Where on a Hub a publication goes, and how.

    Args:
        repo_id: `ORG/NAME`.
        public: Let everybody see it, once it is verified. A repository is private otherwise.
        gated: Readers ask for access first: granted by itself (`auto`) or by an owner (`manual`).
        tag: Name for the commit; never moved afterwards.
        message: First line of the commit's message.
        endpoint: Address of the Hub; `HF_ENDPOINT` or the public Hub by default.
        token: Access token; from `hf auth login` or `HF_TOKEN` by default.
        policy: What to do about passing faults.
    """

    repo_id: str
    public: bool = False
    gated: Gate | None = None
    tag: str | None = None
    message: str = "Publish model"
    endpoint: str | None = None
    token: str | None = None
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    def repository(self, say: Callable[[str], None] = print) -> RemoteRepository:
        """Return the repository, before any request.

        Raises:
            InputError: The name is none, the Hub is switched off, or there is no token.
        """
        from huggingface_hub import HfApi, get_token

        from modeling.checkpoint_folder import hub_is_offline

        check_repo_id(self.repo_id)
        if hub_is_offline():
            raise InputError(
                "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE switches the Hub off",
                remedy="unset it, or publish with --target folder or --target zip",
            )
        token = self.token or get_token()
        if not token:
            raise InputError("there is no access token", remedy="log in with `hf auth login`, or set HF_TOKEN")
        hide_signed_addresses()
        return RemoteRepository(HfApi(endpoint=self.endpoint, token=token), self.repo_id, self.policy, say)


def publish(publication: Publication, target: HubTarget, say: Callable[[str], None] = print) -> str:
    """Publish to a Hub: one commit, verified by a download, then tagged, then public if asked.

    Killed or failed at any point, main holds either all of the old files or all of the new ones, and the same call
    completes it. A second call finds everything done and changes nothing.

    Args:
        publication: From `checked`.
        target: Where it goes.
        say: Takes lines for the user.

    Returns:
        The commit.

    Raises:
        InputError: The Hub refuses or stays out of reach, or what comes back differs. The message tells the state of
            the repository.
    """
    remote = target.repository(say)
    remote.open(public=target.public, gated=target.gated)
    if target.tag is not None:
        remote.check_tag(target.tag, publication.files)
    pushed = remote.push(publication.files, target.message)
    say(f"{target.repo_id}: {f'{len(pushed.changed)} files changed' if pushed.changed else 'up to date'}")
    with tempfile.TemporaryDirectory() as folder:
        remote.download(publication.files, pushed.commit, Path(folder))
        publication.verify(Path(folder), f"{target.repo_id} at {pushed.commit[:8]}")
    say(f"verified: {len(publication.hashes)} files came back as they were sent, and give the same when loaded")
    if target.tag is not None:
        remote.tag(target.tag, pushed.commit)
    if target.public:
        remote.make_public()
    return pushed.commit


def write_parcel(publication: Publication, kind: Literal["folder", "zip"], target: Path) -> bool:
    """Write the files with a SHA-256 manifest, to be carried to where there is no network; verified like a push.

    Args:
        publication: From `checked`.
        kind: `folder` or `zip`.
        target: The folder or the zip to write, outside the checkpoint folder.

    Returns:
        False when it is there already with these very files.

    Raises:
        InputError: The target is there with other content, or what was written differs.
    """
    if target.resolve().is_relative_to(publication.folder.resolve()):
        raise InputError("lies in the folder to publish", file=target, remedy="choose another --output")
    if not target.resolve().parent.is_dir():
        raise InputError("no such folder to write into", file=target.parent, remedy="choose another --output")
    write = {"folder": write_folder, "zip": write_zip}[kind]
    written = write(publication.files, publication.hashes, target)
    with tempfile.TemporaryDirectory() as folder:
        publication.verify(unpack(target, Path(folder)), str(target))
    return written


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and sha256_of(file) == digest
