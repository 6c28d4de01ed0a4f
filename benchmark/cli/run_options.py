"""What a user asks of `parallelbench run`, or of `benchmark.run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.models import ModelOptions


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a user asked for, by the names of the options; None means the default."""

    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    config: str | Path | None = None
    schedulers: tuple[str, ...] = ()
    grid: str | None = None
    samples: int | None = None
    full: bool = False
    block_length: int | None = None
    max_new_tokens: int | None = None
    temperature: float | None = None
    seed: int = 0
    seeds: int = 1
    batch_size: int | None = None
    sharing: bool = True
    memory: float | None = None
    gpus: int | None = None
    workers: int | None = None
    ray: str | None = None
    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    chat_options: Mapping[str, Any] = field(default_factory=dict)
    compiled: bool | None = None
    quantization: str | None = None
    base_url: str | None = None
    concurrency: int = 16
    timeout: float = 300.0
    log_requests: Path | None = None
    output: Path | None = None
    fresh: bool = False
    allow_unanswerable: bool = False
    dry_run: bool = False
    probe: bool = True
    logs: tuple[str, ...] = ()
    log_samples: bool = False
    published: bool = False

    @property
    def for_models(self) -> ModelOptions:
        """How models with weights are loaded, and services asked."""
        from benchmark.models import ModelOptions

        return ModelOptions(
            dtype=self.dtype,
            device=self.device,
            revision=self.revision,
            compile=self.compiled,
            quantization=self.quantization,
            chat_options=self.chat_options,
            base_url=self.base_url,
            concurrency=self.concurrency,
            timeout=self.timeout,
            request_log=self.log_requests,
        )
