"""What the trained model answers to the questions of test under each setting, kept on disk so that scoring can wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from benchmark.engine.decoding import noise_source
from benchmark.models.prompts import decode_answer, encode_prompts
from benchmark.protocol.method import Method, expand
from benchmark.protocol.questions import Row

# Answers are generated at one length, which fits all of them.
NEW_TOKENS = 64
QUOTAS = (1, 2, 4, 8, 16, 32)
THRESHOLDS = (0.9, 0.7, 0.5)
SPECIFICATIONS = (
    *(f"{order}:k={k}" for order in ("confidence", "random") for k in QUOTAS),
    *(f"threshold:threshold={threshold}" for threshold in THRESHOLDS),
)
# Names of the models in records of predictions.
REFERENCE, IDEAL, IDEAL_GREEDY = "reference", "ideal", "ideal, greedy"
_TIE_NOISE = 1e-4
_KEYS = {"model", "made_with", "task", "id", "setting", "prediction", "num_tokens", "num_forward_passes"}


def evaluated_tasks() -> list[str]:
    """The default suite, then the other tasks of the mix: texts and case studies."""
    import hub_dataset

    from .examples import WEIGHTS

    suite = hub_dataset.default_task_names()
    return [*suite, *(name for name in WEIGHTS if name not in suite)]


def predict(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    setting: Method,
    *,
    name: str = REFERENCE,
    made_with: str = "",
    new_tokens: int = NEW_TOKENS,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """One record per row: model, what it was made with, task, id, the method, the prediction, and its cost."""
    from samplers import generate

    inputs = encode_prompts(tokenizer, rows)
    device = getattr(model, "device", "cpu")
    output = generate(
        model,
        inputs["input_ids"].to(device),
        attention_mask=inputs["attention_mask"].to(device),
        scheduler=setting.build(temperature),
        max_new_tokens=new_tokens,
        block_length=setting.block_length,
        # A row's noise is drawn on the processor, and moved: the same on every machine.
        generator=[noise_source(seed, row["id"], str(setting)) for row in rows],
    )
    answers = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
    for row, tokens, passes in zip(rows, answers, output.num_forward_passes.tolist(), strict=True):
        yield {
            "model": name,
            "made_with": made_with,
            "task": row["task"],
            "id": row["id"],
            "setting": str(setting),
            "prediction": decode_answer(tokenizer, tokens),
            "num_tokens": len(tokens),
            "num_forward_passes": passes,
        }


def write_predictions(
    directory: Path,
    output: Path,
    *,
    device: str,
    tasks: Iterable[str],
    specifications: Sequence[str] = SPECIFICATIONS,
    samples: int | None = None,
    new_tokens: int = NEW_TOKENS,
    batch_size: int = 100,
    report: Callable[[str], None] = print,
) -> None:
    """Run the model of `directory` on the first `samples` test rows of each task and write one JSON line per answer.

    Greedy. The file is renamed into place when it is complete.
    """
    from benchmark.protocol.questions import load_rows
    from samplers import models

    model: Any = models.load(directory, dtype="float32", device=device)
    tokenizer = models.load_tokenizer(str(directory))
    settings = [method for text in specifications for method in expand(text, NEW_TOKENS)]
    made_with = _made_with(directory, REFERENCE)
    rows = [row for task in tasks for row in load_rows(task, samples)]
    with _draft(output) as file:
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for setting in settings:
                for record in predict(model, tokenizer, batch, setting, made_with=made_with, new_tokens=new_tokens):
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
            report(f"{start + len(batch)} of {len(rows)} rows under {len(settings)} settings")


def write_ideal_predictions(
    directory: Path,
    output: Path,
    *,
    tasks: Iterable[str],
    specifications: Sequence[str],
    samples: int | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """The same for the ideal model in the tokens of the model in `directory`: greedy, and sampling.

    Greedy decoding breaks ties at random, as a trained model's small errors do; at temperature 1 it is the model of the
    closed forms.
    """
    from benchmark.ideal import BorrowedTokenizer, ExactDenoiser
    from benchmark.protocol.questions import load_rows
    from samplers import models

    lender = models.load_tokenizer(str(directory))
    settings = [method for text in specifications for method in expand(text, NEW_TOKENS)]
    made_with = _made_with(directory, IDEAL)
    with _draft(output) as file:
        for task in tasks:
            rows = load_rows(task, samples)
            tokenizer: Any = BorrowedTokenizer(lender, rows)
            for name, temperature in ((IDEAL_GREEDY, 0.0), (IDEAL, 1.0)):
                noise = 0.0 if temperature else _TIE_NOISE
                model = ExactDenoiser.from_rows(rows, tokenizer, max_new_tokens=NEW_TOKENS, tie_noise=noise)
                for setting in settings:
                    for record in predict(
                        model, tokenizer, rows, setting, name=name, made_with=made_with, temperature=temperature
                    ):
                        file.write(json.dumps(record, ensure_ascii=False) + "\n")
            report(f"{task}: {len(rows)} rows under {len(settings)} settings, greedy and sampled")


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """The records of a file of predictions.

    Raises:
        ValueError: a line is no record.
    """
    records: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as file:
        # Not `splitlines`: an answer may hold any of the signs that it takes for the end of a line.
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or not record.keys() >= _KEYS:
                raise ValueError(f"{path}, line {number}: is no prediction; `predict` and `ideal` write them")
            records.append(record)
    return records


def check_predictions(records: Iterable[Mapping[str, Any]], directory: Path) -> None:
    """Whether records can be scored together, as predictions of the model in `directory` and of the ideal model.

    Raises:
        ValueError: some were made with other weights or another tokenizer, or answer a question that was answered
            before under the same setting.
    """
    expected = {model: _made_with(directory, model) for model in (REFERENCE, IDEAL, IDEAL_GREEDY)}
    seen: set[tuple[str, ...]] = set()
    for record in records:
        model, made_with = record["model"], record["made_with"]
        if model not in expected:
            raise ValueError(f"there are predictions of {model!r}, not of {REFERENCE!r} or the ideal model")
        if made_with != expected[model]:
            source = "other weights" if model == REFERENCE else "another tokenizer"
            raise ValueError(
                f"there are predictions of {model!r} for {record['task']} that were made with {source} than "
                f"{directory} has ({made_with}, not {expected[model]}); make them again"
            )
        key = (model, record["task"], record["setting"], record["id"])
        if key in seen:
            raise ValueError(f"{model!r} answers {record['id']} under {record['setting']} twice; give each file once")
        seen.add(key)


def _made_with(directory: Path, model: str) -> str:
    """What a model's predictions depend on, as a short hash: the trained one's weights, the ideal one's tokenizer."""
    path = directory / ("model.safetensors" if model == REFERENCE else "tokenizer.json")
    return sha256(path.read_bytes()).hexdigest()[:16]


@contextmanager
def _draft(output: Path) -> Iterator[IO[str]]:
    """A file to write to that is renamed to `output` when it is complete."""
    if output.is_dir():
        raise ValueError(f"{output}: is a directory; name a file for the predictions")
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f"{output.name}.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.rename(output)
    finally:
        draft.unlink(missing_ok=True)
