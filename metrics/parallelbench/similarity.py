"""How alike two texts are: ROUGE, BLEU and BERTScore, by the packages that define them, loaded when first needed."""

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from .unavailable import UnavailableError, import_needed, in_one_line

MODEL_VARIABLE = "PARALLELBENCH_BERTSCORE_MODEL"
LAYERS_VARIABLE = "PARALLELBENCH_BERTSCORE_LAYERS"
ROUGE_TYPES = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL"}
# No English word is longer, and a stemmer may take long over a word of a million letters.
LONGEST_STEMMED = 100
# The longest common subsequence takes a table of prediction times reference.
LONGEST_ROUGE = 100_000
# BERTScore's encoders read 512 tokens.
LONGEST_BERTSCORE = 20_000
BATCH_SIZE = 64


class _Stemmer:
    """Porter's stemmer with a cache; what is too long for a word stays as it is."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=100_000)(self._stem)
        self._porter = import_needed("nltk.stem.porter", "ROUGE", "nltk").PorterStemmer()

    def _stem(self, word: str) -> str:
        return word if len(word) > LONGEST_STEMMED else str(self._porter.stem(word))


class _Tokenizer:
    """The tokenizer of `rouge_score` with its stemming."""

    def __init__(self) -> None:
        self._tokenize = import_needed("rouge_score.tokenize", "ROUGE", "rouge-score").tokenize
        self._stemmer = _Stemmer()

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of the words of a text."""
        return list(self._tokenize(text, self._stemmer))


@cache
def rouge_scorer() -> Any:
    """The scorer of `rouge_score`, with stemming.

    Raises:
        UnavailableError: the package is missing.
    """
    scorer = import_needed("rouge_score.rouge_scorer", "ROUGE", "rouge-score").RougeScorer
    return scorer(list(ROUGE_TYPES.values()), tokenizer=_Tokenizer())


def rouge(prediction: str, reference: str) -> dict[str, float]:
    """Return the F-measures `rouge1`, `rouge2` and `rouge_l` of a prediction, or of its first 100,000 characters.

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004.
    """
    scores = rouge_scorer().score(reference, prediction[:LONGEST_ROUGE])
    return {name: float(scores[kind].fmeasure) for name, kind in ROUGE_TYPES.items()}


def rouge_signature() -> str:
    """The signature of ROUGE; `UnavailableError` where its package is missing."""
    rouge_scorer()
    return f"rouge-score {version('rouge-score')}, F-measure, Porter stemming"


@cache
def bleu_scorer() -> Any:
    """The scorer of `sacrebleu`: 13a tokens, up to 4-grams, no smoothing.

    Raises:
        UnavailableError: the package is missing.
    """
    scorer = import_needed("sacrebleu.metrics.bleu", "BLEU", "sacrebleu").BLEU
    return scorer(tokenize="13a", smooth_method="none", max_ngram_order=4, effective_order=False)


def bleu(prediction: str, reference: str) -> float:
    """Return the BLEU of one prediction against one reference, 0..1; 0 where no four words in a row are shared.

    Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002.
    """
    score = float(bleu_scorer().corpus_score([prediction], [[reference]]).score) / 100
    return min(1.0, max(0.0, score))


def bleu_signature() -> str:
    """The signature of BLEU; `UnavailableError` where its package is missing."""
    scorer = bleu_scorer()
    scorer.corpus_score(["a"], [["a"]])
    return f"sacrebleu {scorer.get_signature()}"


def bertscore_settings() -> tuple[str | None, int | None]:
    """Return the encoder and the number of its layers that the environment names, None for what it does not name.

    Raises:
        ValueError: the number of layers is not an integer of 1 or more.
    """
    model = os.environ.get(MODEL_VARIABLE, "").strip() or None
    layers = os.environ.get(LAYERS_VARIABLE, "").strip()
    if not layers:
        return model, None
    if not layers.isdecimal() or int(layers) < 1:
        raise ValueError(f"{LAYERS_VARIABLE} must be an integer of 1 or more, got {layers!r}")
    return model, int(layers)


