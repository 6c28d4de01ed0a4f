"""Models of a few thousand random weights with tokenizers of their own, as directories that `samplers.models` loads."""

import json
import shutil
from pathlib import Path
from typing import Any

import hub_dataset

SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|mask|>", "<|unknown|>", "<|system|>", "<|user|>", "<|assistant|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def questions(task: str = "waiting_line_shuffle", count: int = 8) -> list[dict[str, Any]]:
    """Rows of the test split."""
    return hub_dataset.build_rows(task)[:count]


def save_tokenizer(
    directory: Path, *, vocabulary: int = 400, size: int = 0, chat_template: str | None = CHAT_TEMPLATE
) -> Any:
    """A byte-level BPE tokenizer, trained on some questions; what is left up to `size` tokens reads as `<number>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [message["content"] for row in questions(count=100) for message in row["messages"]]
    backend.train_from_iterator(texts, trainer)
    if size:
        content = json.loads(backend.to_str())
        trained = content["model"]["vocab"]
        content["model"]["vocab"] = trained | {f"<{number}>": number for number in range(len(trained), size)}
        backend = Tokenizer.from_str(json.dumps(content))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **_special(), chat_template=chat_template)
    tokenizer.save_pretrained(directory)
    return tokenizer


def save_character_tokenizer(directory: Path, *, size: int, places: dict[int, str]) -> None:
    """A tokenizer of single characters for a vocabulary of `size`, with special tokens at given ids.

    Characters that find no place are the unknown token.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    characters = sorted({character for row in questions(count=100) for character in row["prompt"] + row["answer"]})
    taken = dict(places)
    left = [token for token in SPECIAL_TOKENS if token not in taken.values()] + characters
    for number in range(size):
        if number not in taken and left:
            taken[number] = left.pop(0)
    vocabulary = {token: number for number, token in taken.items()}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **_special(), chat_template=CHAT_TEMPLATE)
    tokenizer.save_pretrained(directory)


def save_bert(directory: Path, *, context: int = 1024, **tokenizer: Any) -> Path:
    """A `BertForMaskedLM`."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    made = save_tokenizer(directory, **tokenizer)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(made), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=context, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(directory)
    return directory


def save_llama(directory: Path, *, context: int = 1024, **tokenizer: Any) -> Path:
    """A `LlamaForCausalLM` that ends most of its answers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    made = save_tokenizer(directory, **tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(made), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, max_position_embeddings=context, initializer_range=0.5, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=made.eos_token_id, pad_token_id=made.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[made.eos_token_id] *= 2.5
    model.save_pretrained(directory)
    return directory


def save_reference(directory: Path, **config: Any) -> Path:
    """A model of the reference model's family."""
    import torch
    from safetensors.torch import save_file

    made = save_tokenizer(directory)
    width, inner, layers, heads, head_dim = 16, 32, 2, 2, 8
    generator = torch.Generator().manual_seed(0)

    def weights(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.4

    tensors = {"model.embed_tokens.weight": weights(len(made), width), "model.norm.weight": torch.ones(width)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        for name in ("q", "k", "v"):
            tensors[f"{prefix}self_attn.{name}_proj.weight"] = weights(heads * head_dim, width)
        tensors[f"{prefix}self_attn.o_proj.weight"] = weights(width, heads * head_dim)
        for name in ("q", "k"):
            tensors[f"{prefix}self_attn.{name}_norm.weight"] = torch.ones(head_dim)
        for name in ("gate", "up"):
            tensors[f"{prefix}mlp.{name}_proj.weight"] = weights(inner, width)
        tensors[f"{prefix}mlp.down_proj.weight"] = weights(width, inner)
        for name in ("input", "post_attention"):
            tensors[f"{prefix}{name}_layernorm.weight"] = torch.ones(width)
    save_file(tensors, str(directory / "model.safetensors"), metadata={"format": "pt"})
    entries = {
        "model_type": "parallelbench", "architectures": ["ParallelBenchForMaskedLM"], "vocab_size": len(made),
        "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": heads, "head_dim": head_dim, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "max_position_embeddings": 1024, "hidden_act": "silu", "dtype": "float32",
        "mask_token_id": made.mask_token_id, "eos_token_id": made.eos_token_id, "pad_token_id": made.pad_token_id,
        "answer_start_token_id": made.convert_tokens_to_ids("<|assistant|>"),
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps({**entries, **config}))
    return directory


def copy_golden(checkpoint: Path, directory: Path) -> Path:
    """A recorded tiny checkpoint with a tokenizer, which it lacks, and a context with room for one token a letter."""
    shutil.copytree(checkpoint, directory, ignore=shutil.ignore_patterns("cases.*"))
    cases = json.loads((checkpoint / "cases.json").read_text())
    config = json.loads((checkpoint / "config.json").read_text())
    longer = {key: 1024 for key in ("max_position_embeddings", "max_sequence_length") if key in config}
    (directory / "config.json").write_text(json.dumps(config | longer))
    end = config.get("eos_token_id", cases["pad_token_id"])
    end = end[0] if isinstance(end, list) else end
    places = {cases["mask_token_id"]: "<|mask|>", end: "<|end|>"}
    save_character_tokenizer(directory, size=cases["vocab_size"], places=places)
    return directory


def _special() -> dict[str, Any]:
    return {
        "pad_token": "<|pad|>",
        "eos_token": "<|end|>",
        "mask_token": "<|mask|>",
        "unk_token": "<|unknown|>",
        "additional_special_tokens": ["<|system|>", "<|user|>", "<|assistant|>"],
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    }
