"""The section `[rules]`: the modules of further rules, and a table for each rule there is.

Which tables there are depends on the rules: `rules_section` makes the model for a list of them.
"""

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, create_model

from rules.contract import Params
from rules.registry import RuleType
from worker.config.section import Section

Mode = Literal["live", "shadow", "off"]


def _modules(names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError("must be names of Python modules, such as my_rules.twice")
    return names


class RulesSettings(Section):
    """Where further rules are; the model that `rules_section` makes has a table per rule too."""

    known: ClassVar[tuple[RuleType, ...]] = ()
    """The rules that have a table."""

    modules: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_modules)] = Field(
        (),
        description="Python modules whose rules run beside those of walletwatch and of installed "
        "packages.",
    )

    def of(self, rule_id: str) -> Params:
        """Return the table of a known rule: its parameters and `mode`."""
        table: Params = getattr(self, rule_id)
        return table

    def mode_of(self, rule_id: str) -> Mode:
        """Return whether a known rule is live, in shadow, or off."""
        mode: Mode = getattr(self.of(rule_id), "mode")  # noqa: B009 - tables are made at run time
        return mode


@cache
def rules_section(known: tuple[RuleType, ...]) -> type[RulesSettings]:
    """Return the model of the section with a table for each of these rules."""
    tables: dict[str, Any] = {rule.id: _table_of(rule) for rule in known}
    section = create_model("RulesSettings", __base__=RulesSettings, **tables)
    section.known = known
    return section


def _table_of(rule: RuleType) -> Any:
    what = "live publishes alerts; shadow publishes them for comparison only; off does not run."
    mode: Any = (Mode, Field("live", description=what))
    table = create_model(f"{rule.__name__}Settings", __base__=rule.Params, mode=mode)
    return (table, Field(default_factory=table))
