"""Requests to a Hub that may be busy or out of reach for a while."""

from __future__ import annotations

import json
import logging
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


class _WithoutQueries(logging.Filter):
    """Cuts what follows the question mark of an address: storage addresses are signed there."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", record.getMessage()), None
        return True


_WITHOUT_QUERIES = _WithoutQueries()


def hide_signed_addresses() -> None:
    """Keep signatures out of the lines that the Hub's client logs when it tries again."""
    logging.getLogger("huggingface_hub.utils._http").addFilter(_WITHOUT_QUERIES)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after what time a request is repeated.

    Args:
        attempts: Tries in all.
        first_wait: Seconds before the second try; each further wait is twice as long, with a random share so that many
            machines do not come back at once.
        longest_wait: Seconds at most, also where the server asks for more by Retry-After.
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 120.0

    def wait(self, attempt: int, asked: float | None) -> float:
        """Return the seconds to wait after the failure of a try (the first is 1)."""
        growing = self.first_wait * 2 ** (attempt - 1) * (1 + random.random() / 4)
        return min(self.longest_wait, max(growing, asked or 0.0))


def retrying(request: Callable[[], Result], policy: RetryPolicy, say: Callable[[str], None], what: str) -> Result:
    """Call a function, again after a passing fault: 408, 429, 5xx, a lost connection, no answer in time.

    Args:
        request: The call.
        policy: Number of tries and waits.
        say: Takes a line for the user before each wait.
        what: Name of the step in those lines.

    Raises:
        Exception: The last failure, or any that will not pass.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            return request()
        except Exception as error:
            if attempt == policy.attempts or not is_passing(error):
                raise
            wait_after(error, attempt, policy, say, what)
    raise ValueError("a request needs at least one attempt")


def wait_after(error: BaseException, attempt: int, policy: RetryPolicy, say: Callable[[str], None], what: str) -> None:
    """Tell the user of a passing fault, and wait as the policy and the server say."""
    seconds = policy.wait(attempt, retry_after(error))
    say(f"{what}: {describe(error)}; trying again in {seconds:.0f} s ({attempt} of {policy.attempts - 1})")
    time.sleep(seconds)


def is_passing(error: BaseException) -> bool:
    """Tell whether a request that failed so may succeed later."""
    status = status_of(error)
    if status is not None:
        return status in (408, 425, 429) or status >= 500
    # A proxy's error page is not JSON, which the Hub's client finds out only when it reads it.
    return any(isinstance(link, (_connection_faults(), json.JSONDecodeError)) for link in _chain(error))


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status in an error or in what caused it; None for a lost connection and other faults."""
    response = _response(error)
    return None if response is None else response.status_code


def retry_after(error: BaseException) -> float | None:
    """Return the seconds that a server asks to wait; its other form, a date, is passed over."""
    response = _response(error)
    value = "" if response is None else response.headers.get("Retry-After", "")
    return float(value) if value.strip().isdigit() else None


def describe(error: BaseException) -> str:
    """Return a few words on a failed request, without addresses or headers."""
    status = status_of(error)
    if status is not None:
        return {429: "the Hub asks for a pause (429)"}.get(status, f"the Hub answered {status}")
    for link in _chain(error):
        if isinstance(link, _connection_faults()):
            slow = "Timeout" in type(link).__name__
            return "no answer in time" if slow else "the connection was lost"
        if isinstance(link, json.JSONDecodeError):
            return "the answer was not the Hub's"
    return type(error).__name__


def _response(error: BaseException) -> Any | None:
    from huggingface_hub.errors import HfHubHTTPError

    found = (link for link in _chain(error) if isinstance(link, HfHubHTTPError) and link.response is not None)
    return next((link.response for link in found), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: the client's threads wrap what they meet."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _connection_faults() -> type[Exception]:
    """Return the class of lost connections of the HTTP library that the Hub's client uses (its name has changed)."""
    from huggingface_hub import get_session

    for base in type(get_session()).__mro__:
        package = sys.modules[base.__module__.partition(".")[0]]
        if hasattr(package, "TransportError"):
            return package.TransportError
    return ConnectionError
