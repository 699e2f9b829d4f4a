"""One submission in a process of its own: ``python -m clt.command.judge``, started by ``clt grade``.

The first line of standard input is the order, as JSON: the cells, the exercises that are wanted, the memory. Standard
output carries one JSON object a line, each with the key of the order: a grade for each exercise, and that it is done.
"""

import ast
import json
import os
import re
import sys
from contextlib import suppress

import psutil

from clt.command.grade import Cell, Grade


def main() -> None:
    order = json.loads(sys.stdin.readline())
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # what the submission prints stays out of the channel

    import torch

    from clt import checks

    # Held here before any submitted code runs: replacing them in the package later changes nothing.
    check, exercises = checks.check, dict(checks._EXERCISES)
    torch.set_num_threads(1)
    _limit_memory(order["memory"])

    def report(**event):
        print(json.dumps({"key": order["key"], **event}), file=channel, flush=True)

    report(started=True)
    space: dict = {"__name__": "__main__", "checks": checks}
    for cell in (Cell(**c) for c in order["cells"]):
        if not cell.exercise:
            _run_quietly(cell, space)
            continue
        exercise = exercises[cell.exercise]
        found = Grade(0, "")
        if cell.exercise in order["wanted"]:
            found = _judge(cell, exercise, check, space)
            report(exercise=cell.exercise, **vars(found))
        if not found.points:  # later exercises build on a right one: a mistake costs its own points only
            space[exercise.name] = exercise.reference
    report(done=True)


def _judge(cell: Cell, exercise, check, space: dict) -> Grade:
    space.pop(exercise.name, None)
    try:
        tree = ast.parse(_plain(cell.source))
        called = [_checked(statement) for statement in tree.body]
        tree.body = [statement for statement, name in zip(tree.body, called, strict=True) if not name]
        exec(compile(tree, "<exercise>", "exec"), space)
    except SyntaxError as error:
        return Grade(0, "crashed", f"Its cell is not Python: {error.msg} (line {error.lineno}).")
    except (Exception, SystemExit) as error:
        return Grade(0, "crashed", f"Its cell stopped with {type(error).__name__}: {str(error)[:300]}")
    function = next((name for name in reversed(called) if name in space), exercise.name)
    if function not in space:
        return Grade(0, "crashed", f"Its cell does not define {exercise.name}.")
    report = check(exercise, space[function])
    status = {True: "passed", False: "wrong", None: "not attempted"}[report.passed]
    return Grade(int(report.passed is True), status, report.diagnosis)


def _checked(statement: ast.stmt) -> str:
    """The name that a statement ``checks.NAME(name)`` checks, empty for any other statement."""
    call = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(call, ast.Call) and ast.unparse(call.func).startswith("checks."):
        return call.args[0].id if call.args and isinstance(call.args[0], ast.Name) else " "
    return ""


def _run_quietly(cell: Cell, space: dict) -> None:
    """Imports, definitions and constants of a cell, or all of it; what fails is missed only where it is used."""
    with suppress(SyntaxError):
        for statement in ast.parse(_plain(cell.source)).body:
            if cell.whole or _harmless_statement(statement):
                with suppress(Exception, SystemExit):
                    exec(compile(ast.Module([statement], []), "<cell>", "exec"), space)


def _harmless_statement(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        with suppress(ValueError):
            ast.literal_eval(statement.value)
            return True
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _plain(source: str) -> str:
    """A cell without Jupyter's own commands: ``%pip install``, ``!ls``."""
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.M)


def _limit_memory(gigabytes: float) -> None:
    """Where the system can: a greedy allocation fails at once, before it slows down everything else."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        room = psutil.Process().memory_info().vms + int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
