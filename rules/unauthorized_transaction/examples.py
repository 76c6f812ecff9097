"""What A3 finds and what it leaves alone; run by the tests and `rules test`.

Points are those of who pays + those of the money.
"""

from typing import Final

from rules.builders import balance, login, txn
from rules.contract import Example
from rules.unauthorized_transaction.scenes import (
    ABROAD,
    KNOWN,
    KNOWN_PAYEE,
    LISBON,
    NEW_PAYEE,
    NOBODY,
    OWNER,
    POOR,
    STRANGER,
    TRANSFER,
    days_before,
    guesses,
    known_since,
    pay,
)

_FIRING: Final = (
    Example(
        name="A phone of this morning sends all but everything to somebody new: 25 + 40",
        events=(
            *KNOWN,
            login("09:00:00", **STRANGER),
            pay("t1", "10:00:00", **STRANGER | TRANSFER | NEW_PAYEE | POOR),
        ),
        expect=("raised warning",),
        details=(
            {
                "points_who": {"new_device": 25},
                "points_money": {"new_counterparty": 15, "drained": 20, "sends_out": 5},
                "total": 65,
                "contact_changed": [],
            },
        ),
    ),
    Example(
        name="And so from a country that is new too, too far to have gone there: 90 + 40",
        events=(
            *KNOWN,
            login("09:00:00", **OWNER),
            pay("t1", "10:00:00", **ABROAD | TRANSFER | NEW_PAYEE | POOR),
        ),
        expect=("raised error",),
        details=({"points_who": {"new_device": 25, "new_country": 25, "travel": 40}},),
    ),
    Example(
        name="A password is guessed on a new phone, then somebody new is paid: 60 + 20",
        events=(
            *KNOWN,
            *guesses(5, **STRANGER),
            pay("t1", "10:00:00", **STRANGER | TRANSFER | NEW_PAYEE),
        ),
        expect=("raised error",),
        details=({"points_who": {"new_device": 25, "guessed": 35}, "total": 80},),
    ),
    Example(
        name="The phone number is changed, then somebody new gets money: 30 + 20",
        events=(
            *KNOWN,
            login("09:30:00", action="phone_change"),
            pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE),
        ),
        expect=("raised warning",),
        details=({"points_who": {"changed": 30}, "contact_changed": ["phone"]},),
    ),
    Example(
        name="The password is changed, then far more is paid than ever before: 30 + 20",
        events=(
            *KNOWN,
            login("09:30:00", action="password_reset"),
            pay("t1", "10:00:00", "240.01"),
        ),
        expect=("raised warning",),
        details=({"points_money": {"large": 20}, "contact_changed": []},),
    ),
    Example(
        name="Two logins an hour apart in Berlin and Lisbon, then somebody new is paid: 40 + 20",
        events=(
            *KNOWN,
            login("08:00:00", **OWNER),
            login("09:00:00", **OWNER | LISBON | {"country": "DE"}),
            pay("t1", "10:00:00", latitude=None, longitude=None, **TRANSFER | NEW_PAYEE),
        ),
        expect=("raised warning",),
        details=({"points_who": {"travel": 40}},),
    ),
    Example(
        name="A session that nobody has logged in to, after 90 days of logins: 40 + 20",
        events=(
            *known_since(90),
            pay("t1", "10:00:00", session_id="stolen", **TRANSFER | NEW_PAYEE),
        ),
        expect=("raised warning",),
    ),
    Example(
        name="A transfer goes on although its approval failed: 60 + 5",
        events=(
            *KNOWN,
            pay("t1", "10:00:00", authorization={"method": "otp", "result": "failed"}, **TRANSFER),
        ),
        expect=("raised warning",),
    ),
    Example(
        name="A purchase of nearly everything on an approval that had expired: 60 + 20",
        events=(
            *KNOWN,
            pay("t1", "10:00:00", authorization={"method": "otp", "result": "expired"}, **POOR),
        ),
        expect=("raised error",),
    ),
    Example(
        name="Nobody approved a transfer to somebody new, of more than needs none: 30 + 20",
        events=(*KNOWN, pay("t1", "10:00:00", "50.01", **TRANSFER | NEW_PAYEE | NOBODY)),
        expect=("raised warning",),
    ),
    Example(
        name="A new phone pays five new payees within half an hour; the fifth alerts: 25 + 50",
        events=(
            *KNOWN,
            login("09:00:00", **STRANGER),
            *(
                pay(
                    f"t{n}",
                    f"10:{n:02}:00",
                    "20.00",
                    **STRANGER | TRANSFER | {"counterparty_id": f"mule-{n}"},
                )
                for n in range(5)
            ),
        ),
        expect=("raised warning",),
        details=({"points_money": {"new_counterparty": 15, "burst": 30, "sends_out": 5}},),
    ),
    Example(
        name="The balance is the last one known: 30 + 20",
        events=(
            *KNOWN,
            login("09:30:00", action="mfa_disable"),
            balance("09:58:00", "100.00"),
            txn("t1", "10:00:00", "pending", "80.00", **OWNER | KNOWN_PAYEE),
        ),
        expect=("raised warning",),
        details=({"points_money": {"drained": 20}},),
    ),
    Example(
        name="A new phone in a new country buys what the owner would: a note",
        events=(
            *KNOWN,
            login("09:00:00", **STRANGER | {"country": "AT"}),
            pay("t1", "10:00:00", **STRANGER | {"country": "AT"}),
        ),
        expect=("raised info",),
        details=({"points_who": {"new_device": 25, "new_country": 25}, "points_money": {}},),
    ),
    Example(
        name="Reserved, then captured: counted once, when it is reserved",
        events=(
            *KNOWN,
            login("09:30:00", action="email_change"),
            pay("t1", "10:00:00", status="pending", **TRANSFER | NEW_PAYEE),
            pay("t1", "10:05:00", **TRANSFER | NEW_PAYEE),
        ),
        expect=("raised warning",),
    ),
    Example(
        name="The owner disputes a payment of which nothing else is known: an error alone",
        events=(txn("t1", "10:00:00", "disputed"),),
        expect=("raised error",),
        details=({"points_who": {"disputed": 100}, "points_money": {}, "total": 100},),
    ),
    Example(
        name="The owner disputes a payment that is an alert already: it becomes an error",
        events=(
            *KNOWN,
            login("09:30:00", action="mfa_enable"),
            pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE),
            pay("t1", "11:00:00", status="disputed", **TRANSFER | NEW_PAYEE),
            pay("t1", "12:00:00", status="disputed", event_id="again", **TRANSFER | NEW_PAYEE),
        ),
        expect=("raised warning", "updated error"),
    ),
)

