"""Submissions with a right answer among odd things, and without one: what ``tests/test_grade_odd.py`` grades."""

from submissions import CHEATS, HARD, IMPORTS, MASK, MASK_STUB, STUB, TRIPLET, WRONG, exercises

DEFINITION, CALL = TRIPLET.rsplit("\n\n\n", 1)
NEVER = "z = [0 for _ in iter(int, 1)]"  # a training cell that does not end
LOOK = "print(triplet_loss(z, z, z))"
SOLUTION = DEFINITION.replace("def triplet_loss", "def triplet_loss_solution")
CHOICE = "triplet_loss = checks.choose(triplet_loss, triplet_loss_solution)"
OUTSIDE = """relu, MARGIN = torch.relu, 1 / 1
square = lambda x: x.square()
try:
    import math as m
except ImportError:
    m = None"""
WITH_OUTSIDE = CALL.join(
    ["def triplet_loss(anchor, positive, negative, *, margin=MARGIN):\n    near, far = "
     "square(anchor - positive).sum(1), square(anchor - negative).sum(1)\n"
     "    return relu(near - far + margin * m.exp(0)).mean()\n\n\n", ""]
)  # fmt: skip
LEAVING = """if not os.fork():
    os.setsid()
    if not os.fork():
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "left-behind"], env={},
                         start_new_session=True)
        time.sleep(600)
    os._exit(0)"""  # a process that has left its session, lost its parents, and forgotten where it came from


def inside(code: str) -> list[tuple[str, str]]:
    """A right answer that does something else the first time it is called."""
    lines = "".join(f"    {line}\n" for line in code.split("\n"))
    start = f"import functools, os, subprocess, sys, threading, time\n\n\n@functools.cache\ndef start():\n{lines}\n"
    return cell(start, TRIPLET.replace("    near,", "    start()\n    near,"))


def cell(*lines: str) -> list[tuple[str, str]]:
    return exercises("\n".join(lines))


