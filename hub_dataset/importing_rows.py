"""Turns rows of the original ParallelBench data, of the first edition or the later one, into rows of our schema."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .rows import Row

# The metric names of the first edition and the scorers that do the same.
SCORER_OF_METRIC = {
    "list_match_score": "list_match",
    "list_shuffle_score": "list_shuffle",
    "list_random_insert_score": "list_insert",
    "list_random_remove_score": "list_remove",
    "list_random_replace_score": "list_replace",
    "latin_square_score": "latin_square",
    "sudoku_score": "sudoku",
    "sentence_to_words_score": "words_to_sentence",
    "paraphrase_score": "paraphrase",
    "summary_score": "summary",
}
# The later edition names no metric; what its task names end with, or begin with, tells.
SCORER_OF_ENDING = {
    "copy": "list_match",
    "reverse": "list_match",
    "sort": "list_match",
    "_index": "list_match",
    "shuffle": "list_shuffle",
    "insert_random": "list_insert",
    "remove_random": "list_remove",
    "replace_random": "list_replace",
    "chatgpt_paraphrases": "paraphrase",
    "samsum": "summary",
}
SCORER_OF_BEGINNING = {
    "puzzle_latin_square": "latin_square",
    "puzzle_sudoku": "sudoku",
    "words_to_sentence": "words_to_sentence",
}
# Scorers of text, whose grammar a metric has to judge: their answers need not score 100.
TEXT_SCORERS = frozenset({"words_to_sentence", "paraphrase", "summary"})


@dataclass(frozen=True, slots=True)
class OriginalTask:
    """What turns the rows of one original task into ours.

    `config` is the name of our config. `template` is the first edition's prompt with its placeholders, None in the
    later edition, whose rows bring their messages. `examples` is the number of worked examples of a row, None where the
    task does not say.
    """

    config: str
    scorer: str
    template: str | None
    examples: int | None

    @property
    def category(self) -> str:
        """The category of the config, as our own tasks of that kind have it."""
        if self.scorer in TEXT_SCORERS:
            return "text_writing"
        return "puzzle" if self.scorer in ("latin_square", "sudoku") else "waiting_line"

    @property
    def max_new_tokens(self) -> int:
        """The generation length of the published protocol."""
        if self.category != "waiting_line":
            return 64
        return 128 if "_n15" in self.config else 32


def scorer_of_name(name: str) -> str | None:
    """The scorer of a task of the later edition by its name, such as `waiting_line_insert_random`."""
    for beginning, scorer in SCORER_OF_BEGINNING.items():
        if name.startswith(beginning):
            return scorer
    return next((scorer for ending, scorer in SCORER_OF_ENDING.items() if name.endswith(ending)), None)


def convert_row(task: OriginalTask, content: Any, number: int) -> Row:
    """A row of the original data as the row `number` of our config.

    Raises ValueError, saying what is missing or of another form, for a row that cannot be understood.
    """
    row = _typed(content, dict, "the row")
    if task.template is not None:
        messages = _first_edition_messages(task, row)
        label = row.get("answer")
        output_format = row.get("output_format")
    else:
        messages = _later_edition_messages(row)
        label = _decoded(row.get("label"))
        output_format = row.get("output_prefix")
    if output_format is not None and not isinstance(output_format, str):
        raise ValueError(f"the output format is {_shown(output_format)}, not a string")
    answer, scoring = _answer_and_scoring(task.scorer, label)
    metadata = row.get("metadata")
    return {
        "id": f"{task.config}-test-{number:04d}",
        "task": task.config,
        "category": task.category,
        "messages": messages,
        "prompt": messages[-1]["content"],
        "answer": answer,
        "reference": json.dumps({"scorer": task.scorer, "task": task.config, **scoring}, ensure_ascii=False),
        "output_format": output_format or "",
        "length": _length(metadata if isinstance(metadata, dict) else {}, answer, scoring),
        "max_new_tokens": task.max_new_tokens,
    }


def _first_edition_messages(task: OriginalTask, row: Mapping[str, Any]) -> list[dict[str, str]]:
    given = _typed(row.get("input"), dict, "input")
    examples = given.get("icl_examples") or []
    _typed(examples, list, "input.icl_examples")
    if task.examples is not None and len(examples) != task.examples:
        raise ValueError(f"input.icl_examples holds {len(examples)} examples, not {task.examples} as the task says")
    messages = []
    for place, example in enumerate(examples):
        where = f"input.icl_examples[{place}]"
        _typed(example, dict, where)
        label = example.get("answer")
        shown = label.get("example") if isinstance(label, dict) else label
        messages.append(_message("user", _fill(task, _typed(example.get("input"), dict, f"{where}.input"))))
        messages.append(_message("assistant", _typed(shown, str, f"{where}.answer")))
    return [*messages, _message("user", _fill(task, given))]


def _fill(task: OriginalTask, values: Mapping[str, Any]) -> str:
    parts = []
    for text, field, _, _ in string.Formatter().parse(task.template or ""):
        parts.append(text)
        if field is not None:
            value = values.get(field)
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise ValueError(f"input.{field} is {_shown(value)}, but the prompt wants a string or a number there")
            parts.append(str(value))
    # Some templates spell their line breaks as a backslash and an n.
    return "".join(parts).replace("\\n", "\n")


def _later_edition_messages(row: Mapping[str, Any]) -> list[dict[str, str]]:
    messages = []
    for place, message in enumerate(_typed(row.get("messages"), list, "messages")):
        where = f"messages[{place}]"
        role = _typed(message, dict, where).get("role")
        if role not in ("system", "user", "assistant"):
            raise ValueError(f"{where}.role is {_shown(role)}, not system, user or assistant")
        messages.append(_message(role, _typed(message.get("content"), str, f"{where}.content")))
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("the last of the messages is not a question of the user")
    return messages


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _decoded(label: Any) -> Any:
    # A column holds one type: where some labels are objects, all may have been written as JSON.
    if isinstance(label, str) and label.startswith("{"):
        try:
            return json.loads(label)
        except ValueError:
            return label
    return label


def _answer_and_scoring(scorer: str, label: Any) -> tuple[str, dict[str, Any]]:
    """One right answer, and the keys of the reference beside `scorer` and `task`."""
    if scorer in ("list_match", "sudoku"):
        answer = _typed(label, str, "the answer")
        return answer, {"answer": answer}
    parts = _typed(label, dict, "the answer")
    if scorer == "paraphrase":
        return _first_example(parts.get("examples")), {"text": _typed(parts.get("text"), str, "answer.text")}
    if scorer == "summary":
        summary = _typed(parts.get("summary"), str, "answer.summary")
        return summary, {"summary": summary}
    if scorer == "words_to_sentence":
        example = parts.get("example")
        answer = "" if example is None else _typed(example, str, "answer.example")
        return answer, {"words": _strings(parts.get("words"), "answer.words")}
    answer = _typed(parts.get("example"), str, "answer.example")
    if scorer == "latin_square":
        return answer, {"symbols": _strings(parts.get("symbols"), "answer.symbols")}
    scoring: dict[str, Any] = {"input": _strings(parts.get("input"), "answer.input")}
    if scorer == "list_remove":
        scoring["count"] = 1
    elif scorer != "list_shuffle":
        scoring["word"] = _typed(parts.get("word"), str, "answer.word")
    return answer, scoring


def _first_example(examples: Any) -> str:
    if isinstance(examples, str):
        try:
            examples = ast.literal_eval(examples)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"answer.examples is {_shown(examples)}, not a list of strings") from None
    return _strings(examples, "answer.examples")[0]


def _length(metadata: Mapping[str, Any], answer: str, scoring: Mapping[str, Any]) -> int:
    stated = metadata.get("length")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0:
        return stated
    for key in ("input", "words", "symbols"):
        if key in scoring:
            return len(scoring[key])
    # A list has commas between its items; of a grid, the lines count.
    return answer.count(",") + 1 if answer.startswith("[") else len(answer.splitlines())


def _strings(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where} is {_shown(value)}, not a list of strings")
    return value


def _typed(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
        found = "missing" if value is None else f"{_shown(value)}, not {names[kind]}"
        raise ValueError(f"{where} is {found}")
    return value


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def placeholders(template: str) -> Sequence[str]:
    """The placeholders of a template; ValueError where it is not well-formed."""
    parsed = list(string.Formatter().parse(template))
    odd = next((f"{{{field}}}" for _, field, *form in parsed if field is not None and any(form)), None)
    if odd is not None:
        raise ValueError(f"{odd} stands in the prompt with a format of its own")
    return [field for _, field, _, _ in parsed if field is not None]
