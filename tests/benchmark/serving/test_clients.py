"""The server asked by its clients: our `api:` models, the `openai` client and lm-eval's, all with a run's answers."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import call
from tiny_models import questions

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")
import openai

from benchmark.engine.worker import LogitsWorker
from benchmark.models import HubModel, reference
from benchmark.models.interface import AnswerOptions, Sample
from benchmark.protocol.method import Method
from benchmark.serving.server import ServeOptions, make_server
from benchmark.store.runs import RunStore

METHOD = Method.of("threshold", {"threshold": 0.9}, 16)
TASK, COUNT, NEW = "waiting_line_shuffle", 6, 64
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not reference.is_here():
        pytest.skip("the reference model is not here")
    there: list[str] = []
    known = threading.Event()

    def ready(address: str, line: str) -> None:
        there.append(address)
        known.set()

    server = make_server(ServeOptions("reference", METHOD, port=0, batch_size=4), ready)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert known.wait(60)
    yield there[0]
    server.stop()
    thread.join(30)


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    """Question → sample, of `parallelbench run`."""
    model = HubModel(str(reference.DIRECTORY), ServeOptions("reference", METHOD).for_model)
    (answered,) = LogitsWorker(model).answers(questions(TASK, COUNT), [METHOD], AnswerOptions(NEW, sharing=False))
    return {sample["id"]: sample for sample in answered.samples}


@pytest.fixture(scope="module")
def run(samples: dict[str, Sample]) -> dict[str, str]:
    """Question → answer, of `parallelbench run`."""
    return {name: sample["prediction"] for name, sample in samples.items()}


def test_our_own_client(url: str, run: dict[str, str], samples: dict[str, Sample], tmp_path: Path) -> None:
    result = call(
        "run", "--model", f"api:reference@{url}", "--task", TASK, "--samples", str(COUNT),
        "--max-new-tokens", str(NEW), "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    served = RunStore(tmp_path / "run").read_samples(f"api:reference@{url}", TASK, Method("served"), 0)
    assert {sample["id"]: sample["prediction"] for sample in served} == run
    for sample in served:
        here = samples[sample["id"]]
        assert sample["num_answer_tokens"] == here["num_answer_tokens"]
        assert sample["tokens_per_step"] == sample["num_tokens"] / (sample["num_rounds"] or 0) > 1
        # The server decodes no blocks behind the one in which an answer ends.
        blocks = -(-(here["num_answer_tokens"] + 1) // 16)
        assert sample["num_tokens"] == min(NEW, 16 * blocks)
        if sample["num_tokens"] == NEW:
            assert sample["num_forward_passes"] == here["num_forward_passes"]
        else:
            assert 0 < (sample["num_forward_passes"] or 0) < (here["num_forward_passes"] or 0)


@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_client(url: str, run: dict[str, str], stream: bool) -> None:
    with openai.OpenAI(base_url=url, api_key="none") as client:
        assert [model.id for model in client.models.list()] == ["reference"]
        for row in questions(TASK, COUNT):
            asked: dict[str, Any] = {"model": "reference", "messages": row["messages"], "max_tokens": NEW}
            if stream:
                parts = client.chat.completions.create(**asked, stream=True)
                text = "".join(part.choices[0].delta.content or "" for part in parts)
            else:
                text = client.chat.completions.create(**asked).choices[0].message.content
            assert text == run[row["id"]]


def test_the_openai_client_says_what_is_refused(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="the server has reference"):
            client.chat.completions.create(model="other", messages=[{"role": "user", "content": "Hello"}])
        with pytest.raises(openai.BadRequestError, match="n=2 is not done here"):
            client.chat.completions.create(model="reference", messages=[{"role": "user", "content": "Hello"}], n=2)


def test_lm_evals_client(url: str, run: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("tenacity")
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from benchmark.integrations.lm_eval_tasks import write_tasks

    write_tasks({TASK: questions(TASK, COUNT)}, tmp_path)
    results = simple_evaluate(
        model="local-chat-completions",
        model_args=f"model=reference,base_url={url}/chat/completions,num_concurrent=4",
        tasks=[f"parallelbench_{TASK}"],
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        apply_chat_template=True,
        gen_kwargs=f"max_gen_toks={NEW}",
        bootstrap_iters=0,
    )
    found = {sample["doc"]["id"]: sample["resps"][0][0] for sample in results["samples"][f"parallelbench_{TASK}"]}
    assert found == run
