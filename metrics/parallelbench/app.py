"""The page of the metric's Space: score one answer, or a file of answers, in the browser.

`python app.py` serves it locally, by default at http://127.0.0.1:7860.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLongError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluate
import gradio

HERE = Path(__file__).resolve().parent
NAME = "parallelbench"
# An answer and a reference for every kind of task; only the last two need Java.
EXAMPLES = [
    ['["Grace Field", "Ada Stone"]', '{"scorer": "list_shuffle", "input": ["Ada Stone", "Grace Field"]}'],
    ["Sure: [Ada Stone, Grace Field]", '{"scorer": "list_match", "answer": "[\\"Ada Stone\\", \\"Grace Field\\"]"}'],
    ["1234\n3412\n2143\n4321", '{"scorer": "sudoku", "answer": "1234\\n3412\\n2143\\n4321"}'],
    ["A,B\nB,A", '{"scorer": "latin_square", "symbols": ["A", "B"]}'],
    ["The river met a quiet lantern.", '{"scorer": "words_to_sentence", "words": ["river", "lantern"]}'],
    ["Ada lit the lamp.", '{"scorer": "summary", "summary": "Ada has lit the lamp at last."}'],
]


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Store = Callable[[Any], Coroutine[Any, Any, str | None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What visitors can ask for; the card of the metric states these numbers.

    Args:
        file_bytes: size of a file of answers, and of any other request.
        answers: answers in a file.
        characters: length of an answer, and of a reference.
        seconds: time of one call.
        calls: calls running at the same time, of all visitors together.
        waiting: calls that wait for their turn.
    """

    file_bytes: int = 2_000_000
    answers: int = 1_000
    characters: int = 10_000
    seconds: float = 60.0
    calls: int = 2
    waiting: int = 16


class Scoring:
    """Scores rows within the limits; what goes beyond them is refused in one line.

    A thread cannot be stopped from outside. So a call that takes too long is given up, but counts as running until it
    ends: no more than `limits.calls` threads are ever busy.
    """

    def __init__(self, metric: Any, limits: Limits) -> None:
        self._metric = metric
        self._limits = limits
        self._places = threading.BoundedSemaphore(limits.calls)

    def score(self, predictions: list[Any], references: list[Any], where: Callable[[int], str]) -> dict[str, Any]:
        """Return what `compute` gives.

        Args:
            predictions: answers.
            references: their references.
            where: names a row, in the first words of a refusal.

        Raises:
            gradio.Error: something is wrong with a row or beyond a limit, or this machine lacks what a score needs.
        """
        for index, row in enumerate(zip(predictions, references, strict=True)):
            for what, text in zip(("answer", "reference"), row, strict=True):
                if isinstance(text, str) and len(text) > self._limits.characters:
                    raise gradio.Error(
                        f"{where(index)}the {what} has {len(text):,} characters; at most {self._limits.characters:,} "
                        "are scored here."
                    )
        if not self._places.acquire(blocking=False):
            raise gradio.Error("The page is busy with other calls; try again in a minute.")
        work: Future[dict[str, Any]] = Future()
        threading.Thread(target=self._work, args=(work, predictions, references), daemon=True).start()
        try:
            return work.result(timeout=self._limits.seconds)
        except TookTooLongError:
            raise gradio.Error(
                f"This took longer than {self._limits.seconds:g} seconds and was given up; score fewer answers at once."
            ) from None
        except ValueError as error:
            raise gradio.Error(in_one_line(error)) from None
        except OSError as error:
            # The message may name addresses and folders, which visitors must not see.
            logger.error("%s", in_one_line(error))
            raise gradio.Error(
                "Something that these scores need is not available at the moment; the log of the page says what."
            ) from None

    def _work(self, work: Future[dict[str, Any]], predictions: list[Any], references: list[Any]) -> None:
        try:
            result = self._metric.compute(
                predictions=predictions,
                references=references,
                per_sample=len(predictions) <= 100,
                intervals=len(predictions) > 1,
            )
        except BaseException as error:
            work.set_exception(error)
        else:
            work.set_result(result)
        finally:
            self._places.release()


class Gate:
    """Middleware (ASGI) before gradio: refuses requests that are too large or would make gradio fetch an address."""

    def __init__(self, app: Callable[..., Awaitable[None]], most_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with one line of plain text."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = re.search(r"/(?:file|proxy)=(.*)", scope["path"], re.DOTALL)
        if address is not None and is_web_address(address[1]):
            await refuse(send, 403, "This page fetches nothing from other addresses.")
            return
        read = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if read > self._most_bytes:
            await refuse(send, 413, f"A request may have {self._most_bytes:,} bytes at most, this one has {read:,}.")
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most_bytes:
                # A request without a length ends here, as if the visitor had gone.
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, counted, send)


