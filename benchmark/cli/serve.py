"""The command `parallelbench serve`: a model under a method as a chat-completions server."""

from __future__ import annotations

from typing import Any

import click

from benchmark.cli import options as shared


@click.command(name="serve")
@click.option(
    "--model", required=True, help="reference, a directory, owner/name[@revision], or package.module:factory."
)
@click.option("--scheduler", default="confidence", show_default=True, help="The method, as in threshold:threshold=0.9.")
@click.option("--name", callback=shared.not_blank, help="The model's name in requests; by default what --model says.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; others than loopback take a key.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any that is free.")
@shared.block_length
@click.option("--max-new-tokens", type=click.IntRange(min=1), help="Length of answers whose request does not say.")
@click.option(
    "--most-new-tokens",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="The longest answer that a request may ask for.",
)
@click.option(
    "--batch-size",
    callback=shared.batch_size,
    default="auto",
    show_default=True,
    help="Rows per forward pass; auto: as many as there is memory for. Halved where memory runs out.",
)
@click.option("--queue", type=click.IntRange(min=1), default=512, show_default=True, help="Requests that may wait.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    callback=shared.finite,
    default=30.0,
    show_default=True,
    help="Seconds that answers under way have when the server is stopped.",
)
@shared.temperature
@shared.seed
@shared.dtype
@click.option("--device", help="cpu, cuda, cuda:1 ...; auto: all GPUs together. By default a GPU if there is one.")
@click.option("--revision", callback=shared.not_blank, help="Branch, tag or commit on the Hub.")
@shared.chat_option
@click.option("--compile", "compiled", is_flag=True, help="Compile the model with torch.compile.")
@shared.debug
def command(
    model: str,
    scheduler: str,
    block_length: int | None,
    dtype: str | None,
    device: str | None,
    revision: str | None,
    chat_options: dict[str, Any],
    compiled: bool,
    **options: Any,
) -> None:
    """Offer a model under a method as /v1/chat/completions, for any client of that protocol.

    Needs pip install 'parallelbench[serve]'. A key in PARALLELBENCH_API_KEY is asked for where it is set.

    \b
    Example:
      parallelbench serve --model reference --scheduler threshold:threshold=0.9
      parallelbench run --model api:reference@http://127.0.0.1:8000/v1 --max-new-tokens 64 --task waiting_line_copy
    """
    from importlib.util import find_spec

    from benchmark.protocol.method import expand

    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise ValueError("serving takes fastapi and uvicorn: pip install 'parallelbench[serve]'")
    methods = expand(scheduler, 1, block_length, sweep=False)
    if len(methods) != 1:
        raise ValueError(f"scheduler {scheduler!r} stands for {len(methods)} methods; name one")
    from benchmark.engine.allocator import keep_freed_memory
    from benchmark.models.interface import ModelOptions
    from benchmark.serving.server import ServeOptions, serve

    keep_freed_memory()
    for_model = ModelOptions(dtype, device, revision, compile=compiled, chat_options=chat_options)
    serve(ServeOptions(model=model, method=methods[0], for_model=for_model, **options), click.echo)
