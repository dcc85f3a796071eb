"""Which tests one worker of a test run gets together: those of a file whose servers or builds are slow to start.

pytest-xdist's own `--dist loadgroup` goes by the mark `xdist_group`, which has no effect under pytest 9.2 (pytest-xdist
issue 1386): the tests of a group went to both workers, and each started the servers anew.
"""

from pathlib import Path

from xdist.scheduler.loadscope import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
MARK = "pytest.mark.xdist_group("


class ByFile(LoadScopeScheduling):
    """Keeps the tests of a file that has the mark `xdist_group` on one worker, and deals out the others singly."""

    def _split_scope(self, nodeid: str) -> str:
        """The unit of work that a test belongs to: its file, or itself."""
        file = nodeid.partition("::")[0]
        return file if is_together(ROOT / file) else nodeid


def is_together(file: Path) -> bool:
    """Whether the tests of a file share what is slow to start."""
    return MARK in file.read_text(encoding="utf-8")
