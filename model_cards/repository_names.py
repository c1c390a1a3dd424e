"""Names of repositories on a Hub."""

from __future__ import annotations

from corpora.errors import InputError


def check_repo_id(repo_id: str) -> None:
    """Make sure that a name can be that of a repository, without asking a Hub.

    Args:
        repo_id: What the user calls it.

    Raises:
        InputError: It is not of the form `ORG/NAME`, or holds what a Hub refuses.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    fault = InputError("is no name of a repository", file=repo_id, remedy="give ORG/NAME")
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise fault from error
    if repo_id.count("/") != 1:
        raise fault
