"""The candidate `numba parallel`: loops whose turns are independent, and array expressions, on all CPUs."""

import ast

from vecml.device import usable_cpus
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import NUMBA
from vecml.optimize.edit import Edits
from vecml.optimize.independent import independent_loops


class NumbaParallel:
    """Numba with `parallel=True`, and `prange` where no turn of a loop can see another's."""

    name = "numba parallel"

    def make(self, subject: Subject, right: Candidate, rtol: float) -> Candidate | str:
        """Make it of a right candidate of Numba's, where something in it can run in parallel."""
        if usable_cpus() < 2:
            return "there is one CPU"
        source = right.source
        tree, edits = ast.parse(source), Edits(source)
        functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
        name = subject.target.name
        compiled = [one for one in functions.values() if one.name in (name, f"{name}_compiled", f"{name}_loop")]
        compiled = [one for one in compiled if any("numba.njit" in ast.unparse(part) for part in one.decorator_list)]
        loops = [loop for one in compiled for loop in independent_loops(one, functions)]
        if not loops:
            return "no loop of it is certain to have turns that are independent of each other"
        if rtol == 0 and any(isinstance(part, ast.AugAssign) for loop in loops for part in ast.walk(loop)):
            return "--rtol 0 asks for every bit, and it adds in another order"
        for loop in loops:
            if isinstance(loop.iter, ast.Call):
                edits.replace(loop.iter.func, lambda: "numba.prange")
        for one in compiled:
            for part in one.decorator_list:
                edits.replace(part, lambda: f"{NUMBA[1:-1]}, parallel=True)")
        lines = ", ".join(ast.unparse(loop).partition("\n")[0].rstrip(":") for loop in loops)
        said = f"the turns of {lines} run on {usable_cpus()} CPUs"
        return subject.candidate(self.name, "numba", edits.whole(), said, "numba_parallel")
