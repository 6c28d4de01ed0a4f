"""The training loop: batches in, weights out, and able to stop and go on anywhere."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .batches import BatchMaker, BatchShape, Group, batches_ahead
from .checkpoints import find_checkpoints, load_checkpoint, save_checkpoint
from .export import export_model
from .model import ModelConfig, ReferenceModel, masked_loss

LOG = "training_log.jsonl"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """What the trained weights depend on.

    The learning rate rises for `warmup` steps, stays, and falls in a straight line to 0 over the last `decay` steps
    (arXiv 2405.18392). Until it falls nothing depends on `steps` and `decay`, so they may be changed until then.
    """

    steps: int = 9_000
    decay: int = 4_000
    learning_rate: float = 2.5e-3
    warmup: int = 300
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    seed: int = 0
    shape: BatchShape = field(default_factory=BatchShape)
    model: ModelConfig = field(default_factory=ModelConfig)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = (step + 1) / self.warmup if step < self.warmup else 1.0
        falling = (self.steps - step) / self.decay if step >= self.falls_at else 1.0
        return self.learning_rate * min(rising, falling)

    @property
    def falls_at(self) -> int:
        """The first step at which the learning rate is falling."""
        return self.steps - self.decay


@dataclass(frozen=True, slots=True)
class Piece:
    """How one piece of a training run is carried out; changes nothing in what comes of it.

    Attributes:
        minutes: stop, with a checkpoint, after so many; None means to train to the end.
        steps: stop, with a checkpoint, after so many steps of this piece.
        checkpoint_every: steps between checkpoints; 0 writes one where the piece stops, and no other.
        workers: processes that make batches.
        log_every: steps between two lines of the log.
    """

    device: str = "cpu"
    minutes: float | None = None
    steps: int | None = None
    checkpoint_every: int = 0
    workers: int = 0
    log_every: int = 100


class Trainer:
    """One training run, as far as it has come.

    Args:
        config: of the run.
        directory: with the tokenizer; where the trained model is written.
        output: where log and checkpoints are written. The latest checkpoint there is gone on from.
        piece: how to go about it.
    """

    def __init__(self, config: TrainingConfig, directory: Path, output: Path, piece: Piece) -> None:
        self.config, self.directory, self.output, self.piece = config, directory, output, piece
        self.device = torch.device(piece.device)
        self.on_gpu = self.device.type == "cuda"
        self.dtype = torch.bfloat16 if self.on_gpu else torch.float32
        self.model = ReferenceModel(config.model, config.seed).to(self.device)
        decayed = [parameter for parameter in self.model.parameters() if parameter.dim() > 1]
        others = [parameter for parameter in self.model.parameters() if parameter.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=config.betas,
            fused=self.on_gpu,
        )
        name = torch.cuda.get_device_name(self.device) if self.on_gpu else "CPU"
        self._place = {"device": name, "torch": torch.__version__}
        self.step = 0
        self.seconds = 0.0
        output.mkdir(parents=True, exist_ok=True)
        checkpoints = find_checkpoints(output)
        if checkpoints:
            self._restore(checkpoints[-1])
        self._loss: Callable[..., Tensor] = masked_loss
        if self.on_gpu:
            torch.backends.cuda.matmul.allow_tf32 = True
            for layer in self.model.model.layers:
                layer.compile()
            self._loss = torch.compile(masked_loss, dynamic=True)

    def run(self, report: Callable[[str], None] = print) -> bool:
        """Train until the end or the end of the piece; returns whether the run is complete.

        At the end the model is exported; before it, a checkpoint is written.
        """
        config, piece = self.config, self.piece
        last = config.steps if piece.steps is None else min(config.steps, self.step + piece.steps)
        begin, base, waited = time.monotonic(), self.seconds, 0.0
        names = BatchMaker(self.directory, config.shape, config.seed).mixture.names
        logged, logged_at = self.step, begin
        self._write({"begins_at": self.step, "config": asdict(config), **self._place})
        with batches_ahead(
            self.directory, config.shape, config.seed, self.step, last, workers=piece.workers
        ) as batches:
            while self.step < last:
                asked = time.monotonic()
                groups = next(batches)
                waited += time.monotonic() - asked
                logging = (self.step + 1) % piece.log_every == 0 or self.step + 1 == last
                loss, by_task = self._train(groups, logging, len(names))
                self.step += 1
                if logging:
                    value = float(loss)
                    if not math.isfinite(value):
                        raise ValueError(f"step {self.step}: the loss is {value}; try a lower learning rate")
                    now = time.monotonic()
                    self.seconds = base + now - begin
                    self._log(
                        report,
                        value,
                        speed=(self.step - logged) / (now - logged_at),
                        waiting=waited / (now - logged_at),
                        by_task=dict(zip(names, by_task, strict=True)),
                    )
                    logged, logged_at, waited = self.step, now, 0.0
                    if piece.minutes is not None and now - begin > piece.minutes * 60:
                        break
                if piece.checkpoint_every and self.step % piece.checkpoint_every == 0 and self.step < config.steps:
                    self.seconds = base + time.monotonic() - begin
                    self._save()
        self.seconds = base + time.monotonic() - begin
        complete = self.step == config.steps
        if complete:
            export_model(self.model.state_dict(), config.model, self.directory)
            shutil.copyfile(self.output / LOG, self.directory / LOG)
        else:
            self._save()
        return complete

    def _train(self, groups: list[Group], logging: bool, tasks: int) -> tuple[Tensor, list[float]]:
        """One step; the mean loss over all hidden tokens, and by task where it is to be logged."""
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.config.rate(self.step)
        hidden_tokens = sum(len(group.places) for group in groups)
        total = torch.zeros((), device=self.device)
        by_task = torch.zeros(2, tasks, device=self.device)
        for group in groups:
            prompts, lengths, windows = (
                self._to_device(array) for array in (group.prompts, group.prompt_lengths, group.windows)
            )
            places, owners, targets = (self._to_device(array) for array in (group.places, group.owners, group.targets))
            hidden = self.model(prompts, lengths, windows, dtype=self.dtype)
            weights = self._to_device(group.weights)
            losses = self._loss(hidden, self.model.model.embed_tokens.weight, places, owners, targets, weights)
            loss = losses.sum() / hidden_tokens
            torch.autograd.backward(loss)
            total += loss.detach()
            if logging:
                self._add_by_task(by_task, losses.detach(), places, prompts, windows, self._to_device(group.tasks))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        means = (by_task[0] / by_task[1]).tolist() if logging else []
        return total, means

    def _add_by_task(
        self, by_task: Tensor, losses: Tensor, places: Tensor, prompts: Tensor, windows: Tensor, tasks: Tensor
    ) -> None:
        in_answer = places >= prompts.numel()
        rows = (places[in_answer] - prompts.numel()) // windows[0].numel()
        by_task[0].index_add_(0, tasks[rows], losses[in_answer])
        by_task[1].index_add_(0, tasks[rows], torch.ones_like(losses[in_answer]))

    def _to_device(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.on_gpu:
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor if tensor.is_floating_point() else tensor.long()

    def _log(
        self, report: Callable[[str], None], loss: float, *, speed: float, waiting: float, by_task: dict[str, float]
    ) -> None:
        """One line for the log and one for the user: `speed` in steps per second, `waiting` the share of time in which
        there was no batch yet."""
        config = self.config
        entry = {
            "step": self.step,
            "loss": round(loss, 5),
            "learning_rate": round(config.rate(self.step - 1), 7),
            "seconds": round(self.seconds, 1),
            "prompts_per_second": round(speed * config.shape.prompts),
            "waiting": round(waiting, 3),
            "loss_by_task": {name: round(value, 4) for name, value in by_task.items() if math.isfinite(value)},
        }
        self._write(entry)
        left = (config.steps - self.step) / speed if speed else 0.0
        report(
            f"step {self.step}/{config.steps}  loss {loss:.4f}  {entry['prompts_per_second']} prompts/s "
            f"({waiting:.0%} waiting for batches)  {self.seconds:.0f} s, {left:.0f} s to go"
        )

    def _write(self, entry: dict[str, Any]) -> None:
        with (self.output / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _save(self) -> None:
        tensors: dict[str, Tensor] = dict(self.model.named_parameters())
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state[parameter]
            for moment in _MOMENTS:
                tensors[f"{moment}.{name}"] = state[moment]
        save_checkpoint(self.output, self.step, tensors, {"config": asdict(self.config), "seconds": self.seconds})

    def _restore(self, path: Path) -> None:
        tensors, facts = load_checkpoint(path)
        config, was = json.loads(json.dumps(asdict(self.config))), facts["config"]
        plan = ("steps", "decay")
        if facts["step"] <= min(self.config.falls_at, was["steps"] - was["decay"]):
            config, was = ({k: v for k, v in one.items() if k not in plan} for one in (config, was))
        for key, value in config.items():
            if was.get(key) != value:
                raise ValueError(
                    f"{path}: was trained with {key}={was.get(key)!r}, not {value!r}; "
                    "give the same settings, or another output directory"
                )
        self.step, self.seconds = facts["step"], facts["seconds"]
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[name])
                state: dict[str, Any] = self.optimizer.state[parameter]
                state["step"] = torch.tensor(float(self.step), device=self.device if self.on_gpu else "cpu")
                for moment in _MOMENTS:
                    state[moment] = tensors[f"{moment}.{name}"].to(self.device)


def export_checkpoint(output: Path, directory: Path) -> int:
    """Export the latest checkpoint of a run that is not complete, with its log; returns its step.

    Raises:
        ValueError: there is no checkpoint.
    """
    checkpoints = find_checkpoints(output)
    if not checkpoints:
        raise ValueError(f"{output}: there is no checkpoint")
    tensors, facts = load_checkpoint(checkpoints[-1])
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(_MOMENTS)}
    export_model(weights, ModelConfig(**facts["config"]["model"]), directory)
    shutil.copyfile(output / LOG, directory / LOG)
    step: int = facts["step"]
    return step


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of a log with which pieces of the run begin, and those of its steps."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if "config" in entry], [entry for entry in entries if "loss" in entry]
