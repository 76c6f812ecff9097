"""Patterns: bounded time on any text; lines that are no CSV; parts of a cell."""

import random
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.mapped_files import BALANCE, LOGIN, mapped, mapping_of
from worker.convert.patterns import MAX_PATTERN, MAX_TEXT, MIN_TEXT, Pattern
from worker.errors import ConfigError

SSHD = (
    r"(?P<at>[^ ]+) (?P<host>[^ ]+) sshd\[\d+\]: Failed password for (?:invalid user )?"
    r"(?P<user>[^ ]+) from (?P<ip>[^ ]+) port \d+(?: ssh2)?"
)


@pytest.mark.parametrize(
    ("pattern", "text", "groups"),
    [
        (r"(?P<n>\d+)", "12", {"n": "12"}),
        (r"(?P<n>\d+)", "12x", None),
        (r"^(?P<n>\d+)$", "12", {"n": "12"}),
        (r"^(?P<n>\d+)$", "12\n", None),
        (r"(?P<n>\d+)\$", "12$", {"n": "12"}),
        (r"(?P<n>\d+)\\$", "12\\", {"n": "12"}),
        (r"(?i)ref: (?P<r>[A-Z]+)", "REF: abc", {"r": "abc"}),
        (r".*(?P<order>ORD-\d+).*", "Order\nORD-7, thanks", {"order": "ORD-7"}),
        (r"(?P<a>x)?(?P<b>y)", "y", {"a": "", "b": "y"}),
        (r"(?P<a>cat|dog)(?: and (?P<b>cat|dog))*", "cat and dog", {"a": "cat", "b": "dog"}),
        (r"(?P<d>(?:[a-z]+\.)+[a-z]{2,3})", "a.bc.de", {"d": "a.bc.de"}),
        (r"(?P<a>[^]]+)](?P<b>.*)", "a]b", {"a": "a", "b": "b"}),
        (r"(?P<a>[\]\\-]+)", r"]\-", {"a": r"]\-"}),
        (r"(?P<a>\u20ac)(?P<b>\x41+)", "€AA", {"a": "€", "b": "AA"}),
        (r"(?P<a>(b)(c)){2}", "bcbc", {"a": "bc"}),
        (r"(?P<name>Élodie|Ëva)", "Ëva", {"name": "Ëva"}),
        ("(?P<end>\U0010ffff)", "\U0010ffff", {"end": "\U0010ffff"}),
    ],
)
def test_named_groups_of_a_whole_text(
    pattern: str, text: str, groups: dict[str, str] | None
) -> None:
    """A group that takes no part is empty; None if the text as a whole does not match."""
    assert Pattern(pattern).groups(text) == groups