# What a student may do around a right answer.
RIGHT: dict[str, list[tuple[str, str]]] = {
    "tries it on a variable": [("", IMPORTS), ("", NEVER), ("exercise", f"{DEFINITION}\n{LOOK}\n{CALL}")],
    "tries it after the check": [("", IMPORTS), ("", NEVER), ("exercise", f"{TRIPLET}\n{LOOK}")],
    "displays": cell(DEFINITION, "display(torch.eye(2))", "display(missing)", CALL),
    "ends in the last value": cell(TRIPLET, "_"),
    "breaks before !=": cell("assert (1\n    != 2)", TRIPLET),
    "breaks before %": cell(DEFINITION.replace("    near,", "    rest = (7\n        % 4)\n    near,"), CALL),
    "asks with ? behind": cell("torch.relu?", TRIPLET),
    "asks with ? in front": cell(TRIPLET, "?triplet_loss"),
    "lists files": cell("files = !ls", "!pip install nothing", "%pip install nothing", TRIPLET),
    "measures the time": cell(DEFINITION, "t = %timeit -o 1", "%time triplet_loss(z)", CALL),
    "has a cell magic": cell("%%time", TRIPLET),
    "has two cell magics": cell("%%capture out", "%%time", TRIPLET),
    "awaits": cell("import asyncio", "await asyncio.sleep(0)", TRIPLET),
    "awaits what it needs": cell(
        "async def one():\n    return 1", "unit = await one()", TRIPLET.replace("return torch", "return unit * torch")
    ),
    "splits the cell": [("", IMPORTS), ("exercise", DEFINITION), ("exercise", CALL)],
    "splits the cell and loses a tag": [("", IMPORTS), ("exercise", DEFINITION), ("", CALL)],
    "defines it above": [("", IMPORTS), ("", DEFINITION), ("exercise", CALL)],
    "defines it below": [("", IMPORTS), ("exercise", CALL), ("", DEFINITION)],
    "checks a method": [
        ("", IMPORTS),
        ("", "class L:\n    @staticmethod\n" + "\n".join(f"    {line}" for line in DEFINITION.split("\n"))),
        ("exercise", "checks.triplet_loss(L.triplet_loss)"),
    ],
    "checks a module": cell(
        "class Loss(torch.nn.Module):",
        "    def forward(self, *given, margin=1.0):\n        return triplet_loss(*given, margin=margin)",
        DEFINITION,
        "checks.triplet_loss(Loss())",
    ),
    "merges two exercises": cell(STUB.replace("raise NotImplementedError", "pass"), TRIPLET, MASK),
    "prints the report": cell(DEFINITION, f"print({CALL})"),
    "keeps the report": cell(DEFINITION, f"r = {CALL}\nr"),
    "asserts the report": cell(DEFINITION, f"assert {CALL}.passed"),
    "checks in a loop": cell(DEFINITION, "for f in (triplet_loss,):\n    print(checks.triplet_loss(f))"),
    "checks in a function": cell(DEFINITION, "def go():\n    return checks.triplet_loss(triplet_loss)\n\n\ngo()"),
    "checks under another name": cell("from clt.checks import triplet_loss as c", DEFINITION, "c(triplet_loss)"),
    "imports the checks otherwise": cell("import clt.checks as c", DEFINITION, "c.triplet_loss(triplet_loss)"),
    "names it otherwise": cell(DEFINITION.replace("triplet_loss", "mine"), "checks.triplet_loss(mine)"),
    "keeps the stub": [("", IMPORTS), ("exercise", STUB), ("", DEFINITION)],
    "keeps the stub and checks below": [("", IMPORTS), ("exercise", STUB), ("", TRIPLET)],
    "uses what stands in other cells": [("", IMPORTS), ("", OUTSIDE), ("", NEVER), ("exercise", WITH_OUTSIDE)],
    "uses what stands below": [("exercise", WITH_OUTSIDE), ("", OUTSIDE), ("", IMPORTS)],
    "leaves gradients off": [*cell("off = torch.set_grad_enabled(False)"), ("", f"off\n{TRIPLET}\noff")],
    "checks without gradients": cell(DEFINITION, f"with torch.no_grad():\n    {CALL}"),
    "switches to another default": inside("torch.set_default_dtype(torch.float64)"),
    "checks what is not there as well": cell(TRIPLET, "checks.triplet_loss(other)"),
    "leaves a default": cell("torch.set_default_dtype(torch.float64)", 'torch.set_default_device("meta")', TRIPLET),
    "asks for strictness": cell("import os", 'os.environ["CLT_STRICT"] = "1"', TRIPLET),
    "annotates with what is missing": cell("from __future__ import annotations", TRIPLET.replace("r,", "r: No,", 1)),
    "decorates": cell(
        "import inspect\n\n\ndef seen(f):\n    assert 'relu' in inspect.getsource(f)\n    return f\n\n\n@seen", TRIPLET
    ),
    "ends the program": cell(DEFINITION, "import sys\nsys.exit()", CALL, "exit()", "raise KeyboardInterrupt"),
    "asks for input": cell(DEFINITION, 'input("Ready? ")', CALL),
    "draws": cell("%matplotlib inline", TRIPLET, "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"),
    "trains in the same cell": cell(TRIPLET, NEVER, "for _ in iter(int, 1):\n    triplet_loss(z, z, z)"),
    "uses the name again": [*cell(TRIPLET), ("", "triplet_loss = triplet_loss(z, z, z)")],
    "tries a variant afterwards": [*cell(TRIPLET), ("", WRONG)],
    "hides a built-in": [("", IMPORTS), ("", "sum = max = list = 0"), ("exercise", TRIPLET)],
    "has other languages": [("", "%%bash\nls"), ("", "%%html\n<b>"), ("", "print 1"), *cell(TRIPLET)],
    "has half a character": cell("note = '\ud83d'", TRIPLET),
    "closes what it prints to": inside("sys.stdout.close()\nos.closerange(0, 3)"),
    "leaves a process behind": inside(LEAVING),
    "leaves a thread behind": inside("threading.Thread(target=time.sleep, args=(600,)).start()"),
    "ends a moment after its check": [
        *inside("threading.Timer(1, os._exit, (3,)).start()"),
        ("exercise", MASK_STUB.replace("raise NotImplementedError", "import time; time.sleep(3)")),
    ],
    "moves away": inside("os.chdir(os.sep)"),
    "solves it in the new form": [*cell(TRIPLET), ("solution", f"{SOLUTION}\n\n\n{CHOICE}")],
    "solves it below the solution": [*cell(STUB), ("solution", SOLUTION), ("", CHOICE), ("", DEFINITION)],
    "builds on what it did not solve": [*cell(MASK_STUB, "_"), ("exercise", TRIPLET), ("exercise", HARD)],
    "builds on a solution": [*cell(MASK_STUB), ("solution", MASK), ("exercise", TRIPLET), ("exercise", HARD)],
    "changes what it needs": cell(
        "margins = []", "for m in (1.0, 0.0):\n    margins.append(m)", "margins.pop()",
        TRIPLET.replace("margin)", "margin * sum(margins))"),
    ),
}  # fmt: skip
TWO_POINTS = {"builds on what it did not solve", "builds on a solution"}

