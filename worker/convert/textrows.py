"""Rows of lines that are no CSV: the named groups of the first pattern that matches."""

from collections.abc import Iterator

from worker.convert.lines import TextLine
from worker.convert.patterns import Pattern
from worker.convert.rows import BadRow, FileRow, Row, UnmatchedRow


def text_rows(lines: Iterator[TextLine], patterns: list[Pattern], skip_lines: int) -> Iterator[Row]:
    """Yield one row per line that is not blank.

    Raises:
        CheckFailed: the stream breaks off.
    """
    for _ in range(skip_lines):
        next(lines, None)
    for line in lines:
        if line.fault:
            yield BadRow(line.number, line.fault)
        elif line.text.strip():
            yield _row(line.number, line.text.rstrip("\r\n"), patterns)


def _row(number: int, text: str, patterns: list[Pattern]) -> Row:
    too_short = 0
    for pattern in patterns:
        if len(text) > pattern.longest:
            too_short = max(too_short, pattern.longest)
            continue
        groups = pattern.groups(text)
        if groups is not None:
            return FileRow(number, groups)
    if too_short:
        most = f"longer than {too_short} characters, the most that its pattern reads"
        return BadRow(number, f"{most}; see line")
    return UnmatchedRow(number)