@pytest.mark.parametrize(
    "pattern",
    [
        SSHD,
        r"(?P<a>[^,]*),(?P<b>[^,]*),(?P<c>[^,]*),(?P<d>[^,]*),(?P<e>[^,]*)",
        r"(?P<a>\S+) (?P<b>\S+) (?P<c>\S+) (?P<d>.*)",
        r"(?P<d>(?:[a-z]+\.)+)",
        r".*(?P<order>ORD-\d+).*",
        r"(?P<a>\d{4})(?P<b>\d{2})(?P<c>.*)",
        r"(?P<k>[a-z]+)=(?P<v>\"[^\"]*\"|[^\" ]+)",
        r"(?P<a>a*)(?P<rest>.*)",
        r"(?P<a>a*)(?P<b>a*)(?P<c>a*)(?P<rest>.*?)",
        r"(?P<a>(?:a|b)+)c",
        r"(?P<a>x{0,9}x)",
    ],
)
def test_a_pattern_with_one_way_to_divide_a_text_reads_long_ones(pattern: str) -> None:
    """Where what follows a repetition is not what it repeats, and at one that is."""
    assert Pattern(pattern).longest >= MAX_TEXT // 4


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (r"(?P<a>(a+)+)b", "repeats a group that may divide a text in more than one way"),
        (r"(?P<a>(?:a|a)*)b", "in more than one way"),
        (r"(?P<a>(?:a|ab)*)c", "in more than one way"),
        (r"(?P<a>(?:.*,)*)x", "in more than one way"),
        (r"(?P<a>(?:\w+\s?)*)!", "in more than one way"),
        (r"(?P<a>(?:a?b?)+)c", "repeats a group that may be empty"),
        (r"(?P<a>(?:a?){30}a{30})", "repeats a group that may be empty"),
        (r"(?P<a>(?:a*)*)", "repeats a group that may be empty"),
        (r"(?P<a>(?:a|)+)b", "repeats a group that may be empty"),
        (r"(?P<a>.*)(?P<b>.*)(?P<c>.*)x", "could take too long"),
        (r"(?P<a>.*?)(?P<b>.*?)(?P<c>.*?)x", "could take too long"),
        ("(?P<a>" + "a?" * 24 + "a" * 24 + ")", "could take too long"),
        ("(?P<a>" + "a{0,9}" * 8 + ")b", "could take too long"),
        ("(?P<a>" + "(?:a|ab)" * 24 + ")c", "could take too long"),
        (r"(?P<a>[д-ю]*)[^дю]*[^дю]*x", "could take too long"),
        (r"(?P<a>x)(?=y)", "has at character 9 what is not supported"),
        (r"^(?P<a>x)(?!y)", "has at character 10 what is not supported"),
        (r"(?P<a>x)\1", "not supported"),
        (r"(?P<a>x)(?P=a)", "not supported"),
        (r"(?P<a>x*+)", "not supported"),
        (r"(?P<a>x)(?>y)", "not supported"),
        (r"(?P<a>x\b)", "not supported"),
        (r"(?P<a>x{})", "not supported"),
        (r"(?P<a>x$)y", "not supported"),
        (r"(?s)(?P<a>x)", "not supported"),
        (r"(?P<a>x{99999})", "not supported"),
        (r"(?P<a>[[a])", "is no regular expression: Possible nested set"),
        (r"(?P<a>x", "is no regular expression: missing )"),
        (r"(?P<a>x)(?P<a>y)", "is no regular expression: redefinition"),
        (r"*(?P<a>x)", "is no regular expression: nothing to repeat"),
        (r"\d+", "has no named group, such as (?P<account>[^ ]+)"),
        ("", "has no named group"),
        ("(?P<a>" + "(" * 300 + ")" * 301, "nested more than 10 deep"),
        ("(?P<a>x)" + "x" * MAX_PATTERN, f"is longer than {MAX_PATTERN} characters"),
    ],
)
def test_a_pattern_that_could_take_long_is_refused(pattern: str, sentence: str) -> None:
    """With what to do; so is what is no pattern, or syntax whose cost is unknown."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        Pattern(pattern)
    assert sentence in str(caught.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<a>.*) for (?P<b>.*) from (?P<c>\S+)",
        r"(?P<a>[ab]{2,}.{2,}\w+)!",
        r"(?P<a>[ab]+a+?(?:b*))x",
        r"(?P<a>\w*)\w*x",
        r"(?P<a>.*a.*)x",
        r"(?P<a>a*a{0,3}a?)x",
        SSHD,
    ],
)
def test_hostile_texts_take_bounded_time(pattern: str) -> None:
    """Texts as long as allowed that nearly match, again and again."""
    read = Pattern(pattern)
    assert read.longest >= MIN_TEXT
    for unit in ("a", "ab", "a for a from "):
        for end in ("", "!"):
            text = (unit * read.longest)[: read.longest - len(end)] + end
            read.groups(text)


@pytest.mark.timeout(120)
def test_random_patterns_take_bounded_time_or_are_refused() -> None:
    """Nested, overlapping and optional parts in every order."""
    dice = random.Random(19)
    atoms = ("a", "b", "[ab]", ".", "[^a]", r"\w")
    rounds = ("", "", "*", "+", "?", "{2}", "{0,3}", "*?", "+?", "{2,}")

    def sequence(depth: int) -> str:
        parts = []
        for _ in range(dice.randint(1, 5)):
            part = dice.choice(atoms)
            if depth and dice.random() < 0.35:
                part = f"(?:{'|'.join(sequence(depth - 1) for _ in range(dice.randint(1, 2)))})"
            parts.append(part + dice.choice(rounds))
        return "".join(parts)

    read = 0
    for _ in range(200):
        try:
            pattern = Pattern(f"(?P<n>{sequence(2)})!")
        except ValueError:
            continue
        read += 1
        for unit in ("a", "ab"):
            pattern.groups((unit * pattern.longest)[: pattern.longest])
    assert 30 < read < 170


def test_the_page_says_how_long_a_text_may_be() -> None:
    """docs/mapping.md gives the limits of the code."""
    page = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text("utf-8")
    assert f"up to {MAX_TEXT:,} characters" in page
    one, two = Pattern("(?P<a>.*) ").longest, Pattern("(?P<a>.*) .* ").longest
    assert f"{one:,} with one\n`.*`, {two} with two" in page


AT = "2026-03-02T10:00:00Z"
TEXT = f"[input]\nformat = 'text'\nline = '{SSHD}'\n"
SYSLOG_LOGIN = """
[[event]]
kind = "login"
[event.fields]
event_id = { hash = ["at", "host", "user", "ip"] }
account_id = "user"
action = { constant = "login" }
outcome = { constant = "failure" }
occurred_at = "at"
ip = "ip"
"""
FAILED = (
    "2026-03-02T10:00:00Z h1 sshd[7]: Failed password for invalid user eve from 192.0.2.1 port 9"
)
NO_MATCH = "matches no pattern of line; see line and unmatched"


def test_lines_that_are_no_csv() -> None:
    """The groups are the columns; blank lines are no rows."""
    found = mapped(TEXT + SYSLOG_LOGIN, f"{FAILED}\r\n\n{FAILED.replace('invalid user ', '')}")
    assert [(event["account_id"], event["ip"]) for event in found.events] == [
        ("eve", "192.0.2.1"),
        ("eve", "192.0.2.1"),
    ]
    assert found.rejects == {}


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "CRON[1]: session opened",
        FAILED.replace(" from ", " form "),
        FAILED + " ",
        f" {FAILED}",
        FAILED.upper(),
        FAILED.replace("[7]", "[x]"),
        FAILED.replace("\n", ""),
        f"{FAILED}\x0b",
        "{}",
        '"',
        "\x1b[31m " + FAILED,
        FAILED * 2,
    ],
)
def test_lines_that_do_not_match_are_counted(line: str) -> None:
    """And rejected, or skipped by declaration; the lines after them are read."""
    data = f"{line}\n{FAILED}\n"
    blank, matches = not line.strip(), line == FAILED
    found = mapped(TEXT + SYSLOG_LOGIN, data)
    assert len(found.events) == 1 + matches
    assert found.rejects == ({} if blank or matches else {1: NO_MATCH})
    assert found.unmatched == (0 if blank or matches else 1)
    skipping = TEXT.replace("format =", 'unmatched = "skip"\nformat =')
    found = mapped(skipping + SYSLOG_LOGIN, data)
    assert found.rejects == {}
    assert found.unmatched == len(found.skipped) == (0 if blank or matches else 1)


def test_the_first_of_several_patterns_that_matches() -> None:
    """Groups of the others are empty columns."""
    lines = (
        r"""line = ['(?P<at>[^ ]+) in (?P<user>\w+)', '(?P<at>[^ ]+) out', '(?P<at>[^ ]+) .*']"""
    )
    login = LOGIN.replace('constant = "login"', 'column = "user", map = { "" = "logout" }')
    login = login.replace("[event.fields]", "[event.fields]\nextra.user = 'user'").replace(
        'map = { "" = "logout" }', 'map = { "" = "logout" }, default = "login"'
    )
    data = "".join(f"2026-03-02T10:00:00Z {end}\n" for end in ("in eve", "out", "in eve!"))
    found = mapped(f"[input]\nformat = 'text'\n{lines}\n{login}", data)
    assert [(event["action"], event.get("extra")) for event in found.events] == [
        ("login", {"user": "eve"}),
        ("logout", None),
        ("logout", None),
    ]


def test_a_line_that_is_too_long_for_its_pattern() -> None:
    """A sentence in place of a wait; encodings, NUL bytes and skip_lines are as in CSV files."""
    lines = "[input]\nformat = 'text'\nskip_lines = 1\nline = '(?P<at>.*) .* .*'\n"
    longest = Pattern("(?P<at>.*) .* .*").longest
    data = f"title\n{' ' * (longest + 1)}x\nx\0 \n".encode() + b"\xff\n2026-03-02T10:00:00Z a b"
    found = mapped(lines + LOGIN, data)
    assert found.rejects == {
        2: f"longer than {longest} characters, the most that its pattern reads; see line",
        3: "contains a NUL byte",
        4: "not utf-8 text",
    }
    assert len(found.events) == 1


def test_a_line_that_is_too_long_for_one_pattern_may_match_another() -> None:
    """Only where none matches is it known that it was too long."""
    lines = "[input]\nformat = 'text'\nline = ['(?P<at>.*) .* x', '(?P<at>[^ ]+) a+']\n"
    found = mapped(lines + LOGIN, f"{AT} {'a' * 2000}\n{AT} {'b' * 2000}\n")
    assert len(found.events) == 1
    assert list(found.rejects) == [2]
    assert "longer than 369 characters" in found.rejects[2]


EXTRACT = """
[input]
format = "csv"
[[extract]]
column = "memo"
pattern = '(?P<currency>[A-Z]{3}) (?P<amount>-?[0-9.]+)(?: ref (?P<ref>.*))?'
"""


@pytest.mark.parametrize(
    ("memo", "outcome"),
    [
        ("EUR 12.50", "12.50"),
        ("  EUR 12.50 ", "12.50"),
        ("EUR -7 ref a, b", "-7"),
        ("JPY 500 ref x", "500"),
        ("JPY 500 ref ", "no match"),
        ("EUR 12,50", "no match"),
        ("EUR", "no match"),
        ("eur 1", "no match"),
        ("XQQ 1", "currency: no code"),
        ("EUR 1.2.3", "has its decimal separator twice"),
        ("EUR 12.505", "balance: more decimals than EUR has (2)"),
        ("EUR 1 ref " + "x" * MAX_TEXT, "longer than"),
        ("", "currency: required, but column 'currency' is empty"),
    ],
)
def test_a_cell_is_taken_apart(memo: str, outcome: str) -> None:
    """Its named groups are columns."""
    found = mapped(EXTRACT + BALANCE, f'memo\n"{memo}"\nEUR 1\n')
    assert found.events[-1]["balance"] == "1"
    if len(found.events) == 2:
        assert found.events[0]["balance"] == outcome
        return
    reason = found.rejects[2]
    if outcome == "no match":
        assert reason == (
            "column 'memo' does not match its pattern, which has to match the whole cell;"
            " see extract and unmatched"
        )
    assert outcome in reason or outcome == "no match"
    assert not memo.strip() or memo not in reason


def test_a_cell_that_does_not_match_may_count_as_empty() -> None:
    """unmatched = "empty": as if its groups had matched nothing."""
    lenient = EXTRACT.replace("pattern =", 'unmatched = "empty"\npattern =')
    event = BALANCE.replace('currency = "currency"', 'currency = { constant = "EUR" }')
    found = mapped(
        lenient + event.replace('"amount"', '{ column = "amount", default = "0.00" }'),
        "memo\nwhatever\n\nEUR 5\n",
    )
    assert [row["balance"] for row in found.events] == ["0.00", "5"]


def test_groups_can_be_used_wherever_a_column_can() -> None:
    """In conditions, templates, hashes, and in another extract; only where they are read."""
    mapping = f"""