_SILENT: Final = (
    Example(
        name="Behind a VPN device, country and journey count half: 44 + 5, not 90 + 5",
        events=(
            *KNOWN,
            login("09:00:00", **OWNER),
            pay("t1", "10:00:00", network="vpn", **ABROAD | TRANSFER),
        ),
    ),
    Example(
        name="After a login behind a relay the journey back counts half: 20 + 20",
        events=(
            *KNOWN,
            login("09:00:00", **OWNER | LISBON | {"country": "DE", "network": "relay"}),
            pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE),
        ),
    ),
    Example(
        name="A carrier's gateway is far from its users: 20 + 20",
        events=(
            *KNOWN,
            login("08:00:00", **OWNER),
            login("09:00:00", **OWNER | LISBON | {"country": "DE", "network": "mobile"}),
            pay("t1", "10:00:00", latitude=None, longitude=None, **TRANSFER | NEW_PAYEE),
        ),
    ),
    Example(
        name="A kiosk or the office computer, and a usual payment: 25 + 0",
        events=(*KNOWN, pay("t1", "10:00:00", device_id="kiosk")),
    ),
    Example(
        name="The owner's new phone sends money to a payee he knows: 25 + 5",
        events=(
            *KNOWN,
            login("09:00:00", **STRANGER),
            pay("t1", "10:00:00", **STRANGER | TRANSFER),
        ),
    ),
    Example(
        name="In a young account everything is new, so nothing is: six days",
        events=(
            *known_since(6),
            login("09:00:00", **STRANGER),
            pay("t1", "10:00:00", **STRANGER | TRANSFER | NEW_PAYEE | POOR),
        ),
    ),
    Example(
        name="In an account of few events as well: four logins and nine debits",
        events=(
            *known_since(10, logins=4, debits=9),
            pay("t1", "10:00:00", **STRANGER | TRANSFER | NEW_PAYEE | POOR),
        ),
    ),
    Example(
        name="The owner flies to Lisbon in four hours, and takes cash there: 25 + 5",
        events=(
            *KNOWN,
            login("06:00:00", **OWNER),
            pay("t1", "10:00:00", type="withdrawal", **LISBON),
        ),
    ),
    Example(
        name="The same place is no journey, however short the time: 0 + 40",
        events=(
            *KNOWN,
            login("10:00:00", **OWNER),
            pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE | POOR),
        ),
    ),
    Example(
        name="Four typing errors, then the owner is in and spends nearly everything: 0 + 20",
        events=(*KNOWN, *guesses(4, **OWNER), pay("t1", "10:00:00", **POOR)),
    ),
    Example(
        name="Five typing errors, then the owner sends money to a payee he knows: 35 + 5",
        events=(*KNOWN, *guesses(5, **OWNER), pay("t1", "10:00:00", **TRANSFER)),
    ),
    Example(
        name="The owner moves his whole salary to a payee he knows: 0 + 45",
        events=(
            *KNOWN,
            txn("salary", "09:00:00", type="topup", amount="3000.00"),
            pay("t1", "10:00:00", "3000.00", **TRANSFER | {"balance_before": "3000.00"}),
        ),
    ),
    Example(
        name="A merchant charges by himself, after a change of the password",
        events=(
            *KNOWN,
            login("09:30:00", action="password_change"),
            pay("t1", "10:00:00", initiator="merchant", **NEW_PAYEE | POOR | NOBODY),
        ),
    ),
    Example(
        name="What needs no approval may have none: 0 + 20",
        events=(*KNOWN, pay("t1", "10:00:00", "50.00", **TRANSFER | NEW_PAYEE | NOBODY)),
    ),
    Example(
        name="The first device of 33 is forgotten, and is not taken for a new one: 0 + 40",
        events=(
            *KNOWN,
            *(
                login(
                    "08:00:00",
                    event_id=f"device-{n}",
                    occurred_at=days_before(4, f"08:{n:02}:00"),
                    **OWNER | {"device_id": f"device-{n}"},
                )
                for n in range(32)
            ),
            pay("t1", "10:00:00", **TRANSFER | NEW_PAYEE | POOR),
        ),
    ),
)

EXAMPLES: Final = _FIRING + _SILENT
