"""What chat templates are told: options from the command line and of published checkpoints, and their refusals."""

from pathlib import Path

import pytest
from support import assert_one_line, call, timeless
from tiny_models import questions, save_bert

from benchmark.models import HubModel, ModelOptions
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("elsewhere", "without_report")

SMALL = ["--scheduler", "confidence:k=8", "--task", "waiting_line_shuffle", "--samples", "3"]

#: Thinks unless it is told not to, as Qwen3's template does: an empty thought then stands before the answer.
THINKING = (
    "{%- for message in messages %}{{- '<|' + message.role + '|>' + message.content + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)


def prompt_texts(model: HubModel) -> list[str]:
    """The prompts that the model is asked with, as text."""
    from benchmark.engine.worker import LogitsWorker
    from benchmark.models.interface import AnswerOptions

    decoder = LogitsWorker(model).decoder(questions(count=2), AnswerOptions(max_new_tokens=8, batch_size=2))
    return [model.tokenizer.decode(prompt) for prompt in decoder.prompts]


@pytest.fixture
def thinking(elsewhere: Path) -> Path:
    return save_bert(elsewhere / "thinking", chat_template=THINKING)


def test_a_chat_option_reaches_every_prompt_and_is_recorded(thinking: Path) -> None:
    told = HubModel("thinking", ModelOptions(chat_options={"enable_thinking": False}))
    assert all(text.endswith("</think>\n\n") for text in prompt_texts(told))
    assert all(text.endswith("<|assistant|>") for text in prompt_texts(HubModel("thinking", ModelOptions())))

    option = ("--chat-option", "enable_thinking=false")
    for output, options in {"told": option, "untold": (), "true": ("--chat-option", "enable_thinking=true")}.items():
        result = call("run", "--model", "thinking", *SMALL, *options, "--output", output, "--max-new-tokens", "64")
        assert result.exit_code == 0, result.output
    (entry,) = RunStore("told").read_settings()["models"]
    assert entry["chat_options"] == {"enable_thinking": False}
    assert "chat_options" not in RunStore("untold").read_settings()["models"][0]
    found, untold, true = (
        [timeless(path) for path in Path(name).glob("samples/*/*/*.jsonl")] for name in ("told", "untold", "true")
    )
    assert found != untold == true
    result = call("run", "--model", "thinking", *SMALL, "--output", "told", "--max-new-tokens", "64")
    assert result.exit_code == 2
    assert "chat_options of thinking" in result.stderr


def test_a_published_checkpoint_may_need_an_option_that_the_user_can_overrule(
    thinking: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from samplers import models

    (known,) = (each for family in models.families() for each in family.checkpoints if each.chat_options)
    assert known.name == "Gen-Verse/TraDo-8B-Thinking"
    save_bert(elsewhere / "plain")
    names = [HubModel(name, ModelOptions())._source.name for name in ("thinking", "plain")]
    family = replace(models.families()[0], checkpoints=tuple(replace(known, name=name) for name in names))
    monkeypatch.setattr(models, "families", lambda: [family])
    assert HubModel("thinking", ModelOptions()).record()["chat_options"] == {"enable_thinking": False}
    overruled = HubModel("thinking", ModelOptions(chat_options={"enable_thinking": True}))
    assert overruled.record()["chat_options"] == {"enable_thinking": True}
    assert "chat_options" not in HubModel("plain", ModelOptions()).record(), "its template does not know it"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("enable_thinking=no", "no is not JSON"),
        ("enable_thinking=NaN", "NaN is not JSON"),
        ("enable_thinking", "write NAME=VALUE"),
        ("enable_thoughts=false", "the chat template of thinking does not know it"),
        ("add_generation_prompt=false", "cannot be set"),
        ("messages=[]", "cannot be set"),
    ],
)
@pytest.mark.parametrize("command", ["run", "watch"])
def test_a_chat_option_that_cannot_be_used_is_one_line(
    command: str, option: str, expected: str, thinking: Path
) -> None:
    task = SMALL if command == "run" else ["--task", "waiting_line_shuffle"]
    assert_one_line(call(command, "--model", "thinking", *task, "--chat-option", option), expected)