# What looks like an answer, and is none; and the status it gets.
FALSE: dict[str, tuple[list[tuple[str, str]], str]] = {
    "wrong": (cell(WRONG), "wrong"),
    "a stub in the new form": ([*cell(STUB), ("solution", f"{SOLUTION}\n\n\n{CHOICE}\n{CALL}")], "not attempted"),
    "a stub, the choice apart": ([*cell(STUB), ("solution", SOLUTION), ("", CHOICE), ("", CALL)], "not attempted"),
    "a stub, all tags lost": ([("", IMPORTS), ("", STUB), ("", f"{SOLUTION}\n\n\n{CHOICE}\n{CALL}")], "not attempted"),
    "a stub, the solution checked": (
        [*cell(STUB), ("", f"{SOLUTION}\n\n\nchecks.triplet_loss(triplet_loss_solution)")],
        "not attempted",
    ),
    "a stub in the old form": ([*cell(STUB), ("solution", TRIPLET)], "not attempted"),
    "wrong in the new form": ([*cell(WRONG), ("solution", f"{SOLUTION}\n\n\n{CHOICE}")], "wrong"),
    "the solution's name": ([*cell("triplet_loss = triplet_loss_solution", CALL), ("solution", SOLUTION)], "crashed"),
    "compared with the package": (cell(WRONG, "checks.triplet_loss(losses.triplet_loss)"), "wrong"),
    "python 2": (cell(TRIPLET, 'print "done"'), "crashed"),
    "too deep": (cell(TRIPLET, "(" * 10**5), "crashed"),
    "half a character in its message": (cell(STUB.replace("NotImplementedError", "ValueError('\\ud800\\0')")), "wrong"),
    "an error that cannot speak": (
        cell(
            "class E(Exception):\n    def __str__(self):\n        raise self", "raise E", "def f():\n    pass\n", CALL
        ),
        "crashed",
    ),
    "a crash of Python": (
        cell(STUB.replace("raise NotImplementedError", "import ctypes; ctypes.string_at(0)")),
        "crashed",
    ),
    "its judge killed": (
        cell(STUB.replace("raise NotImplementedError", "import os, time; os.kill(os.getppid(), 9); time.sleep(60)")),
        "crashed",
    ),
    "asleep": (cell(STUB.replace("raise NotImplementedError", "import time; time.sleep(600)")), "time limit"),
    "a report made up": (cell(CHEATS, WRONG), "wrong"),
    "-1+1": (cell(WRONG), "wrong"),
}
