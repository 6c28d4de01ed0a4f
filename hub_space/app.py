"""The page of the leaderboard's Space: `python app.py` serves it locally, by default at http://127.0.0.1:7860.

Entries come from `LEADERBOARD_ENTRIES`: a directory, or a dataset OWNER/NAME on the Hub; by default the folder beside.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio
import pandas
from leaderboard import PB_SCORES, Board, Line, Reached, Refused, groups_of, lines_of, ranked, read_entries

HERE = Path(__file__).resolve().parent
SOURCE = os.environ.get("LEADERBOARD_ENTRIES") or str(HERE / "entries")
#: Rows of a table, curves of a plot and groups to choose from; a browser shows no more in a reasonable time.
MOST_ROWS = 200
MOST_CURVES = 12
MOST_GROUPS = 100
HEAD = ["rank", "model", "method", "PB80", "PB75", "PB70", "interval", "hardware", "version", "run", "report"]
# Links stand in the last two, and are made of nothing that an entry says but its id.
TYPES = [*["str"] * (len(HEAD) - 2), "markdown", "markdown"]

Ranking = list[tuple[int | None, Line]]


def load(source: str) -> tuple[Board, str | None]:
    """All entries, and the dataset that they come from; where it cannot be read, it stands among what is refused."""
    if Path(source).is_dir():
        return read_entries(source), None
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(source, repo_type="dataset", allow_patterns="entries/*.json")
    except Exception as error:  # whatever the Hub, the network or the name is to blame for
        return Board(refused=[Refused(source[:200], f"cannot be read: {' '.join(str(error).split())[:300]}")]), None
    return read_entries(Path(folder) / "entries"), source


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(reached: Reached) -> str:
    return f"{_number(reached.low)} … {_number(reached.high)}"


def table_rows(found: Ranking, dataset: str | None, score: int) -> list[list[str]]:
    """The best of a ranking as text."""
    return [_row(rank, line, dataset, score) for rank, line in found[:MOST_ROWS]]


def _row(rank: int | None, line: Line, dataset: str | None, score: int) -> list[str]:
    numbers = [_number(line.reached(each).value) for each in PB_SCORES]
    names = ["-" if rank is None else str(rank), line.result.model, line.result.method]
    about = [_interval(line.reached(score)), ", ".join(line.result.hardware), line.entry.parallelbench]
    return [*names, *numbers, *about, *_links(line, dataset)]


def _links(line: Line, dataset: str | None) -> list[str]:
    run = line.entry.id
    # A dash alone would be the beginning of a list.
    if dataset is None:
        return [run, ""]
    place = f"https://huggingface.co/datasets/{dataset}"
    page = f"[page]({place}/resolve/main/runs/{run}/{line.entry.report})" if line.entry.report else ""
    return [f"[{run}]({place}/tree/main/runs/{run})", page]


def curves(found: Ranking) -> pandas.DataFrame:
    """The points of the best curves."""
    rows = [
        {
            "tokens per step": point.tokens_per_step,
            "score": point.headline,
            "curve": f"{line.result.model} · {line.result.method} · {line.entry.id[:4]}",
        }
        for _, line in found[:MOST_CURVES]
        for point in line.result.points
    ]
    return pandas.DataFrame(rows, columns=["tokens per step", "score", "curve"])


def counted(found: Ranking) -> str:
    """How many there are, and how many of them are shown."""
    rows, drawn = min(len(found), MOST_ROWS), min(len(found), MOST_CURVES)
    more = "" if rows == len(found) else "; names narrow the table"
    return f"The best {rows} of {len(found)} are in the table, and the best {drawn} in the plot{more}."


def build(source: str) -> gradio.Blocks:
    """The page."""
    board, dataset = load(source)
    lines = lines_of(board.entries)
    groups = groups_of(lines)
    first = groups[0] if groups else None

    def show(score: str, group: str | None, model: str, method: str) -> tuple[Any, Any, str]:
        asked = int(score.removeprefix("PB"))
        # Only lines of one group are ranked, also where nobody says which.
        found = ranked(lines, asked, group=group or first, model=model[:100], method=method[:100])
        return table_rows(found, dataset, asked), curves(found), counted(found)

    rows, drawn, count = show("PB80", first, "", "")
    with gradio.Blocks(title="ParallelBench leaderboard", analytics_enabled=False) as page:
        gradio.Markdown(
            "# ParallelBench leaderboard\nPBx: the largest tokens per step with a mean score of at least x percent, "
            "with its 95 % interval. Only runs on the same questions are ranked together."
        )
        with gradio.Row():
            score = gradio.Radio([f"PB{each}" for each in PB_SCORES], value="PB80", label="ranked by")
            group = gradio.Dropdown(groups[:MOST_GROUPS], value=first, label="questions")
            model = gradio.Textbox(label="model holds", max_length=100)
            method = gradio.Textbox(label="method holds", max_length=100)
        said = gradio.Markdown(count)
        table = gradio.Dataframe(rows, headers=HEAD, datatype=TYPES, interactive=False, label="ranking", wrap=True)
        plot = gradio.LinePlot(drawn, x="tokens per step", y="score", color="curve", y_lim=[0, 100])
        if len(groups) > MOST_GROUPS:
            gradio.Markdown(f"Of {len(groups)} sets of questions the {MOST_GROUPS} with most results can be chosen.")
        asked = [score, group, model, method]
        for control in asked:
            # A name is typed letter by letter; the last state of it counts.
            named = "rank" if control is score else False
            control.change(show, asked, [table, plot, said], api_name=named, trigger_mode="always_last")
        if board.refused:
            gradio.Markdown(f"## Not valid, and not ranked: {len(board.refused)}")
            refused = [[found.name, found.reason] for found in board.refused[:MOST_ROWS]]
            gradio.Dataframe(refused, headers=["file", "reason"], datatype="str", interactive=False, wrap=True)
    return page


if __name__ == "__main__":
    build(SOURCE).launch()
