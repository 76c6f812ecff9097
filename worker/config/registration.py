"""What a class must be to be registered as a rule: checked when it is registered, never later."""

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, get_args

import msgspec
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from rules.codes import OUTSIDE
from rules.contract import Example, Params, Rule, State
from rules.events import DISPATCH_FIELDS
from rules.facts import Facts
from rules.registry import RuleType
from schemas.base import Category
from schemas.topics import INPUTS
from worker.config.rules_section import RulesSettings
from worker.detect import silence

_ID: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SCALARS: Final = frozenset({"integer", "boolean", "string"})


def doc_of(rule: RuleType) -> str:
    """Return what is documented of a rule: its docstring if that begins with its code, else that of
    its module."""
    own = inspect.cleandoc(rule.__doc__ or "")
    if own.startswith(f"{rule.code}: "):
        return own
    return inspect.cleandoc(sys.modules[rule.__module__].__doc__ or "")


def faults_of(rule: RuleType, codes: re.Pattern[str] = OUTSIDE) -> Iterator[str]:
    """Yield what keeps a class from being registered as a rule, each as a clause with what it
    must be; `codes` are those that it may have."""
    yield from _faults_of_names(rule, codes)
    yield from _faults_of_params(rule)
    yield from _faults_of_state(rule)
    yield from _faults_of_facts(rule)
    yield from _faults_of_reads(rule)
    if rule.judge is Rule.judge:
        yield "has no `judge`, which decides from the facts that an alert quotes"
    if not all(isinstance(example, Example) for example in rule.EXAMPLES):
        yield "EXAMPLES must be a tuple of rules.contract.Example"


def _faults_of_names(rule: RuleType, codes: re.Pattern[str]) -> Iterator[str]:
    rule_id, code = getattr(rule, "id", None), getattr(rule, "code", None)
    if not isinstance(rule_id, str) or _ID.fullmatch(rule_id) is None:
        yield "id must be words of a-z and 0-9 joined by underscores, such as many_password_changes"
    elif rule_id == silence.RULE or _is_taken(rule_id):
        yield f"id {rule_id} is a name that walletwatch uses itself: it must be another"
    if not isinstance(code, str) or codes.fullmatch(code) is None:
        yield (
            "code must be two to eight capital letters and a number from 1 to 999, such as OWN1; "
            "codes of one letter are walletwatch's own"
        )
    elif not doc_of(rule).startswith(f"{code}: "):
        yield f"its docstring, or that of its module, must begin with `{code}: ` and what it finds"
    if type(rule.version) is not int or rule.version < 1:
        yield "version must be a whole number from 1"
    if getattr(rule, "category", None) not in get_args(Category):
        yield f"category must be one of {', '.join(get_args(Category))}"


def _is_taken(rule_id: str) -> bool:
    return rule_id in RulesSettings.model_fields or hasattr(RulesSettings, rule_id)


def _faults_of_params(rule: RuleType) -> Iterator[str]:
    params = getattr(rule, "Params", None)
    if not (inspect.isclass(params) and issubclass(params, Params)):
        yield "Params must be a class that extends rules.contract.Params"
        return
    try:
        schema = params.model_json_schema()
    except (PydanticUserError, PydanticSchemaGenerationError):
        yield "Params has a field of a type that no configuration file can hold"
        return
    for name, field in schema.get("properties", {}).items():
        for fault in _faults_of_parameter(field):
            yield f"parameter {name} {fault}"
    if "mode" in params.model_fields:
        yield "parameter mode must have another name: it says whether a rule is live"


def _faults_of_parameter(field: dict[str, Any]) -> Iterator[str]:
    if not field.get("description"):
        yield "must have a description: its unit, and why it is what it is"
    if "default" not in field:
        yield "must have a default"
    inner = field.get("items") or field.get("additionalProperties") or field
    if not isinstance(inner, dict) or inner.get("type") not in _SCALARS:
        yield "must be a whole number, a text, true or false, or a list or table of these"
    elif inner["type"] == "integer" and not {"minimum", "maximum"} <= inner.keys():
        yield "must have bounds on both sides: ge and le"


def _faults_of_facts(rule: RuleType) -> Iterator[str]:
    facts = getattr(rule, "Facts", None)
    if not (inspect.isclass(facts) and issubclass(facts, Facts)):
        yield "Facts must be a class that extends rules.facts.Facts"
        return
    params = getattr(getattr(rule, "Params", None), "model_fields", {})
    for name in facts.deciding().keys() - set(params):
        yield f"Facts compares a fact with the parameter {name}, which Params must have"


def _faults_of_reads(rule: RuleType) -> Iterator[str]:
    """Yield what would keep the rule from ever being called, or from being called less."""
    for kind, wanted in rule.reads.items():
        if kind not in range(len(INPUTS)):
            yield "reads must name kinds of rules.events: TRANSACTION, LOGIN, BALANCE"
            continue
        fields = INPUTS[kind].model.model_fields
        for name, values in wanted.items():
            if name not in DISPATCH_FIELDS[kind]:
                yield (
                    f"reads names the field {name} of a {INPUTS[kind].kind}, which must be "
                    f"{' or '.join(DISPATCH_FIELDS[kind])}"
                )
            elif unknown := set(values) - set(get_args(fields[name].annotation)):
                allowed = ", ".join(get_args(fields[name].annotation))
                yield f"reads names the {name} {min(unknown)}, which must be one of {allowed}"


def _faults_of_state(rule: RuleType) -> Iterator[str]:
    state = getattr(rule, "State", None)
    if not (inspect.isclass(state) and issubclass(state, State)):
        yield "State must be a class that extends rules.contract.State"
        return
    try:
        saved = msgspec.msgpack.encode(state())
        again = msgspec.msgpack.decode(saved, type=state)
    except (TypeError, ValueError) as error:
        yield f"State must be made of defaults alone and of what can be saved: {error}"
        return
    if again != state():
        yield "State must be equal to what is read after it was saved"
