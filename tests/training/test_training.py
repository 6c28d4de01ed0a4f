"""Training goes on where it stopped, bit for bit."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from training.batches import BatchMaker
from training.checkpoints import find_checkpoints, load_checkpoint, save_checkpoint
from training.model import ReferenceModel
from training.passes import Passes
from training.training import LOG, Piece, Trainer, TrainingConfig, cut_log, read_log


def _train(config, directory, output, **piece) -> bool:
    return Trainer(config, directory, output, Piece(log_every=2, **piece)).run(report=lambda line: None)


@pytest.mark.slow
def test_training_in_pieces_gives_the_same_weights_as_in_one_go(config, directory, tmp_path) -> None:
    assert _train(config, directory, tmp_path / "whole")
    whole = load_file(directory / "model.safetensors")

    assert not _train(config, directory, tmp_path / "pieces", steps=3)
    assert [path.name for path in find_checkpoints(tmp_path / "pieces")] == ["checkpoint-3"]
    assert _train(config, directory, tmp_path / "pieces")
    pieces = load_file(directory / "model.safetensors")

    assert whole.keys() == pieces.keys()
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)
    losses = [
        {entry["step"]: entry["loss"] for entry in read_log(tmp_path / run / LOG)[1]} for run in ("whole", "pieces")
    ]
    assert [piece["begins_at"] for piece in read_log(tmp_path / "pieces" / LOG)[0]] == [0, 3]
    assert losses[0][6] == losses[1][6]


def test_the_log_has_the_mean_loss_over_the_hidden_tokens_of_each_tasks_answers(config, directory, tmp_path) -> None:
    Trainer(config, directory, tmp_path, Piece(steps=1)).run(report=lambda line: None)
    maker, passes = (
        BatchMaker(directory, config.shape, config.seed),
        Passes(ReferenceModel(config.model), torch.float32),
    )
    found: dict[str, list[float]] = {}
    for group in maker.make(0):
        prompts, window = group.prompts.size, group.windows[0].size
        for position, loss in zip(group.positions, passes(group, 1).tolist(), strict=True):
            if position >= prompts:
                task = maker.mixture.names[group.tasks[(position - prompts) // window]]
                found.setdefault(task, []).append(loss)
    (entry,) = read_log(tmp_path / LOG)[1]
    expected = {task: sum(losses) / len(losses) for task, losses in found.items()}
    assert len(expected) > 1
    assert entry["loss_by_task"] == pytest.approx(expected, abs=1e-3)


def test_each_parameter_has_one_optimizer_at_the_rate_of_the_last_step(config, directory, tmp_path) -> None:
    trainer = Trainer(config, directory, tmp_path, Piece(steps=1))
    trainer.run(report=lambda line: None)
    groups = [
        (type(optimizer).__name__, group["lr"], group["weight_decay"], group.get("adjust_lr_fn"), parameter)
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    how = {id(parameter): settings for *settings, parameter in groups}
    assert len(how) == len(groups)
    rate = config.rate(0)
    for name, parameter in trainer.model.named_parameters():
        if parameter.dim() == 1:
            expected = ["AdamW", rate, 0.0, None]
        elif "embed_tokens" in name:
            expected = ["AdamW", rate, config.weight_decay, None]
        else:
            expected = ["Muon", rate, config.weight_decay, "match_rms_adamw"]
        assert how[id(parameter)] == expected, name


def test_a_piece_ends_with_its_minutes(config, directory, tmp_path) -> None:
    assert not Trainer(config, directory, tmp_path, Piece(minutes=1e-9, log_every=1)).run(report=lambda line: None)
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-1"]


def test_a_loss_that_is_no_number_ends_the_run_without_a_checkpoint(config, directory, tmp_path) -> None:
    trainer = Trainer(config, directory, tmp_path, Piece(log_every=1))
    with torch.no_grad():
        trainer.model.model.embed_tokens.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"step 1: .*nan"):
        trainer.run(report=lambda line: None)
    assert find_checkpoints(tmp_path) == []


@pytest.mark.slow
def test_a_learning_rate_that_has_not_begun_to_fall_may_fall_later(config, directory, tmp_path) -> None:
    _train(config, directory, tmp_path, steps=2)
    longer = replace(config, steps=9, decay=4)
    assert Trainer(longer, directory, tmp_path, Piece()).step == 2
    _train(longer, directory, tmp_path, steps=4)
    with pytest.raises(ValueError, match="steps=9, not 12"):
        Trainer(replace(longer, steps=12), directory, tmp_path, Piece())


@pytest.mark.slow
def test_other_settings_than_those_of_the_checkpoint_are_refused(config, directory, tmp_path) -> None:
    _train(config, directory, tmp_path, steps=1)
    with pytest.raises(ValueError, match="seed=0, not 1"):
        Trainer(replace(config, seed=1), directory, tmp_path, Piece())


@pytest.mark.slow
def test_two_trainers_do_not_share_a_directory(config, directory, tmp_path) -> None:
    first, second = (Trainer(config, directory, tmp_path, Piece(log_every=2)) for _ in range(2))
    refused = []

    def while_the_first_is_at_work(line: str) -> None:
        with pytest.raises(ValueError, match="another process") as error:
            second.run(report=lambda line: None)
        refused.append(error)

    first.run(report=while_the_first_is_at_work)
    assert len(refused) == 3
    # It goes on from where the first has come to, which is the end.
    lines: list[str] = []
    assert second.run(report=lines.append)
    assert lines == []
    assert [entry["step"] for entry in read_log(tmp_path / LOG)[1]] == [2, 4, 6]


@pytest.mark.slow
def test_a_run_that_was_killed_leaves_one_line_per_step_in_the_log(config, directory, tmp_path) -> None:
    _train(config, directory, tmp_path, steps=2)
    with (tmp_path / LOG).open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 6, "lo')
    assert _train(config, directory, tmp_path)
    pieces, steps = read_log(tmp_path / LOG)
    assert [entry["step"] for entry in steps] == [2, 4, 6]
    assert [piece["begins_at"] for piece in pieces] == [0, 2]


@pytest.mark.slow
def test_weights_that_are_no_numbers_are_not_kept(config, directory, tmp_path) -> None:
    trainer = Trainer(config, directory, tmp_path, Piece(checkpoint_every=1))
    with torch.no_grad():
        trainer.model.model.norm.weight[0] = torch.nan
    with pytest.raises(ValueError, match="step 1: the weights are not finite"):
        trainer.run(report=lambda line: None)
    assert find_checkpoints(tmp_path) == []


def test_a_log_is_cut_back_to_a_step(tmp_path) -> None:
    path = tmp_path / LOG
    cut_log(path, 3)
    assert not path.exists()
    path.write_text('{"begins_at": 0, "config": {}}\n{"step": 3, "loss": 2.0}\n{"step": 4, "loss": 1.0}\n{"st')
    cut_log(path, 3)
    assert read_log(path) == ([{"begins_at": 0, "config": {}}], [{"step": 3, "loss": 2.0}])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0, "decay": 0}, "0 steps: give at least 1"),
        ({"steps": 5, "decay": 6}, "6 of decay do not fit into 5"),
        ({"decay": -1}, "-1 of decay do not fit"),
        ({"warmup": -2}, "-2 steps of warm-up"),
    ],
)
def test_schedules_that_do_not_fit_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_a_torch_without_muon_is_one_line(config, directory, tmp_path, monkeypatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(ValueError, match=r"Muon .*torch 2\.9"):
        Trainer(config, directory, tmp_path, Piece())


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = TrainingConfig(steps=100, decay=40, warmup=10, learning_rate=1.0)
    assert config.rate(0) == pytest.approx(0.1)
    assert config.rate(9) == config.rate(50) == config.rate(60) == 1.0
    assert config.rate(80) == pytest.approx(0.5)
    assert 0 < config.rate(99) <= 1 / 40


def test_a_checkpoint_comes_back_as_it_was(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("training.checkpoints.LARGEST_FILE", 64)
    tensors = {"a": torch.randn(5, 7), "b": torch.randn(3)}
    save_checkpoint(tmp_path, 1, tensors, {"config": {}})
    path = save_checkpoint(tmp_path, 2, tensors, {"config": {"seed": 4}})
    assert find_checkpoints(tmp_path) == [path]
    assert len(list(path.glob("part-*"))) == 3
    loaded, facts = load_checkpoint(path)
    assert facts == {"config": {"seed": 4}, "step": 2}
    assert all(torch.equal(tensors[name], loaded[name]) for name in tensors)


def test_an_unfinished_checkpoint_does_not_count_and_goes_with_the_next(tmp_path) -> None:
    (tmp_path / "checkpoint-9.tmp").mkdir()
    assert find_checkpoints(tmp_path) == []
    path = save_checkpoint(tmp_path, 1, {"a": torch.ones(4)}, {})
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_checkpoint_is_refused(tmp_path) -> None:
    path = save_checkpoint(tmp_path, 1, {"a": torch.ones(4)}, {})
    part, facts = path / "part-0.safetensors", path / "facts.json"
    text = facts.read_text()
    facts.write_text(text.replace("shapes", "forms"))
    with pytest.raises(ValueError, match=r"checkpoint-1 cannot be read; .*'shapes'"):
        load_checkpoint(path)
    facts.write_text(text[:20])
    with pytest.raises(ValueError, match=r"checkpoint-1 cannot be read"):
        load_checkpoint(path)
    facts.write_text(text)
    part.write_bytes(part.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"checkpoint-1 cannot be read"):
        load_checkpoint(path)
    part.unlink()
    with pytest.raises(ValueError, match="holds 0 numbers in 0 files, not 4"):
        load_checkpoint(path)
    facts.unlink()
    with pytest.raises(ValueError, match=r"checkpoint-1 cannot be read"):
        load_checkpoint(path)
