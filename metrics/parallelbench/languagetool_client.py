"""Asks a LanguageTool server about one text through its HTTP interface: retried when it fails, answers checked.

Not through `language_tool_python.LanguageTool.check` (3.4.0): it takes an answer of status 503 that lists no errors,
and one that says itself that not all rules were applied, for a text without errors; it waits up to ten minutes for a
server that hangs, looks for this machine's ports behind the user's proxy, and does not tell the server's version.

`hub_dataset/grammar.py` of the same project follows the same pattern; this folder is uploaded without it.
"""

import http.client
import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib import error, parse

from .languagetool_server import SHARED_SERVER, SharedServer, open_address
from .unavailable import UnavailableError, in_one_line

URL_VARIABLE = "PARALLELBENCH_LANGUAGETOOL_URL"
LANGUAGE = "en-US"
# A chunk of text takes a second at worst, and the first check of a server five; a busy machine takes ten times as long.
TIMEOUT_SECONDS = 50.0
# Pauses before the second and the third attempt; there is no fourth.
PAUSES_SECONDS = (0.5, 2.0)
# Answers that another attempt can change: time-out, too many requests, internal errors, overload.
TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Findings:
    """What a server finds in a text: the ids of the rules that it breaks, in its order, and the server's version."""

    rule_ids: tuple[str, ...]
    version: str


class NamedServer:
    """A server that somebody else started, at an address such as `http://localhost:8081`, with or without `/v2`."""

    def __init__(self, address: str) -> None:
        if not is_address(address.strip()):
            raise ValueError(
                f"grammar_url or {URL_VARIABLE} must be an address such as http://localhost:8081, got {address!r}"
            )
        self._url = address.strip().rstrip("/").removesuffix("/v2").rstrip("/")

    def url(self) -> str:
        """Return the address without `/v2`."""
        return self._url

    def replace(self, url: str) -> None:
        """Do nothing: a server that somebody else started is not started again here."""


def is_address(text: str) -> bool:
    """Tell whether a request can be sent to `text`: a scheme, a host that has a name, and a port if any."""
    try:
        parts = parse.urlsplit(text)
        host = (parts.hostname or "").encode("idna")
        # `port` raises ValueError where it is not the number of a port.
        return parts.scheme in ("http", "https") and bool(host) and parts.port != 0 and not re.search(r"\s", text)
    except ValueError:
        return False


def endpoint(address: str | None) -> NamedServer | SharedServer:
    """Return the server at `address`, or the one of this process where that is None."""
    return SHARED_SERVER if address is None else NamedServer(address)


class _TransientError(Exception):
    """A failure after which another attempt may succeed.

    Args:
        reason: what went wrong.
        attempts: how often it has to happen to a text before the server is taken to be broken; None: it never is.
    """

    def __init__(self, reason: str, attempts: int | None = None) -> None:
        super().__init__(reason)
        self.attempts = attempts


def check(server: NamedServer | SharedServer, text: str, disabled_rules: tuple[str, ...] = ()) -> Findings:
    """Ask a server what is wrong with a text, up to three times.

    Args:
        server: the server.
        text: English, not blank; it goes to the server as it is.
        disabled_rules: ids of rules that are switched off.

    Raises:
        UnavailableError: no attempt gave an answer.
    """
    form = {"language": LANGUAGE, "text": text}
    if disabled_rules:
        form["disabledRules"] = ",".join(disabled_rules)
    body = parse.urlencode(form).encode()
    for attempt, pause in enumerate((*PAUSES_SECONDS, None), start=1):
        url = server.url()
        try:
            return _ask(url, body)
        except _TransientError as failure:
            if pause is None:
                raise UnavailableError(
                    f"the LanguageTool server at {url} gave no answer in {1 + len(PAUSES_SECONDS)} attempts: {failure}"
                ) from None
            if failure.attempts is not None and attempt >= failure.attempts:
                server.replace(url)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _ask(url: str, body: bytes) -> Findings:
    try:
        with open_address(f"{url}/v2/check", body, TIMEOUT_SECONDS) as response:
            answer = json.load(response)
    except error.HTTPError as failure:
        reason = f"{failure.code} {failure.reason}: {_first_characters(failure)}"
        if failure.code in TRANSIENT_STATUS:
            raise _TransientError(reason) from None
        raise UnavailableError(f"the LanguageTool server at {url} refuses the text: {reason}") from None
    except TimeoutError:
        raise _TransientError(f"nothing within {TIMEOUT_SECONDS:g} seconds", attempts=2) from None
    except error.URLError as failure:
        raise _TransientError(in_one_line(failure.reason), attempts=1) from None
    except (OSError, http.client.HTTPException) as failure:
        raise _TransientError(in_one_line(failure), attempts=1) from None
    except ValueError:
        raise UnavailableError(f"the server at {url} is not LanguageTool: its answer is not JSON") from None
    return _read(url, answer)


def _first_characters(failure: error.HTTPError) -> str:
    try:
        return in_one_line(failure.read(300).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as why:
        return in_one_line(why)


def _read(url: str, answer: Any) -> Findings:
    try:
        if answer.get("warnings", {}).get("incompleteResults"):
            raise _TransientError("it stopped before it had applied all its rules")
        software = answer.get("software", {})
        version = " ".join(str(software[key]) for key in ("name", "version") if key in software)
        rule_ids = tuple(str(match["rule"]["id"]) for match in answer["matches"])
    except (AttributeError, KeyError, TypeError):
        raise UnavailableError(f"the server at {url} is not LanguageTool: its answer has no matches") from None
    return Findings(rule_ids, version or "LanguageTool of unknown version")
