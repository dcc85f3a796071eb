"""Shells, locales and services as people have them: no command ends in a fault of vecml's own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vecml.cli.surroundings import HANDLER, disk_failed

ROOT = Path(__file__).parents[2]


def ended(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell says that runs `command`, in which $VECML is the command vecml."""
    given = {**os.environ, "VECML": f"{sys.executable} -P -m vecml", "PYTHONPATH": str(ROOT), "HERE": str(folder)}
    said = variables.get("PYTHONIOENCODING")
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=given | variables,
        capture_output=True,
        encoding=said,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    found = ended(f"$VECML history {closed}", tmp_path)
    assert found.returncode in (0, 2), found.stderr
    assert "vecml failed" not in found.stdout + found.stderr


def test_a_closed_stream_lends_its_number_to_nobody(tmp_path: Path) -> None:
    code = "import os; from vecml.cli.surroundings import settle; settle(); print(os.open('/dev/null', 0)); print(1)"
    found = ended(f'{sys.executable} -P -c "{code}" <&- 2>&-', tmp_path)
    assert int(found.stdout.split()[0]) > 2


def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    found = ended("$VECML --help >/dev/full", tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("error: what the command prints cannot be written: No space left on device\n")
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", ["/there/file", b"/there/file"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_fails_is_no_fault_of_vecml(number: int, name: str | bytes) -> None:
    said = disk_failed(OSError(number, os.strerror(number), name))
    assert said is not None
    assert said.message == f"/there/file: {os.strerror(number)}"
    assert said.hint == "see that /there has room and can be written"
    assert disk_failed(OSError(number, os.strerror(number))) is None
    assert disk_failed(OSError(number, os.strerror(number), 3)) is None  # an open file by its number
    assert disk_failed(FileNotFoundError(errno.ENOENT, "none", name)) is None


@pytest.mark.parametrize("command", ["--version", "run --help", "champion --nosuch"])
def test_a_reader_that_has_enough_ends_it_quietly(tmp_path: Path, command: str) -> None:
    """Like other programs' in a pipe to `head`: no word, and the exit code of SIGPIPE; an error keeps its own."""
    found = ended(f"$VECML {command} | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    if "--nosuch" in command:
        assert found.returncode == 2
        assert found.stderr.startswith("error: No such option")
    else:
        assert (found.returncode, found.stderr) == (141, "")


def test_a_reader_that_has_enough_of_a_table(tmp_path: Path) -> None:
    code = (
        "import time; from vecml.cli import app; from vecml.cli.terminal import console;"
        " app.check_current_folder = lambda: (time.sleep(0.5), console().print('a'));"
        " app.main()"
    )
    found = ended(f'{sys.executable} -P -c "{code}" | true; exit ${{PIPESTATUS[0]}}', tmp_path)
    assert (found.returncode, found.stderr) == (141, "")


def test_another_broken_pipe_is_an_error(tmp_path: Path) -> None:
    code = (
        "import os; from vecml.cli import app; app.check_current_folder = lambda: os.write(os.dup(write), b'x');"
        " read, write = os.pipe(); os.close(read); app.main()"
    )
    found = ended(f'{sys.executable} -P -c "{code}" | cat; exit ${{PIPESTATUS[0]}}', tmp_path)
    assert found.returncode == 70
    assert "Broken pipe" in found.stderr


def test_a_log_that_is_full_ends_nothing(tmp_path: Path) -> None:
    found = ended("$VECML --nosuch 2>/dev/full", tmp_path)
    assert found.returncode == 2
    code = "from vecml.cli.surroundings import settle; settle(); import sys; sys.stderr.write('x\\n'); print(1)"
    found = ended(f'{sys.executable} -P -c "{code}" 2>/dev/full', tmp_path)
    assert (found.stdout, found.returncode) == ("1\n", 0)


def test_the_handler_of_a_plain_locale_is_replaced(tmp_path: Path) -> None:
    code = "from vecml.cli.surroundings import settle; settle(); print(chr(181), chr(0x2013), chr(0xDCFF))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = ended('$PYTHON -P -c "$CODE"', tmp_path, PYTHON=sys.executable, CODE=code, **plain)
    assert (found.stdout, found.returncode) == ("u - \\udcff\n", 0), found.stderr


def test_children_are_waited_for_where_their_ends_are_ignored(tmp_path: Path) -> None:
    code = (
        "from vecml.cli.surroundings import settle; settle(); import os; child = os.fork() or os._exit(7);"
        " print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    found = ended(f"trap '' CHLD; {sys.executable} -P -c \"{code}\"", tmp_path)
    assert (found.stdout, found.returncode) == ("7\n", 0), found.stderr


def test_a_setting_of_torch_that_is_empty(tmp_path: Path) -> None:
    code = "from vecml.cli.surroundings import settle; settle(); import torch._logging"
    found = ended(f'{sys.executable} -P -c "{code}"', tmp_path, TORCH_LOGS="")
    assert found.returncode == 0, found.stderr


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    found = ended("mkdir x; cd x; rmdir ../x; $VECML doctor", tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("error: the current folder is not there any more\nhint: go to another one: cd ~\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_characters_that_the_terminal_lacks(tmp_path: Path, encoding: str) -> None:
    code = "\n".join(
        [
            "from vecml.cli.surroundings import settle; settle()",
            "from vecml.cli.terminal import show_error, show_result; from vecml.errors import VecmlError",
            "show_result('886 µs × 2 …', [('größe', '→ 5')], 'x')",
            "show_error(VecmlError('Wort – 日本'))",
        ]
    )
    found = ended('$PYTHON -P -c "$CODE"', tmp_path, PYTHON=sys.executable, CODE=code, PYTHONIOENCODING=encoding)
    assert found.returncode == 0, found.stderr
    assert "us x 2 ..." in found.stdout or encoding != "ascii"
    assert "Wort - \\u65e5\\u672c" in found.stderr or encoding != "ascii"


@pytest.mark.parametrize("width", ["²", "0", "99999999999999999999"])
def test_a_width_that_is_none(tmp_path: Path, width: str) -> None:
    plain = ended("$VECML --help; $VECML --nosuch", tmp_path)
    found = ended("$VECML --help; $VECML --nosuch", tmp_path, COLUMNS=width, LINES=width)
    assert (found.stdout, found.stderr, found.returncode) == (plain.stdout, plain.stderr, 2)


def test_every_character_of_the_handler_is_plain() -> None:
    assert "µ × … – — − ± → ≤ ≥ · ü".encode("ascii", HANDLER) == b"u x ... - - - +- -> <= >= . \\xfc"


def test_a_users_modules_of_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("mine = 5\n")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").write_text("mine = 6\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, tasks, flows, vecml\n"
        "from vecml.own_packages import own_packages\n"
        "for _ in range(2):\n"
        "    with own_packages():\n"
        "        import tasks.beforehand as ours, flows.signals\n"
        "        first = sys.modules['tasks']\n"
        "    import tasks, flows\n"
        "    assert (tasks.mine, flows.mine) == (5, 6)\n"
        "    assert 'tasks.beforehand' not in sys.modules\n"
        "assert callable(vecml.pipeline)\n"
        "print(ours.__file__)\n"
    )
    found = ended("$PYTHON script.py", tmp_path, PYTHON=sys.executable)
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{ROOT}/tasks/beforehand.py\n"
    found = ended("$VECML ui --port 0 --nosuch", tmp_path, PYTHONPATH=str(tmp_path))  # ui imports tasks
    assert "No such option: --nosuch" in found.stderr, found.stderr
