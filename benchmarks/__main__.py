"""`python -m benchmarks [PART ...] [--rounds N]`: figures beside their floors.

Nothing else should run meanwhile. It ends with 1 when a floor is missed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator

# A development machine may have them set; they choose NumPy's kernels, and must go before NumPy is imported.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

from benchmarks.rounds import Figure  # noqa: E402 -- after the environment

PARTS = ("train", "infer", "run", "help", "read", "memory", "predict", "recorded", "shapes", "choose")
LONG_PARTS = ("bisect",)  # hours: only where they are named
HELP = f"{', '.join(PARTS)}; all of them when none is named; beside them {', '.join(LONG_PARTS)}"


def main() -> int:
    """Run the parts that were named, all of them when none was; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=HELP)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each part (default 5)")
    asked = parser.parse_args()
    unknown = set(asked.parts) - {*PARTS, *LONG_PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; choose from {', '.join((*PARTS, *LONG_PARTS))}")
    missed = 0
    for part in asked.parts or PARTS:
        for figure in _part(part)(max(1, asked.rounds)):
            print(figure, flush=True)
            missed += not figure.reached
    return 1 if missed else 0


def _part(name: str) -> Callable[[int], Iterator[Figure]]:
    """The part's function; imported only when it is wanted."""
    match name:
        case "train":
            from benchmarks.training import training

            return training
        case "infer":
            from benchmarks.computing import inference

            return inference
        case "run":
            from benchmarks.commands import whole_run

            return whole_run
        case "help":
            from benchmarks.commands import help_page

            return help_page
        case "memory":
            from benchmarks.footprint import footprint

            return footprint
        case "predict":
            from benchmarks.predicting import predicting

            return predicting
        case "recorded":
            from benchmarks.recorded import thousand_runs

            return thousand_runs
        case "bisect":
            from benchmarks.bisecting import bisecting

            return bisecting
        case "choose":
            from benchmarks.choosing import choosing

            return choosing
        case "shapes":
            from benchmarks.shapes import shapes

            return shapes
        case _:
            from benchmarks.reading import reading

            return reading


if __name__ == "__main__":
    sys.exit(main())
