"""The page of the metric's Space: score one answer, or a file of answers, in the browser.

`python app.py` serves it locally, by default at http://127.0.0.1:7860.
"""

import json
from pathlib import Path
from typing import Any

import evaluate
import gradio

HERE = Path(__file__).resolve().parent
NAME = "parallelbench"
# For every kind of task a reference and an answer, which need neither Java nor an encoder but for the last two.
EXAMPLES = [
    ['["Grace Field", "Ada Stone"]', '{"scorer": "list_shuffle", "input": ["Ada Stone", "Grace Field"]}'],
    ["Sure: [Ada Stone, Grace Field]", '{"scorer": "list_match", "answer": "[\\"Ada Stone\\", \\"Grace Field\\"]"}'],
    ["1234\n3412\n2143\n4321", '{"scorer": "sudoku", "answer": "1234\\n3412\\n2143\\n4321"}'],
    ["A,B\nB,A", '{"scorer": "latin_square", "symbols": ["A", "B"]}'],
    ["The river met a quiet lantern.", '{"scorer": "words_to_sentence", "words": ["river", "lantern"]}'],
    ["Ada lit the lamp.", '{"scorer": "summary", "summary": "Ada has lit the lamp at last."}'],
]


def load_metric() -> Any:
    """The metric in this folder, whatever the folder is called."""
    return evaluate.load(str(HERE / f"{NAME}.py"))


def build(metric: Any) -> gradio.Blocks:
    """The page, which has two endpoints: `score_answer` for one answer, and `score_file` for many."""

    def score_answer(prediction: str, reference: str, grammar_url: str) -> dict[str, Any]:
        return compute([prediction], [reference], grammar_url)

    def score_file(path: str | None, grammar_url: str) -> dict[str, Any]:
        if path is None:
            raise gradio.Error("Choose a file of JSON lines first.")
        predictions, references = read_answers(Path(path))
        return compute(predictions, references, grammar_url)

    def compute(predictions: list[Any], references: list[Any], grammar_url: str) -> dict[str, Any]:
        try:
            result: dict[str, Any] = metric.compute(
                predictions=predictions,
                references=references,
                grammar_url=grammar_url.strip() or None,
                per_sample=len(predictions) <= 100,
                intervals=len(predictions) > 1,
            )
        except (ValueError, OSError) as error:
            raise gradio.Error(str(error)) from error
        return result

    page: gradio.Blocks = gradio.Blocks(title="ParallelBench metric")
    with page:
        gradio.Markdown(
            "# ParallelBench metric\nScores answers of language models to the tasks of "
            "[ParallelBench](https://arxiv.org/abs/2510.04767). A *reference* is one value of the dataset's column of "
            "that name. Text is judged by LanguageTool; lists and puzzles need nothing."
        )
        server = gradio.Textbox(label="LanguageTool server", placeholder="by default one is started", max_lines=1)
        with gradio.Tab("One answer"):
            prediction = gradio.Textbox(label="Answer", lines=4)
            reference = gradio.Textbox(label="Reference", lines=3)
            button = gradio.Button("Score", variant="primary")
            scores = gradio.JSON(label="Scores")
            gradio.Examples(EXAMPLES, [prediction, reference])
            button.click(score_answer, [prediction, reference, server], scores, api_name="score_answer")
        with gradio.Tab("A file"):
            gradio.Markdown("JSON lines, each an object with `prediction` and `reference`.")
            file = gradio.File(label="Answers", file_types=[".jsonl", ".json"])
            all_button = gradio.Button("Score", variant="primary")
            all_scores = gradio.JSON(label="Scores")
            all_button.click(score_file, [file, server], all_scores, api_name="score_file")
    return page


def read_answers(path: Path) -> tuple[list[Any], list[Any]]:
    """Predictions and references of a file of JSON lines.

    Raises:
        gradio.Error: a line is not an object with both; the message names the line.
    """
    predictions: list[Any] = []
    references: list[Any] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            predictions.append(row["prediction"])
            references.append(row["reference"])
        except (ValueError, KeyError, TypeError):
            raise gradio.Error(f"Line {number} is not a JSON object with prediction and reference.") from None
    return predictions, references


if __name__ == "__main__":
    build(load_metric()).launch()
