"""A second check of grammar, `parses`: whether every sentence of a text has a full parse with Link Grammar.

Optional: `python3-link-grammar` of Debian or Ubuntu, or Link Grammar's Python bindings built by hand, version 5.
"""

import atexit
import contextlib
import importlib.util
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .link_grammar_worker import LINKAGE_LIMIT, PARSE_SECONDS, SCRIPT
from .sentences import LONGEST, sentences
from .unavailable import UnavailableError, in_one_line

PATH_VARIABLE = "PARALLELBENCH_LINKGRAMMAR_PATH"
START_SECONDS = 20.0
# The library has a limit of its own; this one is for when it fails.
ANSWER_SECONDS = 3.0 * PARSE_SECONDS
# The library takes 254 words; parses of sentences that long tell nothing.
MOST_WORDS = 250
CACHE_SIZE = 200_000
HOW_TO_INSTALL = (
    "apt-get install python3-link-grammar, and in a virtual environment of that Python either "
    f"--system-site-packages or {PATH_VARIABLE}=<the folder that holds the package linkgrammar>, "
    "on Debian /usr/lib/python3/dist-packages"
)

logger = logging.getLogger(__name__)


class _Worker:
    """One process of `link_grammar_worker.py`."""

    def __init__(self, folder: str) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def next_line(self, limit: float) -> str | None:
        """Return the next line, or None where the process ended or `limit` seconds passed."""
        try:
            return self._lines.get(timeout=limit)
        except queue.Empty:
            return None

    def ask(self, sentence: str) -> str | None:
        """Return the answer about one sentence, or None where the process ended over it."""
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(sentence) + "\n")
                self._process.stdin.flush()
        except OSError:
            return None
        return self.next_line(ANSWER_SECONDS)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._lines.put(line)
            self._process.stdout.close()
        self._lines.put(None)


class LinkGrammar:
    """Link Grammar in a process of its own; verdicts are kept as long as this process lives.

    Args:
        folder: where the package `linkgrammar` is.

    Raises:
        UnavailableError: it cannot be imported from there.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._owner = os.getpid()
        self._cache: dict[str, bool] = {}
        self.version = ""
        self._running()
        atexit.register(self.stop)

    @property
    def signature(self) -> str:
        """What gave the verdicts: program, version and the limit on its parses."""
        return f"Link Grammar {self.version}, en, linkage_limit={LINKAGE_LIMIT}"

    def parses(self, text: str) -> bool:
        """Tell whether a text is not blank and each of its sentences has a parse that leaves no word out.

        A sentence of more than 250 words has none, and neither has one over which the library fails or takes more than
        5 seconds. A text of more than 10,000 characters is judged by those alone.
        """
        found = sentences(text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST])
        return bool(found) and all(self._parses(sentence) for sentence in found)

    def verdicts(self, texts: Sequence[str]) -> list[bool]:
        """`parses` of each text."""
        with self._lock:
            return [self.parses(text) for text in texts]

    def stop(self) -> None:
        """End the process, unless this one was forked off its owner."""
        if self._worker is not None and os.getpid() == self._owner:
            self._worker.stop()
        self._worker = None

    def _parses(self, sentence: str) -> bool:
        if sentence not in self._cache:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[sentence] = len(sentence.split()) <= MOST_WORDS and self._ask(sentence)
        return self._cache[sentence]

    def _ask(self, sentence: str) -> bool:
        line = self._running().ask(sentence)
        if line is None:
            self.stop()
        return line is not None and line.strip() == "1"

    def _running(self) -> _Worker:
        # A process that was forked off must not share the pipes.
        if self._worker is None or os.getpid() != self._owner:
            self._owner = os.getpid()
            worker = _Worker(self._folder)
            hello = worker.next_line(START_SECONDS)
            greeting = json.loads(hello) if hello else {"error": "it ended, or did not answer"}
            if "version" not in greeting:
                worker.stop()
                raise UnavailableError(
                    f"Link Grammar in {self._folder} does not work: {in_one_line(greeting['error'])}; {HOW_TO_INSTALL}"
                )
            self._worker, self.version = worker, greeting["version"]
        return self._worker


def find_package() -> str | None:
    """Return the folder that holds the package `linkgrammar`: the one that `PARALLELBENCH_LINKGRAMMAR_PATH` names, or
    else one of those from which this Python imports; None where there is none.

    Raises:
        UnavailableError: the variable names a folder without the package.
    """
    named = os.environ.get(PATH_VARIABLE, "").strip()
    if named:
        if not (Path(named) / "linkgrammar").is_dir():
            raise UnavailableError(f"{PATH_VARIABLE} is {named}, which has no package linkgrammar; {HOW_TO_INSTALL}")
        return named
    found = importlib.util.find_spec("linkgrammar")
    return None if found is None or found.origin is None else str(Path(found.origin).parent.parent)


@cache
def link_grammar(folder: str) -> LinkGrammar:
    """The one Link Grammar for a folder, so that its verdicts serve every `compute`."""
    return LinkGrammar(folder)


def find_link_grammar(wanted: bool | None) -> LinkGrammar | None:
    """Return Link Grammar, or None where it is not wanted, or is optional and not installed.

    Args:
        wanted: True: required. False: not used. None: used where it is installed; elsewhere a hint is logged once.

    Raises:
        UnavailableError: it is required and not installed, or what is installed does not work.
    """
    if wanted is False:
        return None
    folder = find_package()
    if folder is not None:
        return link_grammar(folder)
    if wanted:
        raise UnavailableError(f"parses needs Link Grammar: {HOW_TO_INSTALL}")
    give_hint()
    return None


@cache
def give_hint() -> None:
    """Log once how Link Grammar is installed."""
    logger.warning(
        "texts get no `parses`, the check of grammar that finds swapped and dropped words best, because Link Grammar "
        "is not installed: %s. parses=False turns this message off.",
        HOW_TO_INSTALL,
    )
