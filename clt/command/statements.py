"""A submitted notebook as the statements it is made of, and which of them a check needs.

Between two exercises stands training that takes minutes, and whatever else a student tried. None of it may cost a
point, so the grader does not run cells. It starts at the statement that calls a check, and follows the names it reads
back to the statements that bind or change them: imports, constants, helpers, the data of an experiment.
"""

import ast
import json
import re
import symtable
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

TRANSPARENT = {"time", "capture", "prun"}  # cell magics below which a cell runs as it would without them
LOOKS_ONLY = {"print", "display", "help", "type", "repr", "len"}
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# Statements that bind their names whatever happens: what bound these names before no longer counts.
PLAIN = DEFINITIONS | ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom


@dataclass(eq=False)
class Statement:
    """One statement of a cell's top level, and the names it has to do with."""

    node: ast.stmt
    file: str  # the name under which tracebacks find the source of its cell
    cell: int
    tags: set[str]
    binds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    reads_later: set[str] = field(default_factory=set)  # inside functions: when they are called
    changes: set[str] = field(default_factory=set)  # the objects of these names may be others afterwards
    checks: set[str] = field(default_factory=set)
    answers: set[str] = field(default_factory=set)  # names that are handed to a check as they are
    chooses: bool = False

    @property
    def solution(self) -> bool:
        """Whether it belongs to the lesson's solution, which nothing but ``checks.choose`` may lead to."""
        if self.chooses or isinstance(self.node, ast.Import | ast.ImportFrom):
            return False
        named = any(name.endswith("_solution") for name in self.binds)
        return "solution" in self.tags or (named and "exercise" not in self.tags)


@dataclass
class Program:
    """What there is to run, in the order of the notebook.

    ``exercises`` maps the name of each exercise to the statements of its cells; ``broken`` those with a cell that
    cannot be read as Python to the reason.
    """

    statements: list[Statement]
    exercises: dict[str, list[int]]
    broken: dict[str, str]

    def calls(self, exercise: str) -> list[int]:
        """The statements that call the check of an exercise."""
        return [i for i, s in enumerate(self.statements) if exercise in s.checks]

    def bindings(self, name: str) -> list[int]:
        """The statements of the student that bind a name."""
        return [i for i, s in enumerate(self.statements) if name in s.binds and not s.solution and not s.chooses]

    def needed(self, roots: list[int]) -> list[int]:
        """The roots and all that they depend on, in the order of the notebook."""
        seen, waiting = set(), [(root, root) for root in roots]
        while waiting:
            i, called = waiting.pop()  # a statement, and the one at which the functions that it defines are called
            if (i, called) in seen:
                continue
            seen.add((i, called))
            for names, at in ((self.statements[i].reads, i), (self.statements[i].reads_later, called)):
                waiting += [(j, max(at, j)) for name in names for j in self._writers(name, i, at)]
        found = {i for i, _ in seen}
        return [i for i, s in enumerate(self.statements) if i in found or (_nameless(s.node) and i < max(found))]

    def _writers(self, name: str, reader: int, at: int) -> list[int]:
        """What gives a name the value that ``reader`` finds at the statement ``at``: back to the last sure binding."""
        open_to_all = self.statements[reader].chooses or self.statements[reader].solution
        for order in (range(at - 1, -1, -1), range(at, len(self.statements))):  # above; if it is not bound there, below
            found, bound = [], False
            for i in order:
                statement = self.statements[i]
                if i == reader or (statement.solution and not open_to_all):
                    continue
                if name in statement.binds | statement.changes:
                    found.append(i)
                    bound = bound or name in statement.binds
                    if name in statement.binds and isinstance(statement.node, PLAIN):
                        break
            if bound:
                return found
        return []


def _nameless(node: ast.stmt) -> bool:
    """An import whose effect has no name: ``from x import *``, ``from __future__ import …``."""
    return isinstance(node, ast.ImportFrom) and (node.module == "__future__" or node.names[0].name == "*")


