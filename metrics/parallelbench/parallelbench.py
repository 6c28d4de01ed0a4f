"""The ParallelBench metric: scores answers to the benchmark's tasks, any mix of them in one call.

>>> import evaluate
>>> metric = evaluate.load("metrics/parallelbench")
>>> result = metric.compute(
...     predictions=['["Grace Field", "Ada Stone"]'],
...     references=['{"scorer": "list_shuffle", "input": ["Ada Stone", "Grace Field"]}'],
... )
>>> result["score"], result["score_strict"]
(100.0, 100.0)
"""

from typing import Any

import datasets
import evaluate

from .arguments import check_grammar, check_pairs, check_strings
from .averages import average_percentages, average_tasks
from .domino_scorer import DOMINO_SCORERS as DOMINO_SCORERS
from .grammar import check_rules, grammar_checker, server_address
from .intervals import bootstrap_intervals
from .languagetool_client import check as check
from .languagetool_server import SHARED_SERVER as SHARED_SERVER
from .link_grammar import find_link_grammar
from .link_grammar_worker import SCRIPT as LINK_GRAMMAR_WORKER
from .list_scorers import LIST_SCORERS as LIST_SCORERS
from .number_scorers import NUMBER_SCORERS as NUMBER_SCORERS
from .puzzle_scorers import PUZZLE_SCORERS as PUZZLE_SCORERS
from .reading import replace_lone_surrogates
from .references import parse_reference
from .row_scoring import SCORERS, judge, labels_of, load_parts, score_rows
from .scorer import Scorer as Scorer
from .sentences import sentences as sentences
from .server_keeper import SCRIPT as SERVER_KEEPER
from .similarity import rouge as rouge
from .text_scorers import apply_grammar
from .unavailable import UnavailableError as UnavailableError

_DESCRIPTION = """\
ParallelBench measures how much quality a diffusion language model loses when it decodes several tokens per step.
This metric scores its answers: lists of people, Latin squares, Sudoku grids, sentences that must hold given words,
summaries and paraphrases.
"""

