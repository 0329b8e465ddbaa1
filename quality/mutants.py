"""Every mutant of a module: ``python -m quality.mutants <file> …`` prints them as JSON.

The changes are mutmut's. Its own runner makes them in undecorated functions only. Here each one is
a whole file, so that decorated functions, classes and constants are changed too.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import libcst
from libcst.metadata import MetadataWrapper
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

# A text for people: words with a blank between them. The command of a repair is none.
_PROSE = re.compile(r"(?s)(?!.*(?:--|\baz )).*[^\W\d_][',.]? [a-z…]")


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        function: The function or class that it is in, by its qualified name; empty at the top.
        change: The lines that change, before and after.
        wording: Nothing but the wording of a text for people is changed.
        lines: The lines of the statement that it is in, or of the function whose head it is in: a
            test that runs none of them cannot tell. Empty outside of functions: every test runs
            those, when it imports the module.
        source: The whole module, changed.
    """

    function: str
    change: str
    wording: bool
    lines: list[int]
    source: str


class _Everywhere(MutationVisitor):
    """Mutmut's visitor, in decorated functions too."""

    def __init__(self) -> None:
        super().__init__(mutation_operators, IgnoredCode(set(), set(), set()))
        self._keys: set[libcst.CSTNode] = set()

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.DictElement):
            self._keys.add(node.key)
        is_function = isinstance(node, libcst.FunctionDef)
        return not is_function and super()._skip_node_and_children(node)

    def is_wording(self, mutation: Mutation) -> bool:
        """Whether a text for people is changed, which no program compares."""
        text = mutation.original_node
        is_text = isinstance(text, libcst.SimpleString) and text not in self._keys
        return is_text and _PROSE.match(text.value) is not None


def mutants(file: Path) -> Iterator[Mutant]:
    """Every change of a file that leaves it Python."""
    before = file.read_text("utf-8")
    tree = ast.parse(before)
    visitor = _Everywhere()
    module = MetadataWrapper(libcst.parse_module(before)).visit(visitor)
    for mutation in visitor.mutations:
        after = module.deep_replace(mutation.original_node, mutation.mutated_node).code
        try:
            compile(after, file.name, "exec")
        except SyntaxError:
            continue
        line, change = _change(before.splitlines(), after.splitlines())
        function, lines = _place(tree, line)
        yield Mutant(function, change, visitor.is_wording(mutation), lines, after)


def _change(old: list[str], new: list[str]) -> tuple[int, str]:
    """The number of the first line that changes, and the lines that do, before and after."""
    start = _same(old, new)
    end = _same(old[:start:-1], new[:start:-1])
    changed = (lines[start : len(lines) - end] for lines in (old, new))
    return start + 1, " → ".join(" ".join(map(str.strip, lines)) for lines in changed)


def _same(old: list[str], new: list[str]) -> int:
    """How many lines are the same from the first one on."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(old), len(new)))


def _place(tree: ast.Module, line: int) -> tuple[str, list[int]]:
    """The qualified name of what holds a line, and the lines of its statement in a function."""
    names: list[str] = []
    lines = range(0)
    in_function = False
    for node in ast.walk(tree):  # from the outside to the inside
        if not isinstance(node, ast.stmt | ast.ExceptHandler):
            continue
        last = node.end_lineno or node.lineno
        if not node.lineno <= line <= last:
            continue
        body: list[ast.stmt] = getattr(node, "body", [])
        head = max(node.lineno, body[0].lineno - 1) if body else last
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            in_function, lines = True, range(head + 1, last + 1)
        elif in_function:
            lines = range(node.lineno, head + 1)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
    return ".".join(names), list(lines)


if __name__ == "__main__":
    found = [asdict(mutant) for name in sys.argv[1:] for mutant in mutants(Path(name))]
    json.dump(found, sys.stdout)
