"""Statements that gather in a dictionary by key: counts, sums, extremes, the last of each."""

import ast
from typing import TYPE_CHECKING

from vecml.optimize.turns import Group

if TYPE_CHECKING:
    from vecml.optimize.branches import Branch
    from vecml.optimize.reading import Reader

ZERO = ast.Constant(0)


def group_of(statement: ast.stmt, reader: "Reader", branch: "Branch") -> list[Group] | None:
    """Return what a statement gathers in dictionaries that are empty before the loop; None where it does not.

    An empty list is a statement that only gives new keys what they begin with.
    """
    match statement:
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value) if (
            name in reader.dicts
        ):
            return [_assigned(name, key, value, reader, branch)]
        case ast.AugAssign(target=ast.Subscript(value=ast.Name(id=name), slice=key), op=ast.Add(), value=value) if (
            name in reader.dicts
        ):
            first = reader.dicts[name] or reader.firsts.get((name, ast.unparse(key)))
            return None if first is None else [_group(name, key, value, "add", first, reader, branch)]
        case ast.If(test=test):
            return _chosen(statement, test, reader, branch)
    return None


def _assigned(name: str, key: ast.expr, value: ast.expr, reader: "Reader", branch: "Branch") -> Group:
    text = ast.unparse(key)
    match value:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            if (first := _first(left, name, text, reader)) is not None:
                return _group(name, key, right, "add", first, reader, branch)
            if (first := _first(right, name, text, reader)) is not None:
                return _group(name, key, left, "add", first, reader, branch)
    return _group(name, key, value, "last", ZERO, reader, branch)


def _first(node: ast.expr, name: str, key: str, reader: "Reader") -> ast.expr | None:
    """Return what a key begins with, if the node is what the dictionary has for the key: `d.get(k, 0)`, `d[k]`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=one), attr="get"), args=[asked, first]) if one == name:
            return first if ast.unparse(asked) == key else None
        case ast.Subscript(value=ast.Name(id=one), slice=asked) if one == name and ast.unparse(asked) == key:
            return reader.dicts[name] or reader.firsts.get((name, key))
    return None


def _chosen(statement: ast.If, test: ast.expr, reader: "Reader", branch: "Branch") -> list[Group] | None:
    match test:
        case ast.Compare(left=key, ops=[ast.In() | ast.NotIn() as op], comparators=[ast.Name(id=name)]) if (
            name in reader.dicts
        ):
            known, new = statement.body, statement.orelse
            if isinstance(op, ast.NotIn):
                known, new = new, known
            firsts = _firsts(new, ast.unparse(key), reader)
            if firsts is None:
                return None
            if not known:
                reader.firsts |= {(one, ast.unparse(key)): value for one, value in firsts.items()}
                return []
            return _both(known, firsts, key, reader, branch)
        case ast.BoolOp(
            op=ast.Or(),
            values=[
                ast.Compare(left=key, ops=[ast.NotIn()], comparators=[ast.Name(id=name)]),
                ast.Compare(left=value, ops=[ast.Gt() | ast.Lt() as op], comparators=[ast.Subscript() as held]),
            ],
        ) if name in reader.dicts and ast.unparse(held) == f"{name}[{ast.unparse(key)}]":
            same = [f"{name}[{ast.unparse(key)}] = {ast.unparse(value)}"]
            if statement.orelse or [ast.unparse(one) for one in statement.body] != same:
                return None
            how = "maximum" if isinstance(op, ast.Gt) else "minimum"
            return [_group(name, key, value, how, ZERO, reader, branch)]
    return None


def _firsts(body: list[ast.stmt], key: str, reader: "Reader") -> dict[str, ast.expr] | None:
    """Return the values that the statements give the key in each dictionary; None where they do anything else."""
    found: dict[str, ast.expr] = {}
    for one in body:
        match one:
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=place)], value=value) if (
                name in reader.dicts and ast.unparse(place) == key
            ):
                found[name] = value
            case _:
                return None
    return found


def _both(
    known: list[ast.stmt], firsts: dict[str, ast.expr], key: ast.expr, reader: "Reader", branch: "Branch"
) -> list[Group] | None:
    """Read `if k in d: d[k] += v` with `else: d[k] = v`, in which a key begins with its first value."""
    found = []
    for one in known:
        match one:
            case ast.AugAssign(target=ast.Subscript(value=ast.Name(id=name)), op=ast.Add(), value=value) if (
                name in firsts and ast.unparse(one.target) == f"{name}[{ast.unparse(key)}]"
            ):
                if ast.unparse(firsts[name]) != ast.unparse(value):
                    return None
                found.append(_group(name, key, value, "add", ZERO, reader, branch))
            case _:
                return None
    return found if len(found) == len(firsts) else None


def _group(
    name: str, key: ast.expr, value: ast.expr, how: str, first: ast.expr, reader: "Reader", branch: "Branch"
) -> Group:
    at = reader.count()
    return Group(name, reader.resolve(key, branch), reader.resolve(value, branch), how, first, branch.guard, at)