_CITATION = """\
@article{parallelbench2025,
  author = {Kang, Wonjun and others},
  title = {ParallelBench: Understanding the Trade-offs of Parallel Decoding in Diffusion LLMs},
  journal = {arXiv preprint arXiv:2510.04767},
  year = {2025}
}
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): the model's answers. Any string is legal; a lone surrogate counts as U+FFFD.
    references (`list` of `str`): the dataset's `reference` column, one JSON object per row: `scorer`, the keys
        which that scorer reads, and, if wanted, `task`, the name under which the row's averages are reported.
    per_sample (`bool`): also return `samples`, the scores of each row. Defaults to `False`.
    intervals (`bool`): also return `intervals`, the 95 % bootstrap interval of every average. Defaults to `False`.
    grammar (`list` of `bool` or `None`): verdicts of your own instead of LanguageTool's, one per prediction: whether a
        grammar checker finds nothing wrong with it; `None` where there is no verdict. Lists and puzzles ignore them.
    grammar_url (`str`): address of a running LanguageTool server, such as `http://localhost:8081`. Defaults to what
        `PARALLELBENCH_LANGUAGETOOL_URL` names, or else to a server that is started on first need.
    grammar_rules (`str`): `"all"`, or `"no_spelling"` to leave LanguageTool's speller out; what depends on the verdict
        is then called `grammar_no_spelling`, `score_no_spelling` and `headline_no_spelling`. Defaults to `"all"`.
    parses (`bool`): whether texts are parsed with Link Grammar; by default where it is installed.

Returns:
    `dict`. Every average is a percentage, 0..100, over the rows that have that score.
    - `score`: lenient score.
    - `score_strict`: score of the strict reading, never above `score`; lists and puzzles.
    - `headline`: the number that the benchmark plots: `score` for lists and puzzles, `grammar` for text.
    - `grammar`: texts in which LanguageTool finds nothing. A row without a verdict has neither `score` nor `headline`.
    - `parses`: texts whose sentences all have a full parse; it enters no other number.
    - `inclusion`; `rouge1`, `rouge2`, `rouge_l`; `bleu`, `bertscore`: parts of the scores of text.
    - `tasks`: the same averages task by task, or by scorer where references name no task.
    - `intervals`: `[low, high]` of every average, in percent, and of each task's under `tasks`.
    - `samples`: one `dict` per row with `scorer`, `task` where there is one, and the scores as values 0..1.
    - `signatures`: for text, the programs, models and versions that the scores come from.

    A score that no row has is left out.

Raises:
    `ValueError`: nothing to score, unequal lengths, a prediction that is not a string, a malformed reference or an
    unknown scorer. The message names the index and what was expected.
    `OSError`: what a text's score needs is not installed, cannot be reached or stopped answering. The message says what
    to do. Where something is missing it comes before anything is scored; verdicts already given are kept.

Examples:

    >>> import evaluate
    >>> metric = evaluate.load("metrics/parallelbench")
    >>> references = [
    ...     '{"scorer": "list_match", "answer": "[\\\\"Ada\\\\", \\\\"Tim\\\\"]", "task": "waiting_line_copy"}',
    ...     '{"scorer": "list_remove", "input": ["Ada", "Tim"], "task": "waiting_line_remove_random"}',
    ... ]
    >>> result = metric.compute(predictions=["Ada, Tim", '["Tim"]'], references=references, per_sample=True)
    >>> result["score"], result["score_strict"], result["headline"]
    (100.0, 50.0, 100.0)
    >>> result["tasks"]["waiting_line_copy"]
    {'score': 100.0, 'score_strict': 0.0, 'headline': 100.0}
    >>> result["samples"][1]
    {'scorer': 'list_remove', 'task': 'waiting_line_remove_random', 'score': 1.0, 'score_strict': 1.0, 'headline': 1.0}

    Half of these answers are right; four rows say little about all the others.

    >>> copies = {"predictions": ["Ada, Tim", "Tim"] * 2, "references": references[:1] * 4}
    >>> metric.compute(**copies, intervals=True)["intervals"]["score"]
    [0.0, 100.0]

    LanguageTool checks the grammar of text, unless verdicts are given; `None` stands for no verdict.

    >>> sentence = {"predictions": ["A lantern by the river."], "parses": False}
    >>> sentence["references"] = ['{"scorer": "words_to_sentence", "words": ["river", "lantern"]}']
    >>> metric.compute(**sentence, grammar=[False])["score"]
    0.0
    >>> metric.compute(**sentence, grammar=[None])
    {'inclusion': 100.0, 'tasks': {'words_to_sentence': {'inclusion': 100.0}}}
"""

