"""The rules that every check of rules is run on: the registry's, and two that others copy."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from rules.contract import AnyRule
from rules.registry import ALL

ROOT: Final = Path(__file__).parents[2]
GUIDE: Final = ROOT / "rules" / "README.md"


def guide_blocks(language: str) -> list[str]:
    """Return the blocks of code of a language in the guide to writing rules."""
    text = GUIDE.read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _of_the_guide() -> type[AnyRule]:
    module = ModuleType("many_changes")
    sys.modules[module.__name__] = module
    exec(compile(guide_blocks("python")[0], str(GUIDE), "exec"), module.__dict__)
    rule: type[AnyRule] = module.__dict__["ManyChanges"]
    return rule


def _of_the_package() -> type[AnyRule]:
    sys.path.append(str(ROOT / "examples" / "own-rule" / "src"))
    rule: type[AnyRule] = import_module("wallet_own_rule.charged_twice").ChargedTwice
    return rule


SAMPLE: Final = _of_the_guide()
"""The rule that the guide shows."""
CHECKED: Final = (*ALL, SAMPLE, _of_the_package())
