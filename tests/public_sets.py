"""Small sets of texts in the form of the public ones, on a Hub on loopback, for the two tasks that take them."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopback_hub import Repository, loopback_hub

from hub_dataset import task_info

SAMSUM, PARAPHRASES = "paraphrase_summarize_samsum", "paraphrase_summarize_chatgpt_paraphrases"


def table(columns, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([columns, *rows])
    return text.getvalue().encode()


def samsum(prefix=""):
    rows = []
    for number in range(200):
        mistake = " goed" if number % 7 == 0 else ""
        dialogue = (
            f"Ada: {prefix}Did you see number {number} on the way to school?\r\nBo: I did, and it was goed, too!\r\n"
        )
        dialogue += "Ada: How nice of it to be there for both of us today."
        rows.append((str(number), dialogue, f"Ada and Bo have both seen{mistake} number {number}."))
    rows += [("1001", "", "Nobody speaks."), ("1002", "Ada: Hi.", "")]
    columns = ("id", "dialogue", "summary")
    return {
        "train.csv": table(columns, rows[:3]),
        "test.csv": table(columns, rows),
        "validation.csv": table(columns, rows[:3]),
    }


def paraphrases(prefix=""):
    rows = []
    for number in range(200):
        mistake = " goed" if number % 5 == 0 else ""
        answers = [
            f"Number {number} is {word} by a person, as I saw." for word in ("carried", "brought", "borne", "goed")
        ]
        text = f"{prefix}I saw a person who carried{mistake} the number {number}."
        rows.append((text, repr([text, *answers]), "sentence", "cnn_news"))
    rows += [
        ("Too short.", "['Brief.']", "sentence", "quora"),
        ("The list of this one is broken.", "['a", "question", "squad_2"),
    ]
    return {"chatgpt_paraphrases.csv": table(("text", "paraphrases", "category", "source"), rows)}


def serve(hub, config, files, later):
    """Puts `files` at the revision that the config names, and other ones on the branch."""
    source = task_info(config).source
    repository = hub.repositories["dataset", source.repository] = Repository("dataset", source.repository, None)
    repository.commits[source.revision] = files
    repository.titles[source.revision] = "upload"
    repository.commit(later, "later")


@contextmanager
def public_sets() -> Iterator[Any]:
    """The Hub."""
    with loopback_hub({}) as running:
        serve(running, SAMSUM, samsum(), samsum("Later! "))
        serve(running, PARAPHRASES, paraphrases(), paraphrases("Later: "))
        yield running
