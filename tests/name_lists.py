"""Says which names may be in the lists of `test`, with the reason against each that may not; for whoever changes them.

    python tests/name_lists.py                                the lists as they are
    python tests/name_lists.py --first Bob Alexander Yuki     first names that one would add
    python tests/name_lists.py --last Archer Okafor           last names that one would add

A name has to be one capitalised ASCII word, one token of both vocabularies where it stands in a list, and no name of
train. The reference model must never have seen it: names that its training left out are safe, others must not come up
in a large sample of the made-up names that it was trained on.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from vocabularies import CountTokens, vocabularies  # noqa: E402

from hub_dataset.generators.pools import SOURCES, People, names_of_version_1  # noqa: E402
from training.names import TrainingPeople  # noqa: E402
from training.tokenizer import load_backend, name_pieces  # noqa: E402

# What stands before a name in a list decides on its token. A quote is a token of its own, so nothing comes with it.
BEFORE = {"first": "", "last": " "}
# Names of people in these have a capital; nouns of the lexicon are no names, and people may be called Stone.
TRAIN = ("first_names_train.txt", "last_names_train.txt", "lexicon.yaml", "dialogue_grammar.yaml")


def names_of_train() -> dict[str, str]:
    """The capitalised words of all that rows of `train` are made from → the file where they stand."""
    texts = {file: (SOURCES / file).read_text(encoding="utf-8") for file in TRAIN}
    return {word: file for file, text in texts.items() for word in re.findall("[A-Z][a-z]+", text)}


def made_up_names(count: int) -> Counter[str]:
    """`count` words of names as the shipped model's training made them up, and how often each came up."""
    people = TrainingPeople(*name_pieces(load_backend(ROOT / "hub_model")))
    people.forbidden = people._made_up.forbidden = frozenset(name.lower() for name in names_of_version_1())
    draw = random.Random(0).random
    return Counter(people.draw_word(draw) for _ in range(count))


def reasons_against(name: str, kind: str, count: dict[str, CountTokens], made_up: Counter[str]) -> list[str]:
    """Why a name may not be in the list of a `kind`, first or last; empty where it may."""
    if not re.fullmatch("[A-Z][a-z]+", name):
        return ["is not one capitalised ASCII word"]
    reasons = [
        f"takes {tokens(BEFORE[kind] + name)} tokens of {vocabulary}"
        for vocabulary, tokens in count.items()
        if tokens(BEFORE[kind] + name) != 1
    ]
    if name in names_of_train():
        reasons.append(f"stands in {names_of_train()[name]}")
    if made_up[name]:
        reasons.append(f"came up {made_up[name]} times among {made_up.total()} made-up names of training")
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--last", nargs="+", metavar="NAME", default=[])
    parser.add_argument("--sample", type=int, default=1_000_000, help="how many made-up names to look at")
    arguments = parser.parse_args()
    people = People("test")
    wanted = {"first": arguments.first, "last": arguments.last}
    if not arguments.first and not arguments.last:
        wanted = {"first": people.first_names, "last": people.last_names}
    count, made_up = vocabularies(), made_up_names(arguments.sample)
    for kind, names in wanted.items():
        against = {name: reasons_against(name, kind, count, made_up) for name in names}
        kept = [name for name, reasons in against.items() if not reasons]
        print(f"{kind} names: {len(kept)} of {len(names)} kept: {' '.join(kept)}")
        for name, reasons in against.items():
            if reasons:
                print(f"dropped {name}: {'; '.join(reasons)}")


if __name__ == "__main__":
    main()