async def refuse(send: Send, status: int, line: str) -> None:
    """Answer a request with one line of plain text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": line.encode()})


def is_web_address(text: str) -> bool:
    """Tell whether gradio would take a text for an address to fetch."""
    return re.match(r"\s*https?:", text, re.IGNORECASE) is not None


def refusing_addresses(store: Store) -> Store:
    """Return the function by which a component stores a file, without addresses, which gradio would fetch."""

    async def stored(path: Any) -> str | None:
        if is_web_address(str(path)):
            raise gradio.Error("A file must be uploaded; its address is not enough.")
        return await store(path)

    return stored


def in_one_line(error: BaseException) -> str:
    """The words of an error as one line."""
    return " ".join(str(error).split()) or type(error).__name__


def load_metric() -> Any:
    """The metric in this folder, whatever the folder is called."""
    return evaluate.load(str(HERE / f"{NAME}.py"))


def build(metric: Any, limits: Limits) -> gradio.Blocks:
    """The page, which has two endpoints: `score_answer` for one answer, and `score_file` for many."""
    scoring = Scoring(metric, limits)

    def score_answer(prediction: str, reference: str) -> dict[str, Any]:
        return scoring.score([prediction], [reference], lambda index: "")

    def score_file(path: str | None) -> dict[str, Any]:
        if path is None:
            raise gradio.Error("Choose a file of JSON lines first.")
        numbers, predictions, references = read_answers(Path(path), limits)
        return scoring.score(predictions, references, lambda index: f"Line {numbers[index]}: ")

    # What is uploaded is kept for ten minutes.
    page: gradio.Blocks = gradio.Blocks(title="ParallelBench metric", delete_cache=(600, 600))
    with page:
        gradio.Markdown(
            "# ParallelBench metric\nScores answers of language models to the tasks of "
            "[ParallelBench](https://arxiv.org/abs/2510.04767). A *reference* is one value of the dataset's column of "
            "that name. Text is judged by LanguageTool; lists and puzzles need nothing."
        )
        with gradio.Tab("One answer"):
            prediction = gradio.Textbox(label="Answer", lines=4, max_length=limits.characters)
            reference = gradio.Textbox(label="Reference", lines=3, max_length=limits.characters)
            button = gradio.Button("Score", variant="primary")
            scores = gradio.JSON(label="Scores")
            gradio.Examples(EXAMPLES, [prediction, reference])
            button.click(
                score_answer,
                [prediction, reference],
                scores,
                api_name="score_answer",
                concurrency_id="score",
                concurrency_limit=limits.calls,
            )
        with gradio.Tab("A file"):
            gradio.Markdown(
                f"JSON lines, each an object with `prediction` and `reference`: at most {limits.answers:,} answers and "
                f"{limits.file_bytes:,} bytes."
            )
            file = gradio.File(label="Answers", file_types=[".jsonl", ".json"])
            # Not a subclass: gradio writes a .pyi file beside every class that extends one of its components.
            store = refusing_addresses(file.async_move_resource_to_block_cache)
            file.async_move_resource_to_block_cache = store  # type: ignore[assignment]
            all_button = gradio.Button("Score", variant="primary")
            all_scores = gradio.JSON(label="Scores")
            all_button.click(score_file, [file], all_scores, api_name="score_file", concurrency_id="score")
    # Calls past the queue would go past its limits too.
    page.queue(max_size=limits.waiting, api_open=False)
    return page


def read_answers(path: Path, limits: Limits) -> tuple[list[int], list[Any], list[Any]]:
    """Line numbers, predictions and references of a file of JSON lines.

    Raises:
        gradio.Error: a line is not an object with both; the message names the line. Or the file is too large.
    """
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise gradio.Error(f"The file has {size:,} bytes; at most {limits.file_bytes:,} are read.")
    numbers: list[int] = []
    predictions: list[Any] = []
    references: list[Any] = []
    # What Unicode calls a line separator may stand within a JSON string.
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), start=1):
        if not line.strip():
            continue
        if len(numbers) == limits.answers:
            raise gradio.Error(f"The file has more than {limits.answers:,} answers, which is the most that is scored.")
        try:
            row = json.loads(line)
            predictions.append(row["prediction"])
            references.append(row["reference"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise gradio.Error(f"Line {number} is not a JSON object with prediction and reference.") from None
        numbers.append(number)
    return numbers, predictions, references


def launch(limits: Limits) -> None:
    """Serve the page until it is interrupted.

    Raises:
        ValueError: `PARALLELBENCH_LANGUAGETOOL_URL` is not an address.
    """
    from starlette.middleware import Middleware

    metric = load_metric()
    if os.environ.get("PARALLELBENCH_LANGUAGETOOL_URL", "").strip():
        try:
            metric.check_texts(["Is anybody there?"], parses=False)
        except OSError as error:
            logger.error("%s", in_one_line(error))  # the server may be started later; lists and puzzles do not need it
    build(metric, limits).launch(
        max_file_size=limits.file_bytes,
        # A request that uploads a file also has headers and a form around it.
        app_kwargs={"middleware": [Middleware(Gate, most_bytes=limits.file_bytes + 10_000)]},
    )


if __name__ == "__main__":
    launch(Limits())