[input]
format = "csv"
empty = ["-"]
[[extract]]
column = "text"
pattern = '(?P<kind>[a-z]+):(?P<tail>.*)'
[[extract]]
column = "tail"
pattern = '(?P<a>[^/]*)/(?P<b>[^/]*)'
[[skip]]
column = "id"
equals = "total"
[[skip]]
column = "kind"
equals = "draft"
{LOGIN.replace('"{line}"', '"{a}-{b}"')}
extra.b = "b"
"""
    data = (
        "id,at,text\n"
        "1,2026-03-02T10:00:00Z,login:x/y\n"
        "total,,no text of a login\n"
        "2,,draft:no slash\n"
        "3,2026-03-02T10:00:00Z,login:no slash\n"
        "4,2026-03-02T10:00:00Z,login:x/-\n"
    )
    found = mapped(mapping, data)
    assert [(event["event_id"], event["extra"]) for event in found.events] == [("x-y", {"b": "y"})]
    assert found.skipped == [3, 4]
    assert found.rejects[5].startswith("column 'tail' does not match its pattern")
    assert found.rejects[6] == "event_id: required, but one of columns 'a', 'b' is empty"


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ('[input]\nformat = "text"', 'input: format = "text" needs line'),
        (
            r"""[input]
format = "csv"
line = '(?P<at>.*)'""",
            'line and unmatched are only for format = "text"',
        ),
        ('[input]\nformat = "csv"\nunmatched = "skip"', "are only for format"),
        (
            r"""[input]
