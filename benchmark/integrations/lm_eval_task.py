"""The class of the benchmark's tasks in lm-eval: each question comes with a chat of its own, shots and all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.task import ConfigurableTask


class ParallelBenchTask(ConfigurableTask):  # type: ignore[misc]
    """A task whose prompts are those of `parallelbench run`, where chat templates are applied.

    lm-eval draws shots from a split, the same kind for all questions; ours belong to their question.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, **options: Any) -> None:
        # lm-eval hands over the key that named this class, and takes it for one of its own settings.
        super().__init__(config={key: value for key, value in (config or {}).items() if key != "class"}, **options)

    def fewshot_context(
        self,
        doc: Mapping[str, Any],
        num_fewshot: int = 0,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        chat_template: Callable[..., Any] | None = None,
        gen_prefix: str | None = None,
        **unused: Any,
    ) -> Any:
        """The question's chat, after a system instruction if there is one."""
        messages = [dict(message) for message in doc["messages"]]
        if system_instruction:
            messages.insert(0, {"role": "system", "content": system_instruction})
        template = chat_template if apply_chat_template else None
        return messages_as_prompt(messages, template, multiturn=fewshot_as_multiturn)


def messages_as_prompt(
    messages: Sequence[Mapping[str, str]], chat_template: Callable[..., Any] | None, *, multiturn: bool = True
) -> Any:
    """A question's chat as a model's prompt.

    Args:
        messages: of the question, with its shots.
        chat_template: makes a prompt of messages; None: the texts stand one below the other.
        multiturn: whether shots are turns of their own; else all is one message.
    """
    if chat_template is None:
        return "\n\n".join(message["content"] for message in messages) + "\n"
    chat = [{"role": message["role"], "content": message["content"]} for message in messages]
    if not multiturn:
        chat = [{"role": "user", "content": "\n\n".join(message["content"] for message in chat)}]
    return chat_template(chat, add_generation_prompt=True)
