"""Parses sentences with Link Grammar, one JSON string a line, and answers each with a line: 1, 0, or what went wrong.

A process of its own, because the library ends its process over some texts. The one argument is the folder that holds
the package `linkgrammar`. The process ends when standard input does.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__)
# With the library's default of 100, and still more with 1, parses of right sentences are missed: those that it samples
# may all be invalid.
LINKAGE_LIMIT = 1000
PARSE_SECONDS = 5


def answer(linkgrammar: Any, dictionary: Any, options: Any, sentence: str) -> int:
    """Return 1 where the sentence has a parse that leaves no word out, else 0; out of time counts as none."""
    try:
        parsed = linkgrammar.Sentence(sentence, dictionary, options)
        return int(parsed.split() >= 0 and len(parsed.parse()) > 0)
    except linkgrammar.LG_TimerExhausted:
        return 0


def main() -> None:
    """Say hello with the library's version, then answer until standard input ends."""
    # The library writes messages of its own to standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.path.append(sys.argv[1])
    try:
        import linkgrammar

        version = str(linkgrammar.Clinkgrammar.linkgrammar_get_version()).removeprefix("link-grammar-")
        dictionary = linkgrammar.Dictionary("en")
        # Whatever its default is, no word may be left out.
        options = linkgrammar.ParseOptions(
            linkage_limit=LINKAGE_LIMIT, max_null_count=0, max_parse_time=PARSE_SECONDS, verbosity=0
        )
    except Exception as error:  # the library has no class for all that can be missing
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        return
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin.buffer:
        print(answer(linkgrammar, dictionary, options, json.loads(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
