"""Mutants of the modules of `rules/`: each the module with one condition or threshold changed.

A mutant is one of: `<` for `<=` and so on, `==` for `!=`, `in` for `not in`, `and` for `or`, `not`
dropped, a bare condition negated, `+` for `-`, `*` for `//`, `min` for `max`, an integer raised by
one. Texts for people are not changed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

RULES: Final = Path(__file__).parents[1] / "rules"
WORDS: Final = frozenset({"because", "otherwise", "_title", "money", "_summary"})
"""Functions that write texts for people: other tests check them."""

_SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_EXTREMES: Final = {"min": "max", "max": "min"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one module; `number` counts the places that can be changed."""

    module: str
    number: int
    line: int
    was: str
    now: str


class _Mutator(ast.NodeTransformer):
    """Visits the places that can be changed, and changes one of them."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        self.places: list[tuple[int, str, str]] = []

    def _at(self, node: ast.expr, changed: ast.expr) -> ast.expr:
        number = len(self.places)
        self.places.append((node.lineno, ast.unparse(node), ast.unparse(changed)))
        return ast.copy_location(changed, node) if number == self.wanted else node

    def _bare(self, test: ast.expr) -> ast.expr:
        """Negate a condition that has no operator of its own."""
        if isinstance(test, ast.BoolOp):
            test.values = [self._bare(value) for value in test.values]
        elif not isinstance(test, ast.Compare | ast.UnaryOp | ast.NamedExpr | ast.Constant):
            return self._at(test, ast.UnaryOp(ast.Not(), test))
        return test

    def visit_If(self, node: ast.If | ast.While | ast.IfExp) -> Any:
        node.test = self._bare(node.test)
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> Any:
        return self.visit_If(node)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        return self.visit_If(node)

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        node.ifs = [self._bare(test) for test in node.ifs]
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        for index, op in enumerate(node.ops):
            swapped: Any = _SWAPPED[type(op)]()
            ops = [*node.ops[:index], swapped, *node.ops[index + 1 :]]
            found = self._at(node, ast.Compare(node.left, ops, node.comparators))
            if found is not node:
                return found
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        self.generic_visit(node)
        swapped: Any = _SWAPPED[type(node.op)]()
        return self._at(node, ast.BoolOp(swapped, node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        return self._at(node, node.operand) if isinstance(node.op, ast.Not) else node

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.left, ast.JoinedStr) or isinstance(node.right, ast.JoinedStr):
            return node
        self.generic_visit(node)
        if type(node.op) not in _SWAPPED:
            return node
        swapped: Any = _SWAPPED[type(node.op)]()
        return self._at(node, ast.BinOp(node.left, swapped, node.right))

    def visit_Constant(self, node: ast.Constant) -> Any:
        return self._at(node, ast.Constant(node.value + 1)) if type(node.value) is int else node

    def visit_Call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "Field":
            node.args = [self.visit(arg) for arg in node.args]  # the default, not the bounds
            return node
        self.generic_visit(node)
        if name not in _EXTREMES:
            return node
        return self._at(node, ast.Call(ast.Name(_EXTREMES[name]), node.args, node.keywords))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.name not in WORDS:
            node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return node


def path_of(module: str) -> Path:
    """Return the file of a module by its name below `rules`, such as failed_payment.facts."""
    return RULES.joinpath(*module.split(".")).with_suffix(".py")


def mutants_of(module: str) -> Iterator[Mutant]:
    """Yield every mutant of a module of `rules/`."""
    mutator = _Mutator(None)
    mutator.visit(ast.parse(path_of(module).read_text(encoding="utf-8")))
    for number, (line, was, now) in enumerate(mutator.places):
        yield Mutant(module, number, line, was, now)


class Mutated(MetaPathFinder, Loader):
    """Loads one module changed."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._path = path_of(mutant.module)
        self.loaded = False

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Claim the module."""
        if name == f"rules.{self._mutant.module}":
            return ModuleSpec(name, self, origin=str(self._path))
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        tree = ast.parse(self._path.read_text(encoding="utf-8"))
        changed = ast.fix_missing_locations(_Mutator(self._mutant.number).visit(tree))
        exec(compile(changed, str(self._path), "exec"), module.__dict__)
        self.loaded = True