format = "text"
line = '(?P<when>.*)'""",
            "event #1.fields.occurred_at reads column 'at', which no pattern names",
        ),
        (
            r"""[input]
format = "text"
line = []""",
            "at least 1 item",
        ),
        (
            r"""[input]
format = "text"
line = '(?P<at>(a+)+)b'""",
            "line: the pattern repeats a group that may divide",
        ),
        (
            r"""[input]
format = "csv"
[[extract]]
column = "c"
pattern = '(?P<at>[a-z+)'""",
            "extract #1: pattern: the pattern is no regular expression",
        ),
        (
            r"""[input]
format = "csv"
[[extract]]
column = "c"
pattern = '(?P<c>.*)'""",
            "extract #1 names 'c', which is a column that it reads",
        ),
        (
            r"""[input]
format = "csv"
[[extract]]
column = "c"
pattern = '(?P<at>.*)'
[[extract]]
column = "d"
pattern = '(?P<at>.*)'""",
            "extract #2 names 'at', which extract #1 names",
        ),
        (
            r"""[input]
format = "csv"
[[extract]]
column = "b"
pattern = '(?P<at>.*)'
[[extract]]
column = "c"
pattern = '(?P<b>.*)'""",
            "extract #1 reads 'b', which extract #2 names: put that one first",
        ),
        (
            r"""[input]
