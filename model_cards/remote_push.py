"""A set of files to a model repository of a Hub: in one commit or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpora.errors import InputError
from model_cards.allowed_files import is_publishable_name
from model_cards.retries import RetryPolicy, describe, is_passing, retrying, status_of, wait_after

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

CHUNK = 1 << 20
Gate = Literal["auto", "manual"]


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Args:
        commit: Commit of main that holds the files.
        changed: Files that were sent or removed; empty when the repository held them already.
    """

    commit: str
    changed: list[str]


@dataclass
class RemoteRepository:
    """A model repository, through `huggingface_hub.HfApi`.

    A push reads the state of main, sends what differs, and commits on top of that state: a commit of someone else in
    between is refused by the Hub and never overwritten. After a commit without an answer main is read again, as it may
    have succeeded.

    Args:
        api: The client, with its endpoint and token.
        repo_id: `ORG/NAME`.
        policy: What to do about passing faults.
        say: Takes lines for the user.
    """

    api: HfApi
    repo_id: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    say: Callable[[str], None] = print

    def open(self, *, public: bool, gated: Gate | None) -> None:
        """Create the repository, private, unless it is there, and set its gate.

        Raises:
            InputError: It is public already and `public` was not asked for, or the Hub refuses.
        """
        info = self._info()
        if info is None:
            create = lambda: self.api.create_repo(self.repo_id, private=True, exist_ok=True)  # noqa: E731
            self._request(create, "create the repository", "nothing was published")
            info = self._info()
            if info is None:
                raise InputError(f"the Hub does not show {self.repo_id} after creating it", remedy="try again later")
        if not info.private and not public:
            raise InputError(f"{self.repo_id} is public already", remedy="pass --public, or choose another --repo_id")
        if gated is not None and info.gated != gated:
            self._request(
                lambda: self.api.update_repo_settings(self.repo_id, gated=gated),
                "set the gate",
                "nothing was published",
            )

    def check_tag(self, tag: str, files: Mapping[str, Path]) -> None:
        """Check before a push that a tag is free, or marks these very files already.

        Raises:
            InputError: It marks other files; tags are never moved.
        """
        commit = self._tags().get(tag)
        if commit is None:
            return
        info = self._info()
        if info is None or info.sha != commit or any(_differences(info, files)):
            raise InputError(
                f"tag '{tag}' of {self.repo_id} marks another commit; {self.repo_id} was not changed",
                remedy="choose another --tag",
            )

    def push(self, files: Mapping[str, Path], message: str) -> Pushed:
        """Make main hold the files, in one commit.

        Files of an earlier publication that are not among them are removed by the same commit; files of other kinds
        are left alone.

        Args:
            files: Path in the repository to local file.
            message: First line of the commit's message.

        Raises:
            InputError: The Hub refuses, or stays out of reach; main is as it was.
        """
        start, sent = None, []
        for attempt in range(1, self.policy.attempts + 1):
            info = self._info()
            if info is None or info.sha is None:
                raise InputError(f"the Hub does not show {self.repo_id} any more", remedy="see whether it was renamed")
            changed, gone = _differences(info, files)
            if not changed and not gone:
                return Pushed(info.sha, sent)  # nothing was to do, or the commit before had gone through
            if start not in (None, info.sha):
                raise self._moved()
            start, sent = info.sha, [*changed, *gone]
            try:
                return Pushed(self._commit({name: files[name] for name in changed}, gone, message, start), sent)
            except Exception as error:
                # A conflict may be someone else's commit, which the next look at main tells, or theirs under way.
                passes = is_passing(error) or status_of(error) in (409, 412)
                if attempt == self.policy.attempts or not passes:
                    raise self._fault(error, "push the files", self._state_of_main(files)) from error
                wait_after(error, attempt, self.policy, self.say, "push")
        raise AssertionError("unreachable: the last attempt returns or raises")

    def tag(self, tag: str, commit: str) -> None:
        """Mark a commit, unless the tag does so already.

        Raises:
            InputError: The Hub refuses.
        """
        if self._tags().get(tag) != commit:
            self._request(
                lambda: self.api.create_tag(self.repo_id, tag=tag, revision=commit, exist_ok=True),
                f"set tag '{tag}'",
                "the files are published, without the tag; the same command sets it",
            )

    def make_public(self) -> None:
        """Let everybody see the repository.

        Raises:
            InputError: The Hub refuses.
        """
        info = self._info()
        if info is not None and info.private:
            self._request(
                lambda: self.api.update_repo_settings(self.repo_id, private=False),
                "make the repository public",
                "the files are published, and private still",
            )

    def download(self, files: Mapping[str, Path], commit: str, folder: Path) -> None:
        """Fetch files of a commit into a folder.

        Raises:
            InputError: The Hub refuses, or stays out of reach.
        """
        for name in files:
            fetch = lambda name=name: self.api.hf_hub_download(  # noqa: E731
                self.repo_id, name, revision=commit, local_dir=folder, force_download=True
            )
            self._request(fetch, f"download '{name}'", "the files are published, and not verified yet")

    def _commit(self, changed: Mapping[str, Path], gone: list[str], message: str, parent: str) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        additions = [CommitOperationAdd(name, str(file)) for name, file in changed.items()]
        removals = [CommitOperationDelete(name, is_folder=False) for name in gone]
        return self.api.create_commit(
            self.repo_id, [*additions, *removals], commit_message=message, revision="main", parent_commit=parent
        ).oid

    def _info(self) -> ModelInfo | None:
        """Return the state of main with the hashes of its files; None when there is no such repository."""

        def ask() -> ModelInfo | None:
            try:
                return self.api.model_info(self.repo_id, files_metadata=True)
            except Exception as error:
                if status_of(error) == 404:
                    return None
                raise

        return self._request(ask, "read the repository", "nothing was changed by this step")

    def _tags(self) -> dict[str, str]:
        refs = self._request(
            lambda: self.api.list_repo_refs(self.repo_id), "read the tags", "nothing was changed by this step"
        )
        return {tag.name: tag.target_commit for tag in refs.tags}

    def _request(self, request: Callable, what: str, state: str) -> object:
        try:
            return retrying(request, self.policy, self.say, what)
        except Exception as error:
            raise self._fault(error, what, state) from error

    def _state_of_main(self, files: Mapping[str, Path]) -> str:
        """Return a sentence on main after a push that failed."""
        try:
            info = self.api.model_info(self.repo_id, files_metadata=True)
        except Exception:
            return f"main of {self.repo_id} could not be read; it holds the old files or the new ones, never a mixture"
        if any(_differences(info, files)):
            return f"main of {self.repo_id} is as it was"
        return f"main of {self.repo_id} holds the new files; the same command verifies them"

    def _moved(self) -> InputError:
        return InputError(
            f"someone else changed {self.repo_id} during the push; their commit stands, and this one was not made",
            remedy="look at their change, then give the same command again",
        )

    def _fault(self, error: Exception, what: str, state: str) -> InputError:
        """Return the line for the user: what failed, the state of the repository, what to do."""
        status = status_of(error)
        remedies = {
            401: "log in with `hf auth login`, or set HF_TOKEN to a token that is valid",
            403: "use a token with write permission for this organisation",
            404: "check --repo_id and HF_ENDPOINT",
            413: "save the model in smaller shards",
        }
        remedy = remedies.get(status or 0, "check the network and HF_ENDPOINT, then give the same command again")
        detail = describe(error)
        if isinstance(error, ValueError) and not is_passing(error):
            detail, remedy = f"the client refused: {error}", "mend it, then give the same command again"
        said = getattr(error, "server_message", None)
        if said:
            detail += f": {said}"
        token = self.api.token if isinstance(self.api.token, str) else ""
        detail = " ".join(detail.replace(token, "***").split() if token else detail.split())[:300]
        return InputError(f"could not {what} ({detail}); {state}", file=self.repo_id, remedy=remedy)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, as Git LFS names it."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _git_hash(file: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _differences(info: ModelInfo, files: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Return the files to send and those of an earlier publication to remove."""
    remote = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    changed = [name for name, file in files.items() if name not in remote or not _is_same(remote[name], file)]
    return changed, sorted(name for name in remote if name not in files and is_publishable_name(name))


def _is_same(remote: RepoSibling, file: Path) -> bool:
    if remote.size != file.stat().st_size:
        return False
    return remote.lfs.sha256 == sha256_of(file) if remote.lfs else remote.blob_id == _git_hash(file)
