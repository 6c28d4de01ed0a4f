"""How a prediction is read: lists, grids and rows of cells, in time linear in its length, whatever it contains."""

import re
from collections.abc import Iterable

SURROGATE_PAIR = re.compile(r"([\ud800-\udbff])([\udc00-\udfff])")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def replace_lone_surrogates(text: str) -> str:
    """Return `text` with every lone surrogate replaced by U+FFFD and every surrogate pair joined to its character.

    The result can always be encoded as UTF-8.
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", SURROGATE_PAIR.sub(join_surrogates, text))
    return text


def join_surrogates(pair: re.Match[str]) -> str:
    """Return the character that a high and a low surrogate stand for in UTF-16."""
    return chr(0x10000 + ((ord(pair[1]) - 0xD800) << 10) + (ord(pair[2]) - 0xDC00))


def read_list(text: str) -> list[str]:
    """Read a list leniently.

    The list is what stands after the last `[` and before the next `]`; where a bracket is missing, it reaches to that
    end of the text. It is split at commas; items of white space alone are dropped, and only then do the others lose the
    spaces and double quotes around them. So `""` is an empty item, which stays: parallel decoding produces it, and the
    published metric counts it (ParallelBench, arXiv 2510.04767, and its code).
    """
    start = text.rfind("[") + 1
    end = text.find("]", start)
    body = text[start:] if end < 0 else text[start:end]
    return [item.strip(' "') for item in body.split(",") if item and not item.isspace()]


def read_list_strictly(text: str) -> list[str] | None:
    """Read a list in canonical form, `["a", "b"]`, or return None where it has another form.

    The list stands after the last `[` and before the next `]`, and both are there. Items are wrapped in double quotes,
    hold neither a double quote nor a comma, and are separated by exactly `, `. The empty list is `[]`.
    """
    opening = text.rfind("[")
    closing = text.find("]", opening)
    if opening < 0 or closing < 0:
        return None
    body = text[opening + 1 : closing]
    if not body:
        return []
    if not (body.startswith('"') and body.endswith('"')):
        return None
    items = body[1:-1].split('", "')
    # Any quote or comma beyond those of the form stands inside an item.
    if body.count('"') != 2 * len(items) or body.count(",") != len(items) - 1:
        return None
    return items


def read_filled_lines(text: str) -> list[str]:
    """Return the lines of `text` without the white space around them, blank lines left out.

    A line ends at a line feed and nowhere else: what Unicode also calls a line separator is white space like any other,
    as is the carriage return before a line feed.
    """
    stripped = [line.strip() for line in text.split("\n")]
    return [line for line in stripped if line]


def read_digit_rows(text: str, size: int) -> list[str] | None:
    """Read a square grid of digits, those of any script, leniently: `size` strings of `size` ASCII digits each.

    Of every line only the digits count. None where not exactly `size` lines have exactly `size` of them.
    """
    rows: list[str] = []
    for line in read_filled_lines(text):
        digits = [character for character in line if character.isdecimal()]
        if len(digits) == size:
            rows.append(as_ascii(digits))
            if len(rows) > size:
                return None
    return rows if len(rows) == size else None


def read_digit_rows_strictly(text: str, size: int) -> list[str] | None:
    """Read a square grid of digits, apart from blank lines and white space around lines with nothing else in the text.

    Returns:
        As `read_digit_rows`; None where the text has another form.
    """
    lines = read_filled_lines(text)
    if len(lines) != size or any(len(line) != size or not line.isdecimal() for line in lines):
        return None
    return [as_ascii(line) for line in lines]


def as_ascii(digits: Iterable[str]) -> str:
    """Return decimal digits of any script as the ASCII digits of the same value."""
    return "".join([str(int(digit)) for digit in digits])


def read_cells(line: str) -> list[str]:
    """Split one line at commas and strip the whitespace around each cell."""
    return [cell.strip() for cell in line.split(",")]
