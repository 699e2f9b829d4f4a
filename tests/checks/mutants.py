"""Small changes to a right solution, drawn from its syntax tree: operator, sign, axis, constant, dropped term."""

import ast
import copy
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator

OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult], ast.BitAnd: [ast.BitOr],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Gt: [ast.GtE, ast.Lt], ast.Lt: [ast.LtE, ast.Gt], ast.MatMult: [],
    ast.Pow: [ast.Mult], ast.And: [ast.Or], ast.In: [ast.NotIn],
}  # fmt: skip
METHODS = {
    "mean": "sum", "sum": "mean", "amax": "amin", "amin": "amax", "logsumexp": "sum", "exp": "log", "square": "abs",
    "any": "all", "log_softmax": "softmax", "diagonal": "flatten", "logsigmoid": "sigmoid", "relu": "abs",
    "argmin": "argmax", "argmax": "argmin", "softmax": "log_softmax", "log": "exp", "log2": "exp2", "backward": "sum",
}  # fmt: skip


def mutants(function: Callable) -> Iterator[tuple[str, Callable]]:
    """Every changed version of ``function``, with the change in words: what stood there → what stands there now."""
    source = textwrap.dedent(inspect.getsource(function))
    body = ast.parse(source).body[0].body
    count = sum(1 for statement in body for _ in ast.walk(statement))
    seen = {source}
    for first, second in itertools.pairwise(body):
        if isinstance(first, ast.Expr) and isinstance(second, ast.Expr):  # calls for their effect: their order matters
            lines = source.splitlines()
            i, j = first.lineno - 1, second.lineno - 1
            lines[i], lines[j] = lines[j], lines[i]
            yield f"line {first.lineno}: exchanged with the next", compiled("\n".join(lines), function)
    for place in range(count):
        tree = ast.parse(source)
        node = [n for statement in tree.body[0].body for n in ast.walk(statement)][place]
        for new in changes(node):
            changed = ast.parse(source)
            target = [n for statement in changed.body[0].body for n in ast.walk(statement)][place]
            text = ast.unparse(replaced(changed, target, new))
            if text in seen:
                continue
            seen.add(text)
            # The line tells two equal expressions apart.
            yield f"line {target.lineno}: {ast.unparse(node)} → {ast.unparse(new)}", compiled(text, function)


def compiled(source: str, function: Callable) -> Callable:
    space = dict(vars(sys.modules[function.__module__]))
    exec(compile(source, "<mutant>", "exec"), space)
    return space[function.__name__]


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``."""
    if isinstance(node, ast.BinOp):
        for operator in OPERATORS.get(type(node.op), []):
            yield changed(node, op=operator())
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for operator in OPERATORS.get(type(node.ops[0]), []):
            yield changed(node, ops=[operator()])
    elif isinstance(node, ast.BoolOp):
        for operator in OPERATORS.get(type(node.op), []):
            yield changed(node, op=operator())
        yield from node.values
    elif isinstance(node, ast.Expr):
        yield ast.Pass()
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.keyword) and node.arg == "dim":
        for axis in range(3):
            if axis != node.value.value:
                yield changed(node, value=ast.Constant(axis))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield from (ast.Constant(value) for value in {node.value + 1, node.value * 2, 0} - {node.value})
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F", "math")
        if new := METHODS.get(node.func.attr):
            yield changed(node, func=changed(node.func, attr=new))
        if not module:
            yield node.func.value  # the call dropped
        elif len(node.args) == 1:
            yield node.args[0]


def changed(node: ast.AST, **fields) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def replaced(tree: ast.AST, target: ast.AST, new: ast.AST) -> ast.AST:
    class Replace(ast.NodeTransformer):
        def visit(self, node):
            return copy.deepcopy(new) if node is target else super().generic_visit(node)

    return ast.fix_missing_locations(Replace().visit(tree))
