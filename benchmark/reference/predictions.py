"""What the trained model answers to the questions of test under each setting, kept on disk so that scoring can wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..data import Row
from ..decoding import decode_answer, encode_prompts, noise_source
from ..settings import SchedulerSetting, parse_specification

# Answers are generated at one length, which fits all of them.
NEW_TOKENS = 64
QUOTAS = (1, 2, 4, 8, 16, 32)
THRESHOLDS = (0.9, 0.7, 0.5)
SPECIFICATIONS = (
    *(f"{order}:k={k}" for order in ("confidence", "random") for k in QUOTAS),
    *(f"threshold:threshold={threshold}" for threshold in THRESHOLDS),
)
# Names of the ideal model in records of predictions.
IDEAL, IDEAL_GREEDY = "ideal", "ideal, greedy"
_TIE_NOISE = 1e-4


def evaluated_tasks() -> list[str]:
    """The tasks of the benchmark whose test rows take nothing but this repository, and the case studies in the mix."""
    import hub_dataset

    from .examples import WEIGHTS

    suite = hub_dataset.default_task_names()
    return [*suite, *(name for name in WEIGHTS if name not in suite)]


def predict(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    setting: SchedulerSetting,
    *,
    name: str = "reference",
    new_tokens: int = NEW_TOKENS,
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """One record per row: model, task, id, the setting's label, the prediction and the forward passes it took."""
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
        generator=[noise_source(seed, row["id"], setting.label) for row in rows],
    )
    answers = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
    for row, tokens, passes in zip(rows, answers, output.num_forward_passes.tolist(), strict=True):
        yield {
            "model": name,
            "task": row["task"],
            "id": row["id"],
            "setting": setting.label,
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
    from samplers import models

    from ..data import load_rows

    model: Any = models.load(directory, dtype="float32", device=device)
    tokenizer = models.load_tokenizer(str(directory))
    settings = [SchedulerSetting(*parse_specification(text)) for text in specifications]
    draft = output.with_suffix(".tmp")
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for task in tasks for row in load_rows(task, samples)]
    with draft.open("w", encoding="utf-8") as file:
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            for setting in settings:
                for record in predict(model, tokenizer, batch, setting, new_tokens=new_tokens):
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
            report(f"{start + len(batch)} of {len(rows)} rows under {len(settings)} settings")
    draft.rename(output)


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
    from samplers import models

    from ..data import load_rows
    from ..ideal import BorrowedTokenizer, ExactDenoiser

    lender = models.load_tokenizer(str(directory))
    settings = [SchedulerSetting(*parse_specification(text)) for text in specifications]
    draft = output.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        for task in tasks:
            rows = load_rows(task, samples)
            tokenizer: Any = BorrowedTokenizer(lender, rows)
            for name, temperature in ((IDEAL_GREEDY, 0.0), (IDEAL, 1.0)):
                noise = 0.0 if temperature else _TIE_NOISE
                model = ExactDenoiser.from_rows(rows, tokenizer, max_new_tokens=NEW_TOKENS, tie_noise=noise)
                for setting in settings:
                    for record in predict(model, tokenizer, rows, setting, name=name, temperature=temperature):
                        file.write(json.dumps(record, ensure_ascii=False) + "\n")
            report(f"{task}: {len(rows)} rows under {len(settings)} settings, greedy and sampled")
    draft.rename(output)


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """The records of a file of predictions."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
