"""Open alerts as an account keeps them: found by what they are asked for."""

from random import Random
from typing import Final
from zlib import crc32

import pytest

from rules.alerts import OpenAlert
from worker.detect import kept_alerts
from worker.detect.kept_alerts import KeptAlerts
from worker.engine.packing import Unpacker, packed

_READ: Final = Unpacker(KeptAlerts)


def alert(number: int, *quoted: str, dedup_key: str = "key") -> OpenAlert:
    """Return an alert that quotes some texts."""
    return OpenAlert(
        rule="X1",
        anchor=f"anchor-{number}",
        at=number,
        severity="info",
        sequence=1,
        alert_id=f"id-{number}",
        cause="cause",
        dedup_key=dedup_key,
        title="Title" * (number % 7 + 1),
        raised_at=number,
        first_event_at=number,
        last_event_at=number,
        facts=[(f"f{n}", text, None) for n, text in enumerate(quoted)],
    )


@pytest.fixture(params=[0xFFFFFFFF, 0x3])
def few_marks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks as they are; and so few of them that most texts share one."""
    monkeypatch.setattr(kept_alerts, "crc32", lambda text: crc32(text) & request.param)


@pytest.mark.usefixtures("few_marks")
@pytest.mark.parametrize("seed", range(30))
def test_it_answers_as_a_list_of_alerts_would(seed: int) -> None:
    """Any alerts that come, change and go, saved and read in between."""
    draw = Random(seed)
    kept, listed = KeptAlerts(), list[OpenAlert]()
    for number in range(60):
        if listed and draw.random() < 0.4:
            gone = listed.pop(draw.randrange(len(listed)))
            kept.remove(gone)
        elif listed and draw.random() < 0.3:
            at = draw.randrange(len(listed))
            listed[at] = alert(listed[at].raised_at, *draw.choices("abcdefgh", k=3))
            kept.replace(listed[at])
        else:
            key = f"key-{draw.randrange(5)}"
            new = alert(number, *draw.choices("abcdefgh", k=draw.randrange(4)), dedup_key=key)
            listed.append(new)
            kept.add(new)
        if draw.random() < 0.3:
            kept = _READ(packed(kept))
        _compare(kept, listed, draw)


def _compare(kept: KeptAlerts, listed: list[OpenAlert], draw: Random) -> None:
    assert (list(kept), len(kept), bool(kept)) == (listed, len(listed), bool(listed))
    number = draw.randrange(60)
    expected = next((each for each in listed if each.raised_at == number), None)
    assert kept.find(f"anchor-{number}") == expected
    key = f"key-{draw.randrange(6)}"
    assert kept.has_dedup_key(key) == any(each.dedup_key == key for each in listed)
    texts = draw.choices("abcdefghij", k=2)
    named = list(kept.naming(texts))
    assert [each for each in named if _quotes(each, texts)] == [
        each for each in listed if _quotes(each, texts)
    ]
    assert [each for each in listed if each in named] == named
    assert kept.raised_until(30) == [each for each in listed if each.raised_at <= 30]
    if listed:
        assert kept.oldest == listed[0].raised_at


def _quotes(each: OpenAlert, texts: list[str]) -> bool:
    return any(value in texts for _, value, _ in each.facts)


def test_an_alert_is_found_by_its_anchor_and_its_transactions_too() -> None:
    """As rules ask for it."""
    kept = KeptAlerts()
    one, other = alert(1, "a"), alert(2, "b")
    other.transaction_ids = ["t1", "t2"]
    kept.add(one)
    kept.add(other)
    assert list(kept.naming(["anchor-1"])) == [one]
    assert list(kept.naming(["t2"])) == [other]
    assert list(kept.naming(["t2", "anchor-1"])) == [one, other]
    assert list(kept.naming(["c"])) == []
