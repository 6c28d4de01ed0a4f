"""lm-eval with our models and tasks: the answers of a run, likelihoods, stop texts, its cache, and what is counted."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import call

pytest.importorskip("lm_eval")
import lm_eval
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from loopback_languagetool import loopback_languagetool
from public_sets import PARAPHRASES, SAMSUM, public_sets
from serving_models import SPOKEN, SPOKEN_TOKENS
from tiny_models import questions, save_bert

from benchmark.engine.rolling import RollingBatch
from benchmark.engine.worker import LogitsWorker
from benchmark.integrations.lm_eval_model import ParallelBenchLM
from benchmark.integrations.lm_eval_tasks import write_tasks
from benchmark.models import reference
from benchmark.models.interface import AnswerOptions
from benchmark.protocol.method import Method

THRESHOLD = {"scheduler": "threshold:threshold=0.9"}
COUNT = 3
#: A task as people write them, on a file of their own.
CHOICES = """
task: colours
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""
#: GSM8K as lm-eval has it, prompts, shots, filters and stop texts, on files of one's own.
GSM8K = """
include: {config}
task: gsm8k_here
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{train: {train}, test: {test}}}}}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model without a chat template."""
    return str(save_bert(tmp_path_factory.mktemp("bert"), chat_template=None))


@pytest.fixture(scope="module")
def shipped() -> ParallelBenchLM:
    if not reference.is_here():
        pytest.skip("the reference model is not here")
    return ParallelBenchLM("reference", batch_size=8, device="cpu", **THRESHOLD)


def generate(model: ParallelBenchLM, text: str, **told: Any) -> str:
    request = Instance("generate_until", {}, (text, told), 0, metadata=("a_task", 0, 1))
    return model.generate_until([request], disable_tqdm=True)[0]


@pytest.mark.slow
def test_our_tasks_have_the_answers_and_scores_of_a_run(shipped: ParallelBenchLM, tmp_path: Path) -> None:
    tasks = ("waiting_line_shuffle", "puzzle_latin_square_n4")
    rows = {task: questions(task, COUNT) for task in tasks}
    write_tasks(rows, tmp_path)
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    results = simple_evaluate(
        model=shipped, tasks=["parallelbench"], task_manager=manager, apply_chat_template=True, bootstrap_iters=0
    )
    costs = results["config"]["parallelbench"]["cost"]
    assert results["config"]["parallelbench"]["method"] == "threshold(threshold=0.9)"
    for task in tasks:
        (run,) = LogitsWorker(shipped.model).answers(
            rows[task], [Method.of("threshold", {"threshold": 0.9})], AnswerOptions(64, sharing=False)
        )
        found = {sample["doc"]["id"]: sample for sample in results["samples"][f"parallelbench_{task}"]}
        assert len(found) == COUNT
        for sample in run.samples:
            assert found[sample["id"]]["resps"] == [[sample["prediction"]]]
        cost = costs[f"parallelbench_{task}"]
        assert cost["forward_passes"] == sum(sample["num_forward_passes"] or 0 for sample in run.samples)
        assert cost["tokens_per_step"] == pytest.approx(64 * COUNT / cost["steps"], abs=1e-4)
        assert 0 <= results["results"][f"parallelbench_{task}"]["headline,none"] <= 1


def test_scores_are_those_of_the_metric(tmp_path: Path) -> None:
    rows = questions("waiting_line_copy", 2)
    write_tasks({"waiting_line_copy": rows}, tmp_path)
    (task,) = (
        TaskManager(include_path=str(tmp_path), include_defaults=False)
        .load(["parallelbench_waiting_line_copy"])["tasks"]
        .values()
    )
    assert task.process_results(rows[0], [rows[0]["answer"]]) == {"headline": 1.0, "score": 1.0, "score_strict": 1.0}
    bare = rows[0]["answer"].strip("[]")
    assert task.process_results(rows[0], [bare]) == {"headline": 1.0, "score": 1.0, "score_strict": 0.0}
    assert task.process_results(rows[0], ["nobody"])["headline"] == 0.0


