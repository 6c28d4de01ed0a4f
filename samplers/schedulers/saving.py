"""How a scheduler is built from a config, and saved and loaded as a part of a diffusers pipeline."""

from __future__ import annotations

import builtins
import sys
from typing import Any, Self

from diffusers.configuration_utils import ConfigMixin
from diffusers.schedulers.scheduling_utils import SchedulerMixin


class SavingMixin(SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """diffusers' own mixins, told where the schedulers of this package are found."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        home = sys.modules.get(cls.__module__)
        if home is not None and home is not builtins:
            # A pipeline is loaded only if diffusers finds this name in the module that a component's class comes from.
            vars(home).setdefault("SchedulerMixin", SchedulerMixin)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        scheduler = super().__new__(cls)
        if cls.__module__.startswith(f"{__package__}."):
            # A pipeline is saved with its components' modules, and loaded only if they are imported already. Ours are
            # imported when they are asked for, so it names the package, which asks.
            scheduler.__module__ = str(__package__).partition(".")[0]
        return scheduler

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """Build a scheduler from another's config; keyword arguments win over what the config says.

        `k` and `num_inference_steps` are two ways to say the same thing: naming one sets the other of the config aside.
        """
        for name, other in (("k", "num_inference_steps"), ("num_inference_steps", "k")):
            if kwargs.get(name) is not None and kwargs.get(other) is None and isinstance(config, dict):
                config = {key: value for key, value in config.items() if key != other}
        return super().from_config(config, return_unused_kwargs, **kwargs)

    @classmethod
    def _get_compatibles(cls) -> list[type[Self]]:
        # diffusers looks for these names in its own package only. Its own scheduler of this kind takes our configs.
        from diffusers.schedulers.scheduling_block_refinement import BlockRefinementScheduler

        from . import built_in_scheduler_names, scheduler_class

        classes: list[Any] = [scheduler_class(name) for name in built_in_scheduler_names()]
        return [*([] if cls in classes else [cls]), *classes, BlockRefinementScheduler]
