"""Verdicts on grammar: every text is checked once, several at a time, and no verdict is lost when a check fails."""

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

from .languagetool_client import LANGUAGE, URL_VARIABLE, Findings, check, endpoint
from .sentences import LONGEST, chunks
from .unavailable import UnavailableError

# Even two cores gain from this many: a thread waits while the server works; see tests/speed/grammar_speed.py.
THREADS = max(8, 2 * (os.cpu_count() or 1))
CACHE_SIZE = 200_000
# What each choice of rules leaves out.
RULES: dict[str, tuple[str, ...]] = {"all": (), "no_spelling": ("MORFOLOGIK_RULE_EN_US",)}


class GrammarChecker:
    """LanguageTool (en-US), asked about texts in parallel; answers are kept as long as the process lives.

    Args:
        url: address of a running server, or None for one that this process starts on first need.
        rules: a key of `RULES`.

    Raises:
        ValueError: `url` is not an address.
    """

    def __init__(self, url: str | None, rules: str) -> None:
        self._server = endpoint(url)
        self._disabled = RULES[rules]
        self._cache: dict[str, Findings] = {}
        self.version = ""

    @property
    def signature(self) -> str:
        """What gave the verdicts: program, version, language and rules."""
        rules = f"all rules but {', '.join(self._disabled)}" if self._disabled else "all rules"
        return f"{self.version or 'LanguageTool'}, {LANGUAGE}, {rules}"

    def prepare(self) -> None:
        """Make sure that the server answers.

        Raises:
            UnavailableError: it does not, or it cannot be started; the message says what to do.
        """
        if not self.version:
            self.version = check(self._server, "Is anybody there?", self._disabled).version

    def findings(self, texts: Sequence[str], column: str = "predictions") -> list[tuple[str, ...]]:
        """Return the ids of the rules that each text breaks, in LanguageTool's order; none for a blank text.

        A text is stripped first. One of more than 2,000 characters is checked in chunks until one breaks a rule, and
        one of more than 10,000 characters is judged by those alone.

        Args:
            texts: as they are; blank ones are not checked.
            column: their name in error messages.

        Raises:
            UnavailableError: the server gave no answer to a text, which the message names by its index. Verdicts given
                by then are kept: the next call goes on from there.
        """
        stripped = [text.strip() for text in texts]
        wanted: dict[str, int] = {}
        for index, text in enumerate(stripped):
            if text and text not in self._cache:
                wanted.setdefault(text, index)
        found = {text: self._cache[text] for text in stripped if text in self._cache}
        if wanted:
            found |= self._ask(wanted, column)
        return [found[text].rule_ids if text else () for text in stripped]

    def verdicts(self, texts: Sequence[str]) -> list[bool]:
        """Tell of each text whether LanguageTool finds nothing wrong with it; a blank text is not grammatical."""
        found = self.findings(texts)
        return [bool(text.strip()) and not rule_ids for text, rule_ids in zip(texts, found, strict=True)]

    def _ask(self, wanted: dict[str, int], column: str) -> dict[str, Findings]:
        found: dict[str, Findings] = {}
        with ThreadPoolExecutor(min(THREADS, len(wanted)), thread_name_prefix="grammar") as pool:
            futures = {pool.submit(self._check, text): (text, index) for text, index in wanted.items()}
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                for future in futures:
                    future.cancel()
        # The pool has ended here: checks that had begun are finished too.
        failures: list[tuple[int, Exception]] = []
        for future, (text, index) in futures.items():
            if future.cancelled():
                continue
            failure = future.exception()
            if isinstance(failure, UnavailableError):
                failures.append((index, failure))
            elif failure is not None:
                raise failure
            else:
                found[text] = future.result()
        self._keep(found)
        if failures:
            index, failure = min(failures, key=lambda pair: pair[0])
            raise UnavailableError(
                f"the grammar of {column}[{index}] could not be checked: {failure} "
                f"({len(found)} of {len(wanted)} texts are checked and kept: the next call goes on from there)"
            ) from None
        return found

    def _check(self, text: str) -> Findings:
        findings = Findings((), self.version)
        for chunk in chunks(text, LONGEST):
            findings = check(self._server, chunk, self._disabled)
            if findings.rule_ids:
                break
        return findings

    def _keep(self, found: dict[str, Findings]) -> None:
        self._cache |= found
        self.version = next((findings.version for findings in found.values()), self.version)
        if len(self._cache) > CACHE_SIZE:
            for text in list(self._cache)[: len(self._cache) - CACHE_SIZE]:
                del self._cache[text]


@cache
def grammar_checker(url: str | None, rules: str) -> GrammarChecker:
    """The one checker for a server and a choice of rules, so that its verdicts serve every `compute`."""
    return GrammarChecker(url, rules)


def check_rules(rules: Any) -> str:
    """Return the choice of rules; `ValueError` where there is no such choice."""
    if not isinstance(rules, str) or rules not in RULES:
        raise ValueError(f"grammar_rules must be {' or '.join(map(repr, RULES))}, got {rules!r}")
    return rules


def server_address(url: Any) -> str | None:
    """Return the address given, or else the one in `PARALLELBENCH_LANGUAGETOOL_URL`, or None where there is neither.

    Raises:
        ValueError: `url` is not a string.
    """
    if url is not None and not isinstance(url, str):
        raise ValueError(f"grammar_url must be an address such as http://localhost:8081, got {url!r}")
    address = url if url is not None else os.environ.get(URL_VARIABLE, "")
    return address.strip() or None
