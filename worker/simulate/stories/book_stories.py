"""Books without numbers, and reported balances: what balance_mismatch must find in them.

Each alert at a threshold has a twin beside it: one minor unit or one millisecond further.
"""

from dataclasses import replace

from worker.simulate.life.bookings import completed_row, hold, plain_row
from worker.simulate.life.days import report
from worker.simulate.life.orders import Order, purchase, refund
from worker.simulate.stories.books import (
    booked,
    go_on,
    major_unit,
    sent,
    severity_of,
    with_decimals,
)
from worker.simulate.stories.story import Story, StoryEvidence
from worker.simulate.world.account import MINUTE_MS, SECOND_MS, Event, SimulatedAccount
from worker.simulate.world.ledger import Ledger

SLACK_MS = 1 * SECOND_MS
SNAPSHOT_SLACK_MS = 5 * SECOND_MS
SNAPSHOT_HISTORY_MS = 10 * MINUTE_MS


def unnumbered_break(story: Story) -> None:
    """The balance changed by a minor unit before a row."""
    story.undisturbed(lambda ledger: _broken_group(story, ledger, 1, 1))


def unnumbered_group_break(story: Story) -> None:
    """The balance changed before some rows of nearly one moment: no order of them fits."""

    def act(ledger: Ledger) -> None:
        drift = story.account.rng.randint(1, 9) * major_unit(ledger)
        _broken_group(story, ledger, drift, story.account.rng.randint(2, 6))

    story.undisturbed(act)


def group_split(story: Story) -> None:
    """A refund whose payment is stamped one second later: they are judged apart."""
    story.undisturbed(lambda ledger: _refund_before_payment(story, ledger, SLACK_MS))


def group_joined(story: Story) -> None:
    """A refund whose payment is stamped one millisecond less than a second later."""
    story.undisturbed(lambda ledger: _refund_before_payment(story, ledger, SLACK_MS - 1))


def same_instant_rows(story: Story) -> None:
    """Several rows of one millisecond, which arrive in any order."""

    def act(ledger: Ledger) -> None:
        rows = range(story.account.rng.randint(3, 8))
        _silent_group(story, [sent(story.account, _small(story.account, ledger)) for _ in rows])

    story.undisturbed(act)


def refund_in_group(story: Story) -> None:
    """Payments that are refunded at once, so that the balance comes by the same figures again."""

    def act(ledger: Ledger) -> None:
        account = story.account
        rows = []
        for _ in range(2):
            order = purchase(account, 10 * ledger.money.unit, ledger)
            transaction_id = account.new_id("txn")
            back = refund(account, order, transaction_id)
            rows.append(sent(account, completed_row(order, transaction_id)))
            rows.append(sent(account, completed_row(back, account.new_id("txn"))))
        _silent_group(story, rows)

    story.undisturbed(act)


def entry_without_balances(story: Story) -> None:
    """An entry that does not show what it moved; the next row begins a new chain."""

    def act(ledger: Ledger) -> None:
        account = story.account
        story.must_stay_silent(_send_bare(account, ledger))
        account.soon(5, 60, go_on, account, ledger)

    story.undisturbed(act)


def partial_capture(story: Story) -> None:
    """Less is booked than was held."""

    def act(ledger: Ledger) -> None:
        account = story.account
        order = purchase(account, account.price(ledger, 10, 90), ledger)
        transaction_id = hold(account, order)
        account.soon(60, 600, capture, order, transaction_id)

    def capture(order: Order, transaction_id: str) -> None:
        order.ledger.held -= order.cost
        part = replace(order, amount=story.account.rng.randint(1, order.amount - 1))
        story.must_stay_silent(sent(story.account, completed_row(part, transaction_id)))

    story.undisturbed(act)


def snapshot_wrong(story: Story) -> None:
    """A reported balance that is wrong by one minor unit."""
    story.undisturbed(lambda ledger: _misreport(story, ledger, 1))


def snapshot_major_unit(story: Story) -> None:
    """A reported balance that is wrong by exactly one major unit: an error."""
    story.undisturbed(lambda ledger: _misreport(story, ledger, -major_unit(ledger)))


def snapshot_below_major_unit(story: Story) -> None:
    """A reported balance that is wrong by one minor unit less than a major one: a warning."""
    with_decimals(story, lambda ledger: _misreport(story, ledger, major_unit(ledger) - 1))


def read_too_late(story: Story) -> None:
    """A balance without a payment, read a little later after it than is tolerated."""
    story.undisturbed(lambda ledger: _read_after(story, ledger, SNAPSHOT_SLACK_MS + 1))


def read_late(story: Story) -> None:
    """A balance without a payment, read just as late after it as is tolerated."""
    story.undisturbed(lambda ledger: _read_after(story, ledger, SNAPSHOT_SLACK_MS))


def read_too_early(story: Story) -> None:
    """A balance with a payment, read a little earlier before it than is tolerated."""
    story.undisturbed(lambda ledger: _read_before(story, ledger, SNAPSHOT_SLACK_MS + 1))


def read_early(story: Story) -> None:
    """A balance with a payment, read just as early before it as is tolerated."""
    story.undisturbed(lambda ledger: _read_before(story, ledger, SNAPSHOT_SLACK_MS))


def old_snapshot_wrong(story: Story) -> None:
    """A wrong balance, just recent enough to be judged."""
    story.undisturbed(lambda ledger: _report_old(story, ledger, SNAPSHOT_HISTORY_MS))