format = "text"
line = '(?P<at>.*)'
[[extract]]
column = "at"
pattern = '(?P<at2>.*)'
[[extract]]
column = "at2"
pattern = '(?P<at>.*)'""",
            "extract #2 names 'at', which is a column of the file",
        ),
        (
            r"""[input]
format = "csv"
columns = ["c", "at"]
[[extract]]
column = "c"
pattern = '(?P<at>.*)'""",
            "extract #1 names 'at', which is a column of the file",
        ),
        (
            r"""[input]
format = "csv"
[[extract]]
pattern = '(?P<at>.*)'""",
            "extract #1.column: Field required",
        ),
    ],
)
def test_a_wrong_pattern_is_named_with_its_place(head: str, sentence: str) -> None:
    """Before any row is read."""
    with pytest.raises(ValidationError, match=r"\w") as caught:
        mapping_of(f"{head}\n{LOGIN}")
    assert sentence.partition(": ")[2] in str(caught.value) or sentence in str(caught.value)


def test_a_group_must_not_hide_a_column_of_the_header() -> None:
    """Known once the header is read."""
    mapping = EXTRACT + BALANCE
    with pytest.raises(ConfigError, match="extract #1 names 'ref', which in has as a column"):
        mapped(mapping, "memo,ref\nEUR 1,x\n")
    with pytest.raises(ConfigError, match="extract #1 reads column 'memo', which in does not have"):
        mapped(mapping, "mem,x\nEUR 1,x\n")
