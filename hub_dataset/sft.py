"""The form for supervised fine-tuning: whole conversations, the right answer last, as TRL's `SFTTrainer` reads them.

>>> dataset = load_dataset("json", data_files="build/sft/*/train.jsonl", split="train")
>>> SFTTrainer(model, train_dataset=dataset)

`messages` is the only column: with a column `prompt` beside it, the trainer would take a row for another form.
"""

from __future__ import annotations

import json

from .card import Written, front_matter
from .rows import Row

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def sft_messages(row: Row) -> list[dict[str, str]]:
    """The conversation of a row with its answer: the one-shot example, the question, and the assistant's answer."""
    return [*row["messages"], {"role": "assistant", "content": row["answer"]}]


def sft_line(row: Row) -> str:
    """A row as one line of JSON with the column `messages`, without its end."""
    return _encode({"messages": sft_messages(row)})


def sft_card_text(written: Written) -> str:
    """The card of a dataset in this form."""
    return front_matter(written) + _BODY


_BODY = """
# ParallelBench, training data

Conversations for supervised fine-tuning, made by the generators of ParallelBench for `train` and `validation`; no
question of the benchmark's `test` is among them. Each row has one column, `messages`: a list of {role, content} with a
worked example where the task has one, the question, and the right answer as the assistant's last turn.

```python
from datasets import load_dataset
from trl import SFTTrainer

dataset = load_dataset("json", data_files="<this directory>/*/train.jsonl", split="train")
SFTTrainer("<model>", train_dataset=dataset).train()
```

So the trainer learns from every token, the question's too. `SFTConfig(assistant_only_loss=True)` learns from the two
answers alone, where the chat template marks them; to learn from the last one alone, split it off as a `completion`:

```python
def split(row):
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}


dataset = dataset.map(split, remove_columns="messages")
```
"""