def test_without_a_chat_template_the_shots_stand_above_the_question(tmp_path: Path) -> None:
    rows = questions("waiting_line_copy", 1)
    write_tasks({"waiting_line_copy": rows}, tmp_path)
    (task,) = TaskManager(include_path=str(tmp_path), include_defaults=False).load(["parallelbench"])["tasks"].values()
    text = task.fewshot_context(rows[0], 0)
    places = [text.index(message["content"]) for message in rows[0]["messages"]]
    assert places == sorted(places)


def test_likelihoods_choose_among_answers(tiny: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "colours.jsonl"
    lines = [{"question": f"{word} is", "choices": ["red", "blue and green"], "label": 0} for word in ("sky", "tree")]
    data.write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "colours.yaml").write_text(CHOICES.format(data=data))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    with caplog.at_level(logging.INFO, "lm_eval"):
        model = ParallelBenchLM(tiny, draws=16, batch_size=4, device="cpu")
        asked = {"model": model, "tasks": ["colours"], "task_manager": manager, "bootstrap_iters": 0}
        results = simple_evaluate(**asked, use_cache=str(tmp_path / "cache"))
    likelihoods = [pair for sample in results["samples"]["colours"] for ((pair,),) in [sample["resps"][:1]]]
    assert all(float(pair[0]) < 0 for pair in likelihoods)
    cost = results["config"]["parallelbench"]["cost"]["colours"]
    assert cost["requests"] == 4
    assert cost["forward_passes"] > 4
    assert "colours under confidence(): " in caplog.text
    # The second time all of it is in lm-eval's cache.
    again = ParallelBenchLM(tiny, draws=16, batch_size=4, device="cpu")
    repeated = simple_evaluate(**{**asked, "model": again}, use_cache=str(tmp_path / "cache"))
    assert repeated["config"]["parallelbench"]["cost"] == {}
    assert repeated["results"] == results["results"]


