"""Models of the user's own: what they are asked, what tells them apart, and what is refused, through the command."""

import json
from pathlib import Path

import pytest
import torch
from own_code import FACTORY, NETWORK, line_of, write_modules
from support import call

from benchmark.models import ModelOptions, OwnModel, load_model
from benchmark.protocol.method import Method
from benchmark.protocol.questions import load_rows
from benchmark.store.runs import RunStore

pytestmark = pytest.mark.usefixtures("own_modules", "without_report")

RUN = ["run", "--task", "waiting_line_copy", "--scheduler", "confidence:k=8", "--samples", "4", "--output", "out"]


def run(*arguments: str) -> str:
    """What a run of a model prints that ends well."""
    result = call(*RUN, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    """The one line of a run that is refused."""
    result = call(*RUN, *arguments)
    assert result.exit_code == 2, result.exception
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_factory_named_with_options_runs_beside_the_ideal_model_in_its_tokens() -> None:
    run("--model", "own_factory:tiny(size=8)", "--model", "ideal:own_factory:tiny")
    store = RunStore("out")
    method = Method.parse("confidence(k=8)")
    assert len(store.read_samples("own_factory:tiny(size=8)", "waiting_line_copy", method)) == 4
    ideal = store.read_samples("ideal:own_factory:tiny", "waiting_line_copy", method)
    assert {sample["scores"]["headline"] for sample in ideal} == {1.0}


def test_a_denoiser_runs_too_with_the_mask_token_of_its_tokenizer() -> None:
    run("--model", "own_factory:denoiser")
    samples = RunStore("out").read_samples("own_factory:denoiser", "waiting_line_copy", Method.parse("confidence(k=8)"))
    assert {sample["prediction"] for sample in samples} == {""}


def test_watch_shows_the_steps_of_a_model_of_ones_own() -> None:
    result = call(
        "watch", "--model", "own_factory:tiny(size=8)", "--task", "waiting_line_copy", "--scheduler", "random"
    )
    assert result.exit_code == 0, result.output
    assert "step 1" in result.output


def test_one_factory_is_called_once_for_a_model_and_the_ideal_one_in_its_tokens() -> None:
    one, other = load_model("own_factory:tiny"), load_model("own_factory:tiny")
    assert one is other
    assert load_model("own_factory:tiny(size=8)") is not one


# -- what tells models apart ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"own_factory": f"{FACTORY}\n# another rule\n"}, "the source of own_factory has changed"),
        ({"own_network": f"{NETWORK}\n# another layer\n"}, "the source of own_network has changed"),
    ],
    ids=["factory", "class of the model"],
)
def test_a_model_with_a_changed_source_is_run_again(changed: dict[str, str], expected: str, own_modules: Path) -> None:
    run("--model", "own_factory:tiny")
    write_modules(own_modules)
    assert "all 1 settings are on disk" in run("--model", "own_factory:tiny")
    write_modules(own_modules, **changed)
    assert expected in (told := run("--model", "own_factory:tiny"))
    assert "1 of 1 settings are run again" in told
    assert "all 1 settings are on disk" in run("--model", "own_factory:tiny")


def test_other_weights_are_another_model_whatever_the_source_says(own_modules: Path) -> None:
    text = FACTORY.replace("torch.manual_seed(seed)", "torch.manual_seed(int(open('seed').read()))")
    write_modules(own_modules, own_factory=text)
    Path("seed").write_text("0")
    run("--model", "own_factory:tiny")
    Path("seed").write_text("1")
    write_modules(own_modules, own_factory=text)
    assert "weights of own_factory:tiny has changed" in run("--model", "own_factory:tiny")


def test_the_settings_name_sources_of_the_user_and_no_others() -> None:
    run("--model", "own_factory:tiny")
    (entry,) = json.loads(Path("out/settings.json").read_text())["models"]
    assert list(entry) == ["name", "source", "weights"]
    assert list(entry["source"]) == ["own_factory", "own_network"]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("nowhere:tiny", "No module named 'nowhere'"),
        ("own_factory:huge", "'huge'; there is none"),
        ("own_factory:tiny(sizes=2)", "'sizes'; its factory is tiny(size=4, seed=0)"),
        ("own_factory:tiny(size=)", "cannot read 'size=' in model"),
        ("own_factory:only_a_model", "TinyNet; it should return a model and a tokenizer"),
        ("own_factory:no_template", "no chat template"),
        ("own_factory:no_mask", "no mask token"),
        ("own_factory:short", "the model's context is 20 tokens"),
    ],
)
def test_what_cannot_be_run_is_one_line(model: str, expected: str) -> None:
    assert expected in refused("--model", model)
    assert not Path("out").exists()


def test_an_error_of_the_factory_is_one_line_with_its_place() -> None:
    line = line_of("own_factory", 'KeyError("weights")')
    assert f"own_factory.py, line {line}: KeyError: 'weights'" in refused("--model", "own_factory:broken")


def test_a_model_without_logits_is_one_line() -> None:
    assert "Tensor, which has no tensor .logits" in refused("--model", "own_factory:no_logits")


def test_answers_that_do_not_fit_are_refused_as_for_any_model() -> None:
    assert "--allow-unanswerable" in refused("--model", "own_factory:tiny", "--max-new-tokens", "2")


def test_options_that_only_a_factory_can_heed_are_refused() -> None:
    assert "compile it there" in refused("--model", "own_factory:tiny", "--compile")
    assert "set them there" in refused("--model", "own_factory:denoiser", "--device", "cpu")


# -- the interface -------------------------------------------------------------------------------------------------


def test_a_model_that_takes_no_attention_mask_gets_one_row_at_a_time() -> None:
    model = load_model("own_factory:tiny")
    assert isinstance(model, OwnModel)
    prepared = model.for_task(load_rows("waiting_line_copy", 4), 8)
    assert model.batch_size(prepared, 50, 8) == 1
    always = load_model("own_factory:denoiser")
    assert isinstance(always, OwnModel)
    assert always.batch_size(always.for_task([], 8), 50, 8) > 1


def test_a_dtype_that_is_named_moves_the_weights() -> None:
    model = load_model("own_factory:tiny", ModelOptions(dtype="bfloat16"))
    assert isinstance(model, OwnModel)
    assert model.for_task([], 8).model.output.weight.dtype == torch.bfloat16
    assert "weights" in model.record()
