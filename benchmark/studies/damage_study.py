"""How much of the damage of parallel decoding each score of text sees: the command `parallelbench damage`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.studies.damage import DAMAGES, damage
from hub_dataset.disk import write_atomically

if TYPE_CHECKING:
    from rich.table import Table

#: The texts that the dataset ships, and the tasks whose answers they are.
TEXTS = {
    "sentences": ("words_to_sentence_easy", "words_to_sentence_medium", "words_to_sentence_hard"),
    "paraphrases": ("text_writing_paraphrase",),
    "summaries": ("text_writing_summarize",),
}
CLEAN = "none"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of one kind of damage.

    Args:
        damage: a key of `DAMAGES`, or `CLEAN` for texts as they are.
        texts: how many.
        flagged: checker → percentage of the texts with which it finds something wrong.
        similarity: score → mean of the damaged texts against the texts themselves, 0..100.
    """

    damage: str
    texts: int
    flagged: dict[str, float]
    similarity: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"damage": self.damage, "texts": self.texts, "flagged": self.flagged, "similarity": self.similarity}


def shipped_texts(kinds: Sequence[str], samples: int | None) -> list[str]:
    """The first `samples` (None: all) answers of each task of these kinds of text, keys of `TEXTS`; none twice."""
    from benchmark.protocol.questions import load_rows

    rows = [row for kind in kinds for task in TEXTS[kind] for row in load_rows(task, samples)]
    return list(dict.fromkeys(row["answer"] for row in rows))


def study(
    metric: Any, texts: Sequence[str], *, seed: int = 0, grammar_url: str | None = None, bertscore: bool = False
) -> tuple[list[Seen], dict[str, str]]:
    """Damage texts in every way and look at them with every checker there is.

    Args:
        metric: the metric, from `scoring.load_metric`.
        texts: right ones.
        seed: another one does the damage elsewhere.
        grammar_url: a running LanguageTool server; None for what the environment names, or one that is started.
        bertscore: whether BERTScore is computed too, which takes an encoder.

    Returns:
        What is seen, of clean texts first; and the signatures of the checkers.

    Raises:
        OSError: a checker or a package is not installed or stopped answering.
    """
    scorers = {"summary": "summary", **({"paraphrase": "text"} if bertscore else {})}
    references = [json.dumps({"scorer": scorer, key: ""}) for scorer, key in scorers.items()]
    signatures = metric.prepare(references, grammar_url=grammar_url)
    pairs = {CLEAN: [(text, text) for text in texts], **{kind: damage(texts, kind, seed) for kind in DAMAGES}}
    found = [
        Seen(
            kind,
            len(pairs[kind]),
            _flagged(metric, [damaged for _, damaged in pairs[kind]], grammar_url),
            _similarity(metric, pairs[kind], scorers),
        )
        for kind in pairs
        if pairs[kind]
    ]
    return found, signatures


def study_table(found: Sequence[Seen]) -> Table:
    """A table with a row for each kind of damage."""
    from rich import box
    from rich.table import Table

    checkers = list(found[0].flagged)
    similarity = list(found[0].similarity)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, show_edge=False)
    table.add_column("damage", no_wrap=True)
    table.add_column("texts", justify="right")
    for name in (*checkers, *similarity):
        table.add_column(name, justify="right")
    for seen in found:
        values = [f"{seen.flagged[name]:.0f}" for name in checkers]
        values += [f"{seen.similarity[name]:.1f}" for name in similarity]
        table.add_row(seen.damage, str(seen.texts), *values)
    return table


def run_study(
    *,
    kinds: Sequence[str],
    samples: int | None,
    seed: int,
    grammar_url: str | None,
    bertscore: bool,
    output: Path | None,
) -> None:
    """Run the study, print it and, if wanted, write it as JSON; see the command line's help for the arguments."""
    from rich.console import Console

    from benchmark.engine.scoring import load_metric

    console = Console()
    texts = shipped_texts(kinds or list(TEXTS), samples)
    with console.status("checking"):
        found, signatures = study(load_metric(), texts, seed=seed, grammar_url=grammar_url, bertscore=bertscore)
    console.print("% of texts with which each checker finds something wrong; likeness to the undamaged text, 0..100")
    console.print(study_table(found))
    for signature in signatures.values():
        console.print(signature, soft_wrap=True, markup=False, highlight=False)
    console.print(
        "The texts were written until LanguageTool found nothing in them, so it flags none that is not damaged.",
        soft_wrap=True,
    )
    if output is not None:
        document = {"seed": seed, "signatures": signatures, "damages": [seen.as_dict() for seen in found]}
        write_atomically(output, json.dumps(document, indent=2).encode() + b"\n")


def _flagged(metric: Any, texts: Sequence[str], grammar_url: str | None) -> dict[str, float]:
    every = metric.check_texts(texts, grammar_url=grammar_url)
    no_speller = metric.check_texts(texts, grammar_url=grammar_url, grammar_rules="no_spelling", parses=False)
    columns = {
        "grammar": [row["grammar"] for row in every],
        "no speller": [row["grammar"] for row in no_speller],
    }
    if all("parses" in row for row in every):
        columns["parses"] = [row["parses"] for row in every]
        columns["either"] = [min(row["grammar"], row["parses"]) for row in every]
    return {name: 100.0 * (1.0 - sum(values) / len(values)) for name, values in columns.items()}


def _similarity(metric: Any, pairs: Sequence[tuple[str, str]], scorers: dict[str, str]) -> dict[str, float]:
    means: dict[str, float] = {}
    for scorer, key in scorers.items():
        result = metric.compute(
            predictions=[damaged for _, damaged in pairs],
            references=[json.dumps({"scorer": scorer, key: text}) for text, _ in pairs],
            grammar=[None] * len(pairs),
            parses=False,
        )
        names = {"rouge_l": "ROUGE-L", "bleu": "BLEU", "bertscore": "BERT"}
        means |= {label: result[name] for name, label in names.items() if name in result}
    return means
