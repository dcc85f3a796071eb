"""Which command is run in which surroundings: all kinds with every command, each surrounding with some of them.

All 22 commands in each of 64 surroundings would be 1,408 processes. Surroundings of different kinds go together, so
that a hundred show as much: where one ends wrongly, its parts are tried apart.
"""

import random
from collections.abc import Iterator, Mapping

from tests.system.surroundings import ALL, HEAVY, LIGHT, PLAIN, forks

COMMANDS_OF_EACH = 4  # fewest commands with which a surrounding is tried
TOGETHER = 6  # most surroundings at a time
KINDS: Mapping[str, str] = {
    "temporary": "tmpdir-missing tmpdir-read-only tmpdir-relative tmpdir-odd",
    "home": "home-unset-nobody home-missing home-read-only home-empty home-relative",
    "folder": "folder-odd folder-read-only store-elsewhere",
    "streams": "stdout-closed stderr-closed stdin-closed all-closed stdout-full stderr-full reader-gone",
    "terminal": "term-dumb term-unset term-nonsense no-color",
    "width": "columns-20 columns-0 columns-nonsense columns-huge",
    "umask": "umask-077 umask-000 umask-777",
    "limits": "few-files few-threads little-space no-core-and-small-stack",
    "signals": "hangup-ignored",
    "locale": "lang-c ascii-names lang-missing ascii-streams utf16-streams",
    "time": "tz-odd tz-nonsense",
    "network": "socks-proxy http-proxy proxy-nonsense certificates-missing",
    "modules": "modules-here modules-here-by-module modules-on-path safe-path",
    "python": "warnings-are-errors optimised dev-mode hash-seed",
    "threads": "threads-nonsense threads-0 gpu-nonsense",
    "called": "by-link by-module without-path",
    "others": "mlflow-of-another prefect-of-another matplotlib-of-jupyter ci",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}


def design(seed: int = 14) -> list[tuple[str, str]]:
    """The combinations to try: names of surroundings, with blanks between them, and a command.

    Every command meets every kind of surroundings, and each surrounding at least COMMANDS_OF_EACH commands. What can be
    forked goes together, and so does what needs a process of its own.
    """
    draw = random.Random(seed)
    commands = [*LIGHT, *HEAVY]
    left = dict.fromkeys(ALL, COMMANDS_OF_EACH)
    made: list[tuple[str, str]] = []
    met: set[tuple[str, str]] = set()  # kinds and commands
    again = 0
    while again < 2 and (len(met) < len(KINDS) * len(commands) or any(count > 0 for count in left.values())):
        before = len(made)
        for command in draw.sample(commands, len(commands)):
            for together in _sets(command, met, left, draw):
                made.append((" ".join(together), command))
                met |= {(KIND_OF[name], command) for name in together}
                for name in together:
                    left[name] -= 1
        again = again + 1 if len(made) == before else 0
    return made


def _sets(command: str, met: set[tuple[str, str]], left: dict[str, int], draw: random.Random) -> Iterator[list[str]]:
    """Sets of surroundings that still have to be tried with a command, those that fork apart from the others."""
    missing = [name for name in ALL if (KIND_OF[name], command) not in met or left[name] > 0]
    order = sorted(draw.sample(missing, len(missing)), key=lambda name: -left[name])
    kinds = {True: set[str](), False: set[str]()}
    together: dict[bool, list[str]] = {True: [], False: []}
    for name in order:
        fork, kind = forks((ALL[name],), command), KIND_OF[name]
        needed = (kind, command) not in met and kind not in kinds[True] | kinds[False]
        if not needed and (left[name] <= 0 or kind in kinds[fork]):
            continue
        if len(together[fork]) < TOGETHER and _fits(name, together[fork]):
            together[fork].append(name)
            kinds[fork].add(kind)
    yield from (names for names in together.values() if names)


def _fits(name: str, others: list[str]) -> bool:
    """Whether a surrounding can be given beside others: of another kind, and with none that takes its place."""
    one, beside = ALL[name], [ALL[other] for other in others]
    if KIND_OF[name] in {KIND_OF[other] for other in others}:
        return False
    if {"modules-here", "by-module"} <= {name, *others}:  # Python itself does not start there
        return False
    if any(other.nobody != one.nobody for other in beside):  # where nobody else can be, the others are still tried
        return False
    taken = {variable for other in beside for variable in other.variables} & one.variables.keys()
    apart = sum(bool(other.refuses) or "|" in other.call for other in (one, *beside))
    scripts = sum(other.script != PLAIN.script for other in (one, *beside))
    return not taken and apart <= 1 and scripts <= 1
