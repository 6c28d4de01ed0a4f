"""Models behind a server: their names and keys, many questions at once, failures that are recorded, and whole runs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback_service import MODEL, LoopbackService, answers_to, loopback_service
from support import ROOT, call

from benchmark.analysis.summary import summarise
from benchmark.engine.worker import worker_for
from benchmark.models import ModelOptions, ServiceModel, load_model
from benchmark.models.asking import Patience, Unanswered
from benchmark.models.interface import Answered, AnswerOptions
from benchmark.protocol.method import Method
from benchmark.protocol.questions import load_rows
from benchmark.report.tables import notes
from benchmark.store.runs import RunStore

pytest.importorskip("openai")
pytestmark = pytest.mark.usefixtures("elsewhere", "without_report")

TASK = "waiting_line_copy"
ROWS = load_rows(TASK, 8)
SERVED, AUTOREGRESSIVE = Method.parse("served"), Method.parse("autoregressive")
OPTIONS = AnswerOptions(max_new_tokens=64)
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "INCEPTION_API_KEY", "PARALLELBENCH_API_KEY")
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[LoopbackService]:
    with loopback_service(answers_to(ROWS)) as running:
        yield running


def model_at(server: LoopbackService, name: str = MODEL, **options: Any) -> ServiceModel:
    model = ServiceModel(name, ModelOptions(base_url=server.url, **{"concurrency": 4, "timeout": 5.0, **options}))
    model.patience = Patience(attempts=3, first_wait=0.01)
    return model


def run(server: LoopbackService, *more: str) -> Any:
    return call("run", "--model", f"api:{MODEL}", "--base-url", server.url, "--task", TASK, "--samples", "8", *more)


# -- names, addresses and keys -------------------------------------------------------------------------------------


def test_a_server_is_named_with_the_model_or_beside_it(server: LoopbackService) -> None:
    named = load_model(f"api:org/{MODEL}@{server.url}/")
    assert isinstance(named, ServiceModel)
    assert (named.name, named.device_name()) == (f"api:org/{MODEL}@{server.url}/", server.url)
    assert named.record() == {"service": "127.0.0.1"}
    assert worker_for(named) is named
    # A name may have an @ of its own.
    beside = load_model("api:tiny@2", ModelOptions(base_url=server.url))
    assert (beside.name, beside.device_name()) == ("api:tiny@2", server.url)


@pytest.mark.parametrize(
    ("name", "base_url", "words"),
    [
        ("api:", "http://127.0.0.1/v1", "names no model"),
        ("api:@http://127.0.0.1/v1", None, "names no model"),
        ("api:tiny", None, "api:tiny has no server; give --base-url"),
        ("api:tiny", "127.0.0.1:8000", "cannot read the address"),
        ("api:tiny", "ftp://host/v1", "cannot read the address"),
        ("api:tiny", "http://host:port/v1", "cannot read the address"),
        ("api:tiny", f"http://me:{SECRET}@host/v1", "address of host .* keys are read from the environment"),
        ("api:tiny", f"http://host/v1?key={SECRET}", "address of host .* keys are read from the environment"),
        ("api:claude", "https://api.anthropic.com/v1", "api.anthropic.com takes a key; set ANTHROPIC_API_KEY"),
        ("api:mercury@https://api.inceptionlabs.ai/v1", None, "set INCEPTION_API_KEY"),
        ("api:gpt@https://API.openai.com/v1", None, "set OPENAI_API_KEY"),
        ("api:gpt@http://api.openai.com/v1", None, "over https only"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line_without_secrets(
    name: str, base_url: str | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as failure:
        load_model(name, ModelOptions(base_url=base_url))
    assert SECRET not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_key_that_cannot_be_one_is_refused_without_saying_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (f"{SECRET}\nX: y", "schlüssel", f"{SECRET} {SECRET}"):
        monkeypatch.setenv("OPENAI_API_KEY", broken)
        with pytest.raises(ValueError, match="OPENAI_API_KEY holds letters that no key has") as failure:
            load_model("api:gpt@https://api.openai.com/v1")
        assert SECRET not in str(failure.value)


def test_a_key_goes_to_the_host_that_it_belongs_to_and_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS[:3]:
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    with loopback_service(answers_to(ROWS)) as server:
        list(model_at(server).answers(ROWS[:1], [SERVED], OPTIONS))
        assert server.headers[0]["authorization"] == "Bearer none"
        assert SECRET not in json.dumps(server.headers)
        assert "org-mine" not in json.dumps(server.headers)
    with loopback_service(answers_to(ROWS), key=SECRET) as server:
        with pytest.raises(ValueError, match=r"HTTP 401.*its key is read from PARALLELBENCH_API_KEY"):
            list(model_at(server).answers(ROWS[:1], [SERVED], OPTIONS))
        monkeypatch.setenv("PARALLELBENCH_API_KEY", f" {SECRET}\n")
        (answered,) = model_at(server).answers(ROWS[:1], [SERVED], OPTIONS)
        assert answered.samples[0]["prediction"] == ROWS[0]["answer"]


def test_chat_options_go_to_servers_that_have_templates(
    server: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_at(server, chat_options={"enable_thinking": False})
    list(model.answers(ROWS[:1], [SERVED], OPTIONS))
    assert server.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert model.record() == {"service": "127.0.0.1", "chat_options": {"enable_thinking": False}}
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    with pytest.raises(ValueError, match=r"--chat-option: api\.anthropic\.com"):
        load_model("api:claude@https://api.anthropic.com/v1", ModelOptions(chat_options={"x": 1}))


# -- answers -------------------------------------------------------------------------------------------------------


def test_each_answer_is_told_as_it_comes_with_what_it_cost(server: LoopbackService) -> None:
    answered = list(model_at(server).answers(ROWS, [SERVED, AUTOREGRESSIVE], OPTIONS))
    assert len(answered) == 16
    assert all(len(each.samples) == 1 for each in answered)
    for method, passes in ((SERVED, None), (AUTOREGRESSIVE, 6)):
        samples = {each.samples[0]["id"]: each.samples[0] for each in answered if each.method == method}
        assert sorted(samples) == [row["id"] for row in ROWS]
        sample = samples[ROWS[0]["id"]]
        assert sample["prediction"] == ROWS[0]["answer"]
        assert (sample["num_tokens"], sample["num_answer_tokens"], sample["num_forward_passes"]) == (6, 6, passes)
        assert sample["tokens_per_step"] == (None if passes is None else 1.0)
        assert 0 < sample["seconds_to_first_token"] <= sample["seconds_to_last_token"]
    assert server.most_at_once <= 4


def test_requests_are_greedy_unless_the_user_or_the_method_says_otherwise(server: LoopbackService) -> None:
    model = model_at(server, concurrency=1)
    list(model.answers(ROWS[:1], [SERVED], OPTIONS))
    list(model.answers(ROWS[:1], [SERVED], AnswerOptions(max_new_tokens=32, temperature=0.5, seed=3)))
    list(model.answers(ROWS[:1], [Method.parse("served(temperature=1, top_p=0.5, max_tokens=8)")], OPTIONS))
    greedy, drawn, told = server.requests
    assert (greedy["temperature"], greedy["max_tokens"], "seed" in greedy) == (0.0, 64, False)
    assert (drawn["temperature"], drawn["max_tokens"], drawn["seed"]) == (0.5, 32, 3)
    assert (told["temperature"], told["top_p"], told["max_tokens"]) == (1, 0.5, 8)


def test_a_service_that_streams_its_states_has_as_many_forward_passes(
    server: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.models import service
    from benchmark.models.services import SERVICES

    (mercury,) = (each for each in SERVICES if each.streams_states)
    monkeypatch.setattr(service, "service_at", lambda host: mercury)
    monkeypatch.setenv("INCEPTION_API_KEY", SECRET)
    monkeypatch.setattr(service, "_server", lambda url: (url, mercury))
    (answered,) = model_at(server).answers(ROWS[:1], [SERVED], OPTIONS)
    assert server.requests[0]["diffusing"] is True
    assert answered.samples[0]["prediction"] == ROWS[0]["answer"]
    assert answered.samples[0]["num_forward_passes"] == 6


def test_a_server_that_says_what_its_diffusion_model_did_has_tokens_per_step(server: LoopbackService) -> None:
    server.counts = {"generated_tokens": 32, "steps": 8, "forward_passes": 10}
    for method in (SERVED, AUTOREGRESSIVE):
        (answered,) = model_at(server).answers(ROWS[:1], [method], OPTIONS)
        sample = answered.samples[0]
        assert (sample["num_tokens"], sample["num_answer_tokens"]) == (32, 6)
        assert (sample["num_rounds"], sample["num_forward_passes"], sample["tokens_per_step"]) == (8, 10, 4.0)


@pytest.mark.parametrize(
    "counts",
    [
        {"generated_tokens": 32, "steps": 8},
        {"generated_tokens": 32, "steps": 0, "forward_passes": 0},
        {"generated_tokens": "32", "steps": 8.0, "forward_passes": True},
        {"generated_tokens": None, "steps": None, "forward_passes": None},
    ],
)
def test_counts_that_say_nothing_are_none(server: LoopbackService, counts: dict[str, Any]) -> None:
    server.counts = counts
    (answered,) = model_at(server).answers(ROWS[:1], [SERVED], OPTIONS)
    sample = answered.samples[0]
    assert (sample["num_tokens"], sample["num_forward_passes"], sample["tokens_per_step"]) == (6, None, None)


def test_a_question_that_gets_no_answer_is_a_sample_with_the_reason(server: LoopbackService) -> None:
    server.trouble = [None, 400]
    answered = list(model_at(server, concurrency=1).answers(ROWS, [SERVED], OPTIONS))
    failed = [each.samples[0] for each in answered if "error" in each.samples[0]]
    assert [sample["id"] for sample in failed] == [ROWS[1]["id"]]
    assert failed[0]["error"] == "HTTP 400: trouble number 400"
    assert (failed[0]["prediction"], failed[0]["num_forward_passes"], "scores" in failed[0]) == ("", None, False)
    assert len(server.requests) == 8


def test_a_prompt_that_is_too_long_fails_alone(server: LoopbackService) -> None:
    long = {**ROWS[0], "id": "long", "messages": [{"role": "user", "content": "word " * 1000}]}
    server.context = 4000
    samples = [each.samples[0] for each in model_at(server, concurrency=1).answers([ROWS[0], long], [SERVED], OPTIONS)]
    assert "error" not in samples[0]
    assert samples[1]["error"] == "HTTP 400: maximum context length is 4000 letters"


def test_a_service_that_refuses_whatever_it_is_asked_ends_the_run(server: LoopbackService) -> None:
    server.always = 400
    answers = model_at(server, concurrency=1).answers(ROWS, [SERVED], OPTIONS)
    told: list[Answered] = []
    with pytest.raises(ValueError, match="answers nothing; 5 questions failed: HTTP 400"):
        told.extend(answers)
    assert len(server.requests) < 8


def test_what_a_service_cannot_do_is_one_line(server: LoopbackService, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"not run with confidence\(k=1\); a service has no scheduler"):
        list(model_at(server).answers(ROWS, [Method.parse("confidence:k=1")], OPTIONS))
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    claude = load_model("api:claude@https://api.anthropic.com/v1")
    assert isinstance(claude, ServiceModel)
    hot = Method.parse("served:temperature=2")
    for options, method in ((AnswerOptions(64, temperature=1.5), SERVED), (OPTIONS, hot)):
        with pytest.raises(ValueError, match=r"temperatures up to 1; .* is above"):
            list(claude.answers(ROWS, [method], options))


def test_a_service_of_one_temperature_says_so_and_is_asked_with_it(server: LoopbackService) -> None:
    server.temperature = 1
    with pytest.raises(ValueError, match=r"questions failed: HTTP 400: .*'temperature' does not support 0") as failure:
        list(model_at(server, concurrency=1).answers(ROWS, [SERVED], OPTIONS))
    assert "\n" not in str(failure.value)
    method = Method.parse("served(temperature=1)")
    (answered,) = model_at(server).answers(ROWS[:1], [method], OPTIONS)
    assert answered.samples[0]["prediction"] == ROWS[0]["answer"]


def test_a_model_without_chats_is_one_line(server: LoopbackService) -> None:
    server.has_chats = False
    with pytest.raises(ValueError, match="HTTP 404: This is not a chat model") as failure:
        list(model_at(server).answers(ROWS, [SERVED], OPTIONS))
    assert "\n" not in str(failure.value)


def test_an_unknown_model_is_named_with_those_that_the_server_has(server: LoopbackService) -> None:
    with pytest.raises(ValueError, match=r"HTTP 404.*the server has tiny"):
        list(model_at(server, "huge").answers(ROWS, [SERVED], OPTIONS))


def test_a_server_that_names_its_models_itself_is_not_repeated(server: LoopbackService) -> None:
    own_words = Unanswered("HTTP 404: there is no model 'huge' here; the server has tiny", for_all=True)
    assert str(model_at(server, "huge")._refusal(own_words)).count("the server has") == 1


def test_an_address_without_its_path_is_found_out(server: LoopbackService) -> None:
    model = ServiceModel(MODEL, ModelOptions(base_url=server.url.removesuffix("/v1") + "/v2"))
    with pytest.raises(ValueError, match="HTTP 404"):
        list(model.answers(ROWS, [SERVED], OPTIONS))
    model = ServiceModel(MODEL, ModelOptions(base_url=server.url.removesuffix("/v1")))
    with pytest.raises(ValueError, match="want /v1 at the end"):
        list(model.answers(ROWS, [SERVED], OPTIONS))


def test_a_server_that_is_not_there_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with loopback_service() as gone:
        pass
    result = run(gone, "--output", "run")
    assert result.exit_code == 2
    assert "connection failed" in result.output
    assert result.output.count("\n") == 1
    assert not Path("run").exists()


def test_a_certificate_that_nobody_trusts_ends_it_at_once(tmp_path: Path) -> None:
    certificate = tmp_path / "both.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    try:
        subprocess.run([*make, "-keyout", "key.pem", "-out", "cert.pem"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here to make a certificate with")
    certificate.write_bytes(Path("key.pem").read_bytes() + Path("cert.pem").read_bytes())
    with loopback_service(answers_to(ROWS), certificate=certificate) as server:
        model = model_at(server)
        started = time.monotonic()
        with pytest.raises(ValueError, match="certificate is not trusted"):
            list(model.answers(ROWS, [SERVED], OPTIONS))
        with pytest.raises(ValueError, match="certificate is not trusted"):
            model.check_task(ROWS, 64)
        assert time.monotonic() - started < 20
        assert not server.requests


# -- runs ----------------------------------------------------------------------------------------------------------


def test_a_service_runs_through_the_whole_command(server: LoopbackService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALLELBENCH_API_KEY", SECRET)
    result = run(server, "--output", "run", "--log-requests", "requests.jsonl", "--concurrency", "3")
    assert result.exit_code == 0, result.output
    store = RunStore("run")
    samples = store.read_samples(f"api:{MODEL}", TASK, SERVED)
    assert [sample["id"] for sample in samples] == [row["id"] for row in ROWS]
    assert {sample["scores"]["headline"] for sample in samples} == {1.0}
    settings = store.read_settings()
    assert settings["models"] == [{"name": f"api:{MODEL}", "service": "127.0.0.1"}]
    assert settings["devices"] == {f"api:{MODEL}": [server.url]}
    assert server.requests[0]["max_tokens"] == 1024
    assert server.most_at_once <= 3
    log = [json.loads(line) for line in Path("requests.jsonl").read_text().splitlines()]
    assert len(log) == 8
    assert log[0]["request"]["messages"] == next(r["messages"] for r in ROWS if r["id"] == log[0]["id"])
    assert log[0]["reply"]["text"] == next(r["answer"] for r in ROWS if r["id"] == log[0]["id"])
    assert server.headers[0]["authorization"] == f"Bearer {SECRET}"
    everything = [path.read_text() for path in Path().rglob("*") if path.is_file()]
    assert not any(SECRET in text or "Bearer" in text for text in [*everything, result.output])
    asked = len(server.requests)
    assert run(server, "--output", "run").exit_code == 0
    assert len(server.requests) == asked


def test_nothing_is_logged_unless_it_is_asked_for(server: LoopbackService) -> None:
    assert run(server, "--output", "run").exit_code == 0
    assert {path.name for path in Path().iterdir()} == {"run"}


def test_silence_is_borne_as_long_as_the_option_says(server: LoopbackService) -> None:
    server.trouble = ["silence"]
    result = run(server, "--output", "run", "--timeout", "3")
    assert result.exit_code == 0, result.output
    assert len(server.requests) > 8, "the one that met silence was made again"
    assert 3 <= server.times[-1] - server.times[0] < 25, "the server is silent for 30 seconds"


def test_questions_that_failed_are_told_and_asked_again_by_the_next_run(server: LoopbackService) -> None:
    server.trouble = [400]
    result = run(server, "--output", "run")
    assert result.exit_code == 0, result.output
    assert "1 of 8 questions could not be answered under served() (HTTP 400: trouble number 400)" in result.output
    store = RunStore("run")
    failed = [s for s in store.read_samples(f"api:{MODEL}", TASK, SERVED) if "error" in s]
    assert [sample["error"] for sample in failed] == ["HTTP 400: trouble number 400"]
    (line,) = (line for line in notes(summarise(store)) if "1 of 8 questions could not be answered" in line)
    assert "served()" in line
    asked = len(server.requests)
    result = run(server, "--output", "run")
    assert len(server.requests) == asked + 1
    assert result.exit_code == 0, result.output
    samples = store.read_samples(f"api:{MODEL}", TASK, SERVED)
    assert [sample["scores"]["headline"] for sample in samples] == [1.0] * 8


def test_what_fails_elsewhere_asks_no_more_questions(server: LoopbackService, monkeypatch: pytest.MonkeyPatch) -> None:
    server.slow = 0.05

    def full(*arguments: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("benchmark.loggers.terminal.RunProgress.samples_done", full)
    result = run(server, "--output", "run", "--concurrency", "1")
    assert result.exit_code != 0
    time.sleep(0.3)
    asked = len(server.requests)
    assert asked <= 3
    time.sleep(0.3)
    assert len(server.requests) == asked


def test_an_error_of_a_run_names_no_key_even_with_its_traceback(
    server: LoopbackService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARALLELBENCH_API_KEY", SECRET)
    monkeypatch.setattr(server, "key", "another")
    result = run(server, "--output", "run", "--debug")
    assert result.exit_code == 2
    assert "HTTP 401" in result.output
    assert SECRET not in result.output


def test_a_stop_keeps_what_was_answered_and_asks_nothing_more(server: LoopbackService) -> None:
    server.slow = 0.05

    class Stop(Exception):
        pass

    told: list[Answered] = []

    def check_stop() -> None:
        if len(told) >= 3:
            raise Stop

    answers = model_at(server, concurrency=2).answers(ROWS, [SERVED], AnswerOptions(64, check_stop=check_stop))
    with pytest.raises(Stop):
        told.extend(answers)
    # What was sent before may be seen a little later.
    time.sleep(0.3)
    asked = len(server.requests)
    assert asked <= 5
    time.sleep(0.3)
    assert len(server.requests) == asked


def test_a_service_has_no_steps_to_watch(server: LoopbackService) -> None:
    result = call("watch", "--model", f"api:{MODEL}@{server.url}", "--task", TASK)
    assert result.exit_code == 2
    assert "without the steps" in result.output


def test_a_command_that_names_no_service_imports_no_client() -> None:
    code = (
        "import sys, benchmark.cli, benchmark.cli.run, benchmark.models, benchmark.protocol.grids\n"
        "print([name for name in ('openai', 'httpx', 'httpx2', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
