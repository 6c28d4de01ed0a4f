"""Unmasking schedulers for diffusion LLMs, and the loop that drives a model with them.

    from samplers import EntropyScheduler, generate

    output = generate(model, input_ids, scheduler=EntropyScheduler(k=4), max_new_tokens=32)

Importing this package costs milliseconds: torch and diffusers are imported when a name is first touched. The names are
listed in `__init__.pyi`.
"""

from ._lazy import lazy_exports, stub_exports

_MODULES = stub_exports(__name__)
__all__ = sorted(_MODULES)
# A saved pipeline says that its scheduler comes from this package; diffusers takes it for one if it finds the base
# class of all schedulers there too.
__getattr__, __dir__ = lazy_exports(__name__, _MODULES, hidden={"SchedulerMixin": ".schedulers.saving"})