def stale_report(story: Story) -> None:
    """A wrong balance, read one millisecond too long ago to be judged."""
    story.undisturbed(lambda ledger: _report_old(story, ledger, SNAPSHOT_HISTORY_MS + 1))


def _broken_group(story: Story, ledger: Ledger, drift: int, rows: int) -> None:
    """Change the balance, then send rows, each less than a second after the one before."""
    account = story.account
    ledger.balance += drift
    group: list[StoryEvidence] = []

    def send() -> None:
        group.append(sent(account, _small(account, ledger)))
        if len(group) < rows:
            account.agenda.after(account.rng.choice((0, 1, 400, 999)), send)
        else:
            severity = severity_of(ledger, drift)
            story.must_alert(severity, _together(group), earliest_after=SLACK_MS)
            account.soon(5, 60, go_on, account, ledger)

    send()


def _refund_before_payment(story: Story, ledger: Ledger, delay_ms: int) -> None:
    """Send a refund, and after the delay the payment that it refunds.

    Apart, the refund begins at a balance that no row has shown: a break. The payment then begins
    where the refund ended. An entry without balances lets the books begin anew.
    """
    account = story.account
    order = purchase(account, account.price(ledger, 2, 60), ledger)
    transaction_id = account.new_id("txn")
    payment = completed_row(order, transaction_id)
    refunded = completed_row(refund(account, order, transaction_id), account.new_id("txn"))
    evidence = sent(account, refunded)
    account.agenda.after(delay_ms, account.emit, "transaction", payment)
    if delay_ms < SLACK_MS:
        story.must_stay_silent(evidence)
        return
    severity = severity_of(ledger, order.effect)
    story.must_alert(severity, evidence, earliest_after=SLACK_MS)
    account.agenda.after(10 * SECOND_MS, _send_bare, account, ledger)
    account.soon(20, 60, go_on, account, ledger)


def _send_bare(account: SimulatedAccount, ledger: Ledger) -> StoryEvidence:
    """Book an ordinary debit; send it without any balance."""
    order = purchase(account, account.price(ledger, 2, 60), ledger)
    ledger.balance += order.effect
    return sent(account, plain_row(order, account.new_id("txn"), "completed"))


def _small(account: SimulatedAccount, ledger: Ledger) -> Event:
    return completed_row(
        purchase(account, account.price(ledger, 1, 20), ledger), account.new_id("txn")
    )


def _silent_group(story: Story, rows: list[StoryEvidence]) -> None:
    story.must_stay_silent(_together(rows))


def _together(rows: list[StoryEvidence]) -> StoryEvidence:
    return StoryEvidence(
        tuple(event_id for row in rows for event_id in row.event_ids),
        tuple(dict.fromkeys(one for row in rows for one in row.transaction_ids)),
    )


def _misreport(story: Story, ledger: Ledger, drift: int) -> None:
    _report(story, ledger, ledger.balance + drift, story.account.agenda.now, drift)


def _report(story: Story, ledger: Ledger, balance: int, as_of: int, drift: int | None) -> None:
    """Report the balance; without a drift it is innocent."""
    account = story.account
    evidence = StoryEvidence((report(account, ledger, balance, as_of, "app"),))
    if drift is None:
        story.must_stay_silent(evidence)
    else:
        judged_after = max(0, as_of + SNAPSHOT_SLACK_MS - account.agenda.now)
        story.must_alert(severity_of(ledger, drift), evidence, earliest_after=judged_after)


def _read_after(story: Story, ledger: Ledger, delay_ms: int) -> None:
    account = story.account
    before = ledger.balance
    account.emit("transaction", booked(account, ledger))
    drift = before - ledger.balance if delay_ms > SNAPSHOT_SLACK_MS else None
    as_of = account.agenda.now + delay_ms
    delay = delay_ms + account.rng.randrange(500)
    account.agenda.after(delay, _report, story, ledger, before, as_of, drift)


def _read_before(story: Story, ledger: Ledger, lead_ms: int) -> None:
    account = story.account
    before = ledger.balance
    account.emit("transaction", booked(account, ledger))
    drift = ledger.balance - before if lead_ms > SNAPSHOT_SLACK_MS else None
    as_of = account.agenda.now - lead_ms
    delay = account.rng.randrange(1, 2_000)
    account.agenda.after(delay, _report, story, ledger, ledger.balance, as_of, drift)


def _report_old(story: Story, ledger: Ledger, age_ms: int) -> None:
    account = story.account
    drift = account.rng.randint(1, 9) * major_unit(ledger)
    judged = drift if age_ms <= SNAPSHOT_HISTORY_MS else None
    as_of = account.agenda.now + MINUTE_MS
    delay = MINUTE_MS + age_ms
    account.agenda.after(delay, _report, story, ledger, ledger.balance + drift, as_of, judged)


ANOMALIES = (
    snapshot_wrong,
    unnumbered_break,
    unnumbered_group_break,
    group_split,
    snapshot_major_unit,
    snapshot_below_major_unit,
    read_too_late,
    read_too_early,
    old_snapshot_wrong,
)
INNOCENTS = (
    group_joined,
    same_instant_rows,
    refund_in_group,
    entry_without_balances,
    partial_capture,
    read_late,
    read_early,
    stale_report,
)
UNNUMBERED = (
    unnumbered_break,
    unnumbered_group_break,
    group_split,
    group_joined,
    same_instant_rows,
    refund_in_group,
    entry_without_balances,
)
"""They need entries that carry no ledger_sequence."""