def read_cells(path: Path) -> list[tuple[set[str], str]]:
    """Tags and source of each code cell. Raises one of many errors if the file is no notebook."""
    cells = [cell for cell in json.loads(path.read_bytes())["cells"] if cell["cell_type"] == "code"]
    return [(_tags(cell), _text(cell["source"])) for cell in cells]


def _tags(cell: dict) -> set[str]:
    tags = (cell.get("metadata") or {}).get("tags") or []
    return {tag for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else {str(tags)}


def _text(source: str | list[str]) -> str:
    """A source without halves of characters, and without the magics under which it runs as it stands."""
    text = "".join(source).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    while (found := re.match(r"\s*%%(\w+).*\n?", text)) and found[1] in TRANSPARENT:
        text = text[found.end() :]
    return text


def read_program(
    cells: list[tuple[set[str], str]], names: set[str], parse: Callable[[str, int], tuple[ast.Module, str]]
) -> Program:
    """The program of a notebook. ``names`` are the exercises there are; ``parse`` gives a cell's tree and its name."""
    statements, broken, appeared = [], {}, {}
    for number, (tags, source) in enumerate(cells):
        try:
            tree, file = parse(source, number)
            statements += [Statement(node, file, number, tags) for node in tree.body]
        except Exception as error:  # whatever the text of a student makes a parser raise
            line = getattr(error, "lineno", None)
            problem = f"Its cell is not Python: {getattr(error, 'msg', None) or error}" + f" (line {line})." * bool(
                line
            )
            for name in _mentioned(source, tags) if "solution" not in tags else ():
                if name in names:
                    broken[name] = problem
                    appeared.setdefault(name, number)
    aliases, direct = _names_of_checks(statements)
    for statement in statements:
        _look(statement, names, aliases, direct)
    statements = _without_solutions(statements)
    _forget_modules_and_functions(statements)
    statements = _without_given_answers(statements)
    for name in names:
        cells_of = {s.cell for s in statements if name in s.checks} | _tagged(statements, name, names)
        if cells_of:
            appeared[name] = min(cells_of | {appeared.get(name, len(cells))})
    exercises = {}
    for name in sorted(appeared, key=lambda name: (appeared[name], name)):
        own = {s.cell for s in statements if name in s.checks or (name in s.binds and not s.solution and not s.chooses)}
        exercises[name] = [i for i, s in enumerate(statements) if s.cell in own]
    return Program(statements, exercises, broken)


def _mentioned(source: str, tags: set[str]) -> list[str]:
    """The exercises of a cell that cannot be parsed."""
    called = re.findall(r"\bchecks\.(\w+)\(", source)
    return called or (re.findall(r"^def (\w+)", source, re.M)[-1:] if "exercise" in tags else [])


def _tagged(statements: list[Statement], name: str, names: set[str]) -> set[int]:
    """The cells tagged ``exercise`` that call no check and bind this name last of all exercises' names."""
    found = set()
    for cell in {s.cell for s in statements if "exercise" in s.tags and name in s.binds}:
        own = [s for s in statements if s.cell == cell]
        bound = [n for s in own for n in sorted(s.binds & names)]
        if not any(s.checks for s in own) and bound[-1] == name:
            found.add(cell)
    return found


def _names_of_checks(statements: list[Statement]) -> tuple[set[str], dict[str, str]]:
    """The names under which the module ``clt.checks`` is known, and those of checks imported from it."""
    aliases, direct = {"checks", "clt.checks"}, {}
    for node in (n for s in statements for n in ast.walk(s.node)):
        if isinstance(node, ast.Import):
            aliases |= {a.asname for a in node.names if a.name == "clt.checks" and a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "clt":
            aliases |= {a.asname for a in node.names if a.name == "checks" and a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "clt.checks":
            direct |= {a.asname or a.name: a.name for a in node.names}
    return aliases, direct


def _look(statement: Statement, names: set[str], aliases: set[str], direct: dict[str, str]) -> None:
    """Fill in the names that a statement has to do with."""
    for node in ast.walk(statement.node):
        if isinstance(node, ast.Call):
            called = direct.get(node.func.id, "") if isinstance(node.func, ast.Name) else ""
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in aliases:
                called = node.func.attr
            if called in names:
                statement.checks.add(called)
                statement.answers |= {a.id for a in node.args if isinstance(a, ast.Name)}
            if called == "choose":
                statement.chooses = True
                if len(node.args) > 1:  # the choice here is the solution's: what the student has is not waited for
                    node.args[0] = ast.copy_location(ast.Constant(None), node.args[0])
    _collect(symtable.symtable(ast.unparse(statement.node), "<cell>", "exec"), statement, later=False)
    if isinstance(statement.node, ast.Delete) or (
        isinstance(statement.node, ast.AnnAssign) and not statement.node.value
    ):
        statement.binds.clear()
    if not statement.checks:
        _find_changes(statement.node, statement.changes)


def _collect(table: symtable.SymbolTable, statement: Statement, *, later: bool) -> None:
    for symbol in table.get_symbols():
        if table.get_type() == "module" or symbol.is_global():
            if symbol.is_assigned() or symbol.is_imported():
                statement.binds.add(symbol.get_name())
            if symbol.is_referenced():
                (statement.reads_later if later else statement.reads).add(symbol.get_name())
    for child in table.get_children():
        at_once = child.get_type() != "function" or child.get_name().endswith(("comp", "genexpr"))
        _collect(child, statement, later=later or not at_once)


def _find_changes(node: ast.AST, found: set[str]) -> None:
    """Names whose objects a statement changes: ``x[0] = 1``, ``x.append(1)``, ``shuffle(x)``; not inside functions."""
    if isinstance(node, DEFINITIONS | ast.Lambda):
        return
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        found.add(_root(node))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if (root := _root(call.func)) not in LOOKS_ONLY:
            seeds = "seed" in getattr(call.func, "attr", "")  # torch.manual_seed changes what torch gives
            found |= {f"{root}:seed"} if seeds else {root}
            found |= {a.id for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Name)}
    for child in ast.iter_child_nodes(node):
        _find_changes(child, found)


def _root(node: ast.AST) -> str:
    """The name that an expression starts with: ``x`` of ``x.a[0].b()``."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")


def _without_solutions(statements: list[Statement]) -> list[Statement]:
    """Take out what a solution would put in place of the student's: its bindings, its checks, a choice without it."""
    ours = {name for s in statements if "solution" not in s.tags and not s.chooses for name in s.binds}
    solved = {name for s in statements if s.solution for name in s.binds}
    kept = []
    for s in statements:
        wanted = {name for name in s.reads if name.endswith("_solution")}
        if s.chooses and not wanted <= solved:
            continue
        if s.solution and "solution" in s.tags and (s.checks or s.binds & ours - _own_solutions(s)):
            continue
        kept.append(s)
    return kept


def _without_given_answers(statements: list[Statement]) -> list[Statement]:
    """Take out checks of what a choice gave: it may be the solution."""
    program = Program(statements, {}, {})
    kept = []
    for i, s in enumerate(statements):
        sources = [j for name in s.answers for j in program._writers(name, i, i)]
        if not any(statements[j].chooses for j in sources):
            kept.append(s)
    return kept


def _own_solutions(statement: Statement) -> set[str]:
    return {name for name in statement.binds if name.endswith("_solution")}


def _forget_modules_and_functions(statements: list[Statement]) -> None:
    """A call changes neither the module it is found in nor a function that it is given; seeds change a module."""
    fixed = set()
    for s in statements:
        if isinstance(s.node, DEFINITIONS | ast.Import | ast.ImportFrom):
            fixed |= s.binds
    for s in statements:
        seeds = {name.removesuffix(":seed") for name in s.changes if name.endswith(":seed")}
        s.changes = seeds | {name for name in s.changes - fixed if not name.endswith(":seed")}
