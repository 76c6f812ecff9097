"""The page about personal data, from the tables of `schemas.privacy`."""

from schemas.privacy import FORMS, IMPERSONAL, LEFT_BY_FORGET, PERSONAL, PLACES, Form
from schemas.time import format_span
from schemas.topics import COMPACTION_LAG_MS, SEGMENT_MS
from scripts.tables import table


def page() -> str:
    """Return the page about personal data: field by place."""
    shown: dict[Form, str] = {form: form for form in FORMS} | {"never": "-"}
    cells = (
        (", ".join(f"`{name}`" for name in row.fields), *(shown[row.form(p)] for p in PLACES))
        for row in PERSONAL
    )
    reasons = ((", ".join(f"`{name}`" for name in row.fields), row.why) for row in PERSONAL)
    places = (
        (place.name, ", ".join(f"`{name}`" for name in place.topics), place.meaning)
        for place in PLACES
    )
    forms = ((shown[form], meaning) for form, meaning in FORMS.items())
    others = (
        (", ".join(f"`{name}`" for name in fields.split()), why)
        for why, fields in IMPERSONAL.items()
    )
    left = (
        (each.place.name, each.on_sqlite or "nothing", each.on_kafka) for each in LEFT_BY_FORGET
    )
    return f"""# Personal data

Which field of an event may be where, and in which form. A test sends events in which every
field is marked through every path there is, and searches all that is written, kept or printed.

{table(("field", *(place.name for place in PLACES)), cells)}
{table(("form", "means"), forms)}
Where a field may be as it came, its token may be too. Values that the rules work out, such
as amounts that are missing, distances or numbers of devices, are with the amounts on alerts.

{table(("place", "topics", "what it is"), places)}
An account remembers its recent events by keyed hashes: 128 bits of topic and `event_id`, 64 bits
of its content, so that no producer can make an event that is taken for the redelivery of
another one and dropped. The key of these hashes is derived from the token key with which a task
makes its first commit, or drawn at random where tokens are public. It is kept in the saved state of
the task, beside the hashes: it does not change when the token key does, and the token key cannot be
found from it. What can read the saved state can read this key, so keep producers from it; `topics
acls` gives workers alone the right to read the changelogs. `replay` and `explain --from` use a
fixed key: what they find does not depend on it. Rows that a release before has saved are compared
as that release did, for a dedup horizon (`engine.dedup_horizon_ms`) after the update.

Files that walletwatch makes are of their owner alone, whatever the umask: the embedded log and what
is beside it, keys, and what `convert`, `simulate`, `replay` and `demo` write have mode 0600, new
folders 0700. Those that others can reach are refused, with the `chmod` that mends it; so is a link
in the place of an output. The JSON Schemas of `schema export` are public.

The id of an alert is a keyed hash (HMAC-SHA-256) of its rule, its account and what it is about,
often an event. The id of an incident is a hash of its `dedup_key`, in which an account is a token,
and of the id of the alert that opened it. So a reader of incidents who has a list of all accounts
but no key cannot find out by trying which account an id is of. The key is derived from the first
secret token key with which a task commits. The task keeps it beside the one above, and never
changes it. While tokens are public a task has none: its ids are made without a key, are the same
everywhere, and promise no more than the tokens do. Ids that earlier releases have given stay; they
were made without a key. `explain --from-history` makes the id again with the token key that is
configured. If it was made with another one, all the rest is checked, and a sentence says so.

An incident shows two things of accounts without any key. The partition of a cited record follows
from the account by murmur2: with 12 partitions, one account in 12 is possible. Each `event_id` is
as its producer made it: one that contains the account, or is a hash of it and of what can be
guessed, names the account; [mapping](mapping.md#ids) says how to make better ones.

Other secrets, such as the key behind tokens and marks, are in their own file and nowhere else. With
`WALLETWATCH_DEBUG=1` an internal error prints its traceback, which may quote an event: set it only
where only you read what is printed.

Why these fields are personal:

{table(("field", "is"), reasons)}
These may be anywhere:

{table(("field", "because it is"), others)}
## Forgetting an account

`walletwatch forget ACCOUNT` removes what detect and triage keep of an account. Its open alerts
expire and its open incidents are resolved, each in one last record; that of an incident cites no
records. Incidents that were resolved before go from their topic at once, those that it resolves
after `engine.resolved_retention_ms`. Tokens under both active keys are meant. It prints what stays:

{table(("place", "on SQLite", "on Kafka"), left)}
- How long: [topics](topics.md) says it of each topic (*kept*). Brokers remove whole segments, so
  there it may be {format_span(SEGMENT_MS)} longer (`segment.ms`). What newer records replace on
  compacted topics, incidents and the changelogs of saved state, they remove within
  {format_span(COMPACTION_LAG_MS)} (`max.compaction.lag.ms`), or when the next record is written to
  the partition if that is later; workers that run write to their changelogs all the time. `topics
  create` sets both, `topics check` compares them.
- From an SQLite log the records of the account go too, but for those in the table; other records
  keep their offsets. The file is then written anew and its write-ahead log emptied, so that no
  removed byte is left in them. Writers wait meanwhile, and it takes twice the size of the file in
  free space. A second call removes the last records of alerts too.
- What the stages have not handled yet makes new state. The command says if there is any: let
  `walletwatch run` read on, then forget it again. So does what is written of it afterwards.
- Payments of other accounts that name it as their counterparty are of these accounts, and stay; so
  do copies that you have made: backups of the file, what consumers of the topics have stored.
- It needs the tasks of triage and that of the account: stop their workers first. After a crash the
  same command does the rest; nothing is published twice.
"""
