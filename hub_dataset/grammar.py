"""Asks a running LanguageTool server whether English texts are grammatical."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from .unavailable import UnavailableError

URL_VARIABLE = "PARALLELBENCH_LANGUAGETOOL_URL"
LANGUAGE = "en-US"
TIMEOUT_SECONDS = 60
# A server answers about twice as fast when asked from four threads as from one, and hardly faster from more.
THREADS = 4


@dataclass(frozen=True, slots=True)
class GrammarChecker:
    """A LanguageTool server at `url`, such as `http://localhost:8081`, asked with all its rules."""

    url: str

    def rule_ids(self, text: str) -> list[str]:
        """The ids of the rules that `text` breaks, in its order; empty for a grammatical text.

        Raises UnavailableError where no LanguageTool server answers.
        """
        import http.client
        from urllib import parse, request

        body = parse.urlencode({"language": LANGUAGE, "text": text}).encode()
        try:
            with request.urlopen(f"{self.url.rstrip('/')}/v2/check", body, timeout=TIMEOUT_SECONDS) as response:
                answer = json.load(response)
            return [match["rule"]["id"] for match in answer["matches"]]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as failure:
            raise UnavailableError(
                f"{URL_VARIABLE}: no LanguageTool server answers at {self.url}: {_reason(failure)}"
            ) from None

    def accepts(self, texts: Sequence[str]) -> bool:
        """Whether each of `texts` is grammatical; stops at the first one that is not."""
        return not any(self.rule_ids(text) for text in texts)

    def findings(self, texts: Sequence[str]) -> list[list[str]]:
        """`rule_ids` of each text, asked in parallel."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self.rule_ids, texts))


def grammar_checker() -> GrammarChecker:
    """The server that the environment names. Raises UnavailableError where it names none, or none that answers."""
    url = os.environ.get(URL_VARIABLE, "").strip()
    if not url:
        raise UnavailableError(f"no grammar checker: start a LanguageTool server and set {URL_VARIABLE} to its address")
    checker = GrammarChecker(url)
    checker.rule_ids("Is anybody there?")
    return checker


def _reason(failure: Exception) -> str:
    from urllib import error

    if isinstance(failure, KeyError | TypeError | json.JSONDecodeError):
        return "what answers is not LanguageTool"
    reason: object = failure
    if isinstance(failure, error.URLError) and not isinstance(failure, error.HTTPError):
        reason = failure.reason
    return " ".join(str(reason).split()) or type(failure).__name__
