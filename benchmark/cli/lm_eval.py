"""The command `parallelbench lm-eval`: lm-eval's own command line, which then knows the model `parallelbench`."""

from __future__ import annotations

import sys

import click


@click.command(
    name="lm-eval",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run lm-eval (pip install 'parallelbench[lm-eval]') with diffusion models under our methods.

    All arguments are lm-eval's (`parallelbench lm-eval run --help`). Its model `parallelbench` takes pretrained=,
    scheduler=, block_length=, max_new_tokens=, draws= and others in --model_args; `lm_eval` alone does not find it.

    \b
    Example:
      parallelbench lm-eval --model parallelbench --tasks gsm8k --apply_chat_template \\
        --model_args pretrained=GSAI-ML/LLaDA-8B-Instruct,scheduler=threshold:threshold=0.9
    """
    from importlib.util import find_spec

    if find_spec("lm_eval") is None:
        raise ValueError("lm-eval is not installed: pip install 'parallelbench[lm-eval]'")
    from lm_eval.__main__ import cli_evaluate

    import benchmark.integrations.lm_eval_model  # noqa: F401 - it registers the model

    # It reads the process's own arguments.
    before, sys.argv = sys.argv, ["lm-eval", *(arguments or ("run", "--help"))]
    try:
        cli_evaluate()
    finally:
        sys.argv = before