# `evaluate` copies those files of this folder that are imported here by name, and no others.
HELPERS = (LINK_GRAMMAR_WORKER, SERVER_KEEPER)


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class ParallelBench(evaluate.Metric):  # type: ignore[misc]
    """Scores predictions against the `reference` column of the ParallelBench dataset."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
            reference_urls=["https://arxiv.org/abs/2510.04767"],
        )

    def compute(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        per_sample: bool = False,
        intervals: bool = False,
        grammar: Any = None,
        grammar_url: str | None = None,
        grammar_rules: str = "all",
        parses: bool | None = None,
    ) -> dict[str, Any] | None:
        """Score the predictions stored with `add` and `add_batch`, then those given here."""
        options: dict[str, Any] = {
            "per_sample": per_sample,
            "intervals": intervals,
            "grammar": grammar,
            "grammar_url": grammar_url,
            "grammar_rules": grammar_rules,
            "parses": parses,
        }
        stored = self.writer is not None or self.num_process > 1
        if not stored:
            # Nothing has to be gathered, so the rows need no detour through files in a cache.
            return self._compute(predictions, references, **options)
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references)
        result: dict[str, Any] | None = super().compute(**options)
        return result

    def add_batch(self, *, predictions: Any = None, references: Any = None) -> None:
        """Store predictions and references for a later `compute`."""
        predictions, references = check_pairs(predictions, references)
        for index, reference in enumerate(references, start=len(self)):
            parse_reference(reference, index, SCORERS)
        # Arrow holds UTF-8 only.
        super().add_batch(
            predictions=[replace_lone_surrogates(prediction) for prediction in predictions],
            references=[replace_lone_surrogates(reference) for reference in references],
        )

    def add(self, *, prediction: Any = None, reference: Any = None) -> None:
        """Store one prediction and its reference for a later `compute`."""
        self.add_batch(predictions=[prediction], references=[reference])

    def prepare(
        self,
        references: Any,
        *,
        grammar_url: str | None = None,
        grammar_rules: str = "all",
        parses: bool | None = None,
    ) -> dict[str, str]:
        """Start and load all that scoring these references will need, before answers to them are generated.

        Returns:
            Signatures, as in the result of `compute`; none where the references are of lists and puzzles alone.

        Raises:
            ValueError: a reference is malformed.
            OSError: something is not installed or cannot be reached; the message says what to do.
        """
        rows = [
            parse_reference(text, index, SCORERS) for index, text in enumerate(check_strings("references", references))
        ]
        signatures = load_parts(rows)
        if any(SCORERS[row.scorer].gated_by_grammar for row in rows):
            checker = grammar_checker(server_address(grammar_url), check_rules(grammar_rules))
            checker.prepare()
            signatures["grammar"] = checker.signature
            parser = find_link_grammar(parses)
            if parser is not None:
                signatures["parses"] = parser.signature
        return signatures

    def check_texts(
        self,
        texts: Any,
        *,
        grammar_url: str | None = None,
        grammar_rules: str = "all",
        parses: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Judge the grammar of texts that answer no task.

        Returns:
            For each text `grammar` (0 or 1), `rule_ids`, the ids of the rules that it breaks, and, where Link Grammar
            is used, `parses` (0 or 1).

        Raises:
            ValueError: not a list of strings, or a bad option.
            OSError: a checker is not installed, cannot be reached or stopped answering.
        """
        texts = [replace_lone_surrogates(text) for text in check_strings("texts", texts)]
        checker = grammar_checker(server_address(grammar_url), check_rules(grammar_rules))
        parser = find_link_grammar(parses)
        checker.prepare()
        found = checker.findings(texts, "texts")
        verdicts = [
            {"grammar": float(bool(text.strip()) and not rule_ids), "rule_ids": list(rule_ids)}
            for text, rule_ids in zip(texts, found, strict=True)
        ]
        if parser is not None:
            for verdict, parsed in zip(verdicts, parser.verdicts(texts), strict=True):
                verdict["parses"] = float(parsed)
        return verdicts

    def _compute(
        self,
        predictions: Any,
        references: Any,
        per_sample: bool = False,
        intervals: bool = False,
        grammar: Any = None,
        grammar_url: str | None = None,
        grammar_rules: str = "all",
        parses: bool | None = None,
    ) -> dict[str, Any]:
        predictions, references = check_pairs(predictions, references)
        given = None if grammar is None else check_grammar(grammar, len(predictions))
        suffix = "" if check_rules(grammar_rules) == "all" else f"_{grammar_rules}"
        address = server_address(grammar_url)
        rows = [parse_reference(reference, index, SCORERS) for index, reference in enumerate(references)]
        predictions = [replace_lone_surrogates(prediction) for prediction in predictions]

        texts = [index for index, row in enumerate(rows) if SCORERS[row.scorer].gated_by_grammar]
        checker = grammar_checker(address, grammar_rules) if texts and given is None else None
        parser = find_link_grammar(parses) if texts else None
        signatures = load_parts(rows)
        if checker is not None:
            checker.prepare()

        # The checkers, which may stop answering, come first and keep their verdicts: no score is ever lost.
        verdicts = judge(predictions, texts, given, checker)
        parsed = None if parser is None else parser.verdicts([predictions[index] for index in texts])
        scores = score_rows(predictions, rows)
        for index in texts:
            scores[index] = apply_grammar(scores[index], predictions[index], verdicts[index], suffix)
        if parsed is not None:
            for index, verdict in zip(texts, parsed, strict=True):
                scores[index]["parses"] = float(verdict)
        samples = [{**labels_of(row), **score} for row, score in zip(rows, scores, strict=True)]

        result: dict[str, Any] = {**average_percentages(samples), "tasks": average_tasks(samples)}
        if intervals:
            result["intervals"] = bootstrap_intervals(samples)
        if per_sample:
            result["samples"] = samples
        if checker is not None:
            signatures["grammar"] = checker.signature
        if parser is not None:
            signatures["parses"] = parser.signature
        return {**result, "signatures": signatures} if signatures else result