@pytest.mark.parametrize("chat", [False, True])
def test_gsm8k_runs_on_a_file_of_its_format(tmp_path: Path, chat: bool) -> None:
    sums = [
        {"question": f"What is {n} and {n}?", "answer": f"{n} + {n} = <<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}"}
        for n in range(1, 10)
    ]
    for name, rows in {"train": sums[:7], "test": [sums[8], {**sums[8], "question": "9 and 9?"}, sums[7]]}.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = Path(lm_eval.__file__).parent / "tasks/gsm8k/gsm8k.yaml"
    text = GSM8K.format(config=config, train=tmp_path / "train.jsonl", test=tmp_path / "test.jsonl")
    (tmp_path / "gsm8k_here.yaml").write_text(text)
    model = ParallelBenchLM(
        "serving_models:speaker", "confidence:k=4", block_length=16, max_new_tokens=SPOKEN_TOKENS, batch_size=2
    )
    results = simple_evaluate(
        model=model, tasks=["gsm8k_here"], apply_chat_template=chat, fewshot_as_multiturn=chat, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
    )  # fmt: skip
    samples = results["samples"]["gsm8k_here"]
    for sample in samples:
        prompt = sample["arguments"][0][0]
        assert prompt.count("Question:") == 6
        # Five shots, each with its solution, and an answer that ends before its stop text.
        assert prompt.count("####") == 5
        assert sample["resps"] == [[SPOKEN[: SPOKEN.index("Question:")]]]
    # Eighteen is right twice of three times, whichever filter reads it; the last number is that of both.
    assert results["results"]["gsm8k_here"]["exact_match,strict-match"] == pytest.approx(2 / 3)
    assert results["results"]["gsm8k_here"]["exact_match,flexible-extract"] == pytest.approx(2 / 3)
    assert {tuple(sample["filtered_resps"]) for sample in samples} == {("18",)}
    cost = results["config"]["parallelbench"]["cost"]["gsm8k_here"]
    decoded = model.tok_encode(SPOKEN[: SPOKEN.index("Question:") + len("Question:")], add_special_tokens=False)
    # Decoding ends with the block in which the stop text stands.
    assert cost["tokens"] == 3 * 16 * -(-len(decoded) // 16) < 3 * SPOKEN_TOKENS
    assert (cost["requests"], cost["tokens_per_step"]) == (3, 4.0)


def test_answers_that_lm_eval_has_in_its_cache_are_not_decoded_again(tmp_path: Path) -> None:
    write_tasks({"waiting_line_copy": questions("waiting_line_copy", 4)}, tmp_path)
    asked: dict[str, Any] = {
        "tasks": ["parallelbench"], "limit": 3, "bootstrap_iters": 0, "use_cache": str(tmp_path / "cache"),
        "task_manager": TaskManager(include_path=str(tmp_path), include_defaults=False), "apply_chat_template": True,
    }  # fmt: skip
    costs, found = [], []
    for limit in (3, 4):
        model = ParallelBenchLM("serving_models:speaker", "confidence:k=32", max_new_tokens=SPOKEN_TOKENS, batch_size=2)
        results = simple_evaluate(model=model, **{**asked, "limit": limit})
        costs.append(results["config"]["parallelbench"]["cost"]["parallelbench_waiting_line_copy"]["requests"])
        found.append([sample["resps"][0][0] for sample in results["samples"]["parallelbench_waiting_line_copy"]])
    assert costs == [3, 1]
    assert found == [[SPOKEN] * 3, [SPOKEN] * 4]


def test_what_greedy_decoding_gives_is_said_to_be_greedy(tiny: str) -> None:
    model = ParallelBenchLM(tiny, "confidence:k=1", batch_size=4, device="cpu", draws=4)
    prompt = model.tok_encode("a question")
    request = Instance("generate_until", {}, ("a question", {"max_gen_toks": 3}), 0, metadata=("a_task", 0, 1))
    (asked,) = [model._request(request)]
    batch = RollingBatch(model._prepared, model.method, batch_size=1)
    batch.join([asked])
    while not asked.is_over:
        batch.go_on()
    other = [asked.answer[0], (asked.answer[1] + 1) % 50, asked.answer[2]]
    found = model._loglikelihood_tokens([(("", ""), prompt, asked.answer), (("", ""), prompt, other)])
    assert [greedy for _, greedy in found] == [True, False]


def test_an_answer_ends_before_its_stop_text(tiny: str) -> None:
    model = ParallelBenchLM(tiny, "confidence:k=2", block_length=4, batch_size=4, device="cpu")
    whole = generate(model, "a question", max_gen_toks=16, until=[])
    steps = model._costs["a_task"].steps
    stop = whole.strip()[2:4]
    assert generate(model, "a question", max_gen_toks=16, until=["never", stop]) == whole[: whole.index(stop)]
    assert model._costs["a_task"].steps - steps < steps


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"pretrained": "ar:gpt2"}, "no diffusion model"),
        ({"pretrained": "ideal"}, "no diffusion model"),
        ({"scheduler": "threshold:threshold=[0.5,0.9]"}, "stands for 2 methods"),
        ({"scheduler": "threshold:threshold=0.9", "threshold": 0.5}, "threshold is given twice"),
        ({"batch_size": "many"}, "neither auto nor a number"),
        ({"draws": 0}, "draws=0"),
        ({"size": 3}, "has no parameter 'size'"),
    ],
)
def test_what_cannot_be_is_one_line(tiny: str, arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ParallelBenchLM(**{"pretrained": tiny, "device": "cpu", **arguments})


def test_perplexity_of_running_text_is_refused(tiny: str) -> None:
    with pytest.raises(ValueError, match="goes from token to token"):
        ParallelBenchLM(tiny, device="cpu", batch_size=1).loglikelihood_rolling([])


def test_parameters_of_the_scheduler_may_stand_beside_it(tiny: str) -> None:
    model = get_model("parallelbench").create_from_arg_obj(
        {"pretrained": tiny, "scheduler": "threshold", "threshold": 0.5, "block_length": 8},
        {"batch_size": "auto", "max_batch_size": 3, "device": "cuda:0"},
    )
    assert str(model.method) == "threshold(threshold=0.5, block_length=8)"
    assert model.batch_size == 3


def test_long_prompts_are_cut_on_the_left(tiny: str, caplog: pytest.LogCaptureFixture) -> None:
    model = ParallelBenchLM(tiny, device="cpu", batch_size=1, max_new_tokens=8)
    long = " ".join(str(number) for number in range(2000))
    request = model._request(Instance("generate_until", {}, (long, {}), 0, metadata=("a_task", 0, 1)))
    assert request.prompt == model.tok_encode(long)[-(1024 - 8) :]
    with pytest.raises(ValueError, match="does not fit into the context"):
        ParallelBenchLM(tiny, device="cpu", batch_size=1, max_new_tokens=1024)._request(
            Instance("generate_until", {}, (long, {}), 0, metadata=("a_task", 0, 1))
        )


@pytest.mark.slow
def test_the_command_runs_a_local_task_without_a_network(shipped: ParallelBenchLM, tmp_path: Path) -> None:
    files = tmp_path / "tasks"
    result = call("lm-eval-tasks", "--task", "waiting_line_copy", "--samples", "4", "--output", str(files))
    assert result.output == f"1 tasks in {files}: lm_eval --include_path {files} --tasks parallelbench\n"
    command = [str(Path(sys.executable).with_name("parallelbench")), "lm-eval", "--model", "parallelbench"]
    options = ["--model_args", "pretrained=reference,scheduler=threshold:threshold=0.9", "--apply_chat_template"]
    where = ["--include_path", str(files), "--tasks", "parallelbench_waiting_line_copy", "--limit", "2"]
    done = subprocess.run(
        [*command, *options, *where, "--batch_size", "4", "--output_path", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "out").rglob("*.json")
    found = json.loads(written.read_text())
    assert found["results"]["parallelbench_waiting_line_copy"]["sample_len"] == 2
    assert found["config"]["parallelbench"]["cost"]["parallelbench_waiting_line_copy"]["requests"] == 2


@pytest.mark.slow
def test_what_is_not_here_is_left_out_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALLELBENCH_LANGUAGETOOL_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = call("lm-eval-tasks", "--samples", "1", "--output", str(tmp_path / "all"))
    assert result.exit_code == 0, result.output
    *left_out, last = result.output.splitlines()
    assert last.startswith(f"{17 - len(left_out)} tasks in ")
    assert all(line.startswith("left out: paraphrase_summarize") for line in left_out)
    assert len(list((tmp_path / "all").glob("parallelbench_*.yaml"))) == 17 - len(left_out) >= 15
    if left_out:
        named = call("lm-eval-tasks", "--task", "paraphrase_summarize", "--output", str(tmp_path / "named"))
        assert named.exit_code == 2
        assert not (tmp_path / "named").exists()


@pytest.mark.slow
def test_all_seventeen_are_written_where_public_sets_and_a_grammar_checker_are(tmp_path: Path) -> None:
    output = tmp_path / "tasks"
    command = [str(Path(sys.executable).with_name("parallelbench")), "lm-eval-tasks", "--samples", "2", "--output"]
    with public_sets() as hub, loopback_languagetool({"goed": "SPELLING"}) as languagetool:
        done = subprocess.run(
            [*command, str(output)], capture_output=True, text=True, check=True,
            env=hub.environment(tmp_path / "home") | {"PARALLELBENCH_LANGUAGETOOL_URL": languagetool.url},
        )  # fmt: skip
    assert done.stdout.startswith("17 tasks in ")
    manager = TaskManager(include_path=str(output), include_defaults=False)
    tasks = manager.load(["parallelbench"])["tasks"]
    assert len(tasks) == 17
    for name in (SAMSUM, PARAPHRASES):
        task = tasks[f"parallelbench_{name}"]
        # The strict score is one of lists and puzzles.
        assert set(task.aggregation()) == {"headline", "score"}
        (first, _) = task.test_docs()
        assert first["messages"][-1]["content"] in task.fewshot_context(first, 0)


def test_lm_eval_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call("lm-eval", "--model", "parallelbench")
    assert result.exit_code == 2
    assert "pip install 'parallelbench[lm-eval]'" in result.output