def import_bert_score() -> Any:
    """Import `bert_score`, which imports matplotlib for a plot that is not used here.

    Jupyter and Colab name a backend in MPLBACKEND, and matplotlib cannot be imported where that backend is not
    installed. So it is imported without one and given the backend afterwards, if possible: the user's own plots stay
    the same.
    """
    if "matplotlib" not in sys.modules:
        backend = os.environ.pop("MPLBACKEND", None)
        try:
            matplotlib = import_needed("matplotlib", "BERTScore", "matplotlib")
        finally:
            if backend is not None:
                os.environ["MPLBACKEND"] = backend
        if backend:
            with contextlib.suppress(ValueError):
                matplotlib.rcParams["backend"] = backend
    return import_needed("bert_score", "BERTScore", "bert-score")


class BertScore:
    """BERTScore with one encoder, texts encoded in batches.

    Args:
        model: name or path of the encoder, None for the default English one of `bert_score`.
        layers: how many of its layers, None for the number that `bert_score` recommends for that model.

    Raises:
        UnavailableError: the package or the encoder is not available.
        ValueError: no number of layers is given, and none recommended for that model, or it has fewer layers.
    """

    def __init__(self, model: str | None, layers: int | None) -> None:
        package = import_bert_score()
        if model is not None and layers is None and model not in package.utils.model2layers:
            raise ValueError(
                f"{LAYERS_VARIABLE} must say how many layers of {model} are used: "
                "bert-score recommends no number for it"
            )
        try:
            self._scorer = package.BERTScorer(model_type=model, num_layers=layers, lang="en", batch_size=BATCH_SIZE)
        except AssertionError as error:
            raise ValueError(f"{LAYERS_VARIABLE} is {layers}: {in_one_line(error)}") from None
        except Exception as error:  # every format of weights and of tokenizers has an error of its own for broken files
            raise UnavailableError(
                f"the encoder of BERTScore cannot be loaded ({in_one_line(error)}): download it completely once, "
                f"or name a folder that holds one with {MODEL_VARIABLE} and {LAYERS_VARIABLE}"
            ) from None
        self._limit_length()
        self._lock = threading.Lock()

    @property
    def signature(self) -> str:
        """The package's own signature, which names model, layer and versions."""
        return f"bert-score {self._scorer.hash}"

    def f1(self, predictions: Sequence[str], references: Sequence[str]) -> list[float]:
        """Return the F1 of each pair, 0..1; 0 where either text is blank.

        Texts are cut at the number of tokens that the encoder takes.

        Source: Zhang et al., "BERTScore: Evaluating Text Generation with BERT", 2020.
        """
        pairs = [
            (left[:LONGEST_BERTSCORE], right[:LONGEST_BERTSCORE])
            for left, right in zip(predictions, references, strict=True)
        ]
        filled = [pair for pair in pairs if pair[0].strip() and pair[1].strip()]
        values: dict[tuple[str, str], float] = {}
        if filled:
            with self._lock:
                scores = self._scorer.score([left for left, _ in filled], [right for _, right in filled])[2]
            values = dict(zip(filled, map(float, scores.tolist()), strict=True))
        # Rounding can lead slightly out of the range.
        return [min(1.0, max(0.0, values.get(pair, 0.0))) for pair in pairs]

    def _limit_length(self) -> None:
        """Let the tokenizer cut texts at what the encoder takes; some are stored without that number."""
        positions = getattr(self._scorer._model.config, "max_position_embeddings", None)
        tokenizer = self._scorer._tokenizer
        if positions and tokenizer.model_max_length > positions:
            # RoBERTa's positions start after the padding token's.
            offset = (tokenizer.pad_token_id or 0) + 1 if self._scorer._model.config.model_type == "roberta" else 0
            tokenizer.model_max_length = positions - offset


@cache
def load_bertscore(model: str | None, layers: int | None) -> BertScore:
    """The one scorer for an encoder."""
    return BertScore(model, layers)


def bertscore() -> BertScore:
    """BERTScore with the encoder that the environment names, or else the default English one."""
    return load_bertscore(*bertscore_settings())
