"""The commits of a search in real git repositories, what is refused of them, and the words of what was found."""

import os
import shlex
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from vecml.cli.app import app
from vecml.comparison.bisect import (
    LEAST_SECONDS,
    STEP_SECONDS,
    Bisected,
    Bisection,
    Commit,
    _keep,
    _key,
    _known,
    _Measuring,
    bisect,
    found_commits,
)
from vecml.comparison.halving import Answer, Gap, Question, search
from vecml.comparison.session import Untracked
from vecml.errors import SettingError
from vecml.report.bisect import EXIT_CODES, HEADINGS, lines, rows, search_again, sentence, to_json_dict

SLOW, FAST = Gap(True, 1.2, 1.17, 1.23), Gap(False, 1.0, 0.99, 1.01)
BUSY = Gap(None, reason="while others used 1.9 of 2 CPUs")


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Main has one, two, the merge of a branch with two commits, and three; side is another branch from one."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    found = tmp_path / "tree"
    found.mkdir()
    git(found, "init", "-q", "-b", "main")

    def commit(subject: str) -> None:
        git(found, "commit", "-q", "--allow-empty", "-m", subject)
        git(found, "tag", subject)

    commit("one")
    git(found, "checkout", "-q", "-b", "side")
    commit("aside")
    git(found, "checkout", "-q", "-b", "branch", "one")
    commit("first")
    commit("second")
    git(found, "checkout", "-q", "main")
    commit("two")
    git(found, "merge", "-q", "--no-ff", "-m", "merged", "branch")
    git(found, "tag", "merged")
    commit("three")
    monkeypatch.chdir(found)
    return found


def asked(good: str, bad: str, **more: object) -> Bisection:
    return Bisection(command="./p", good=good, bad=bad, **more)  # type: ignore[arg-type]


def test_the_line_is_that_of_first_parents(tree: Path) -> None:
    _, commits = found_commits(asked("one", "main"))
    assert [one.subject for one in commits] == ["one", "two", "merged", "three"]
    assert [len(one.parents) for one in commits] == [0, 1, 2, 1]
    assert commits[0].commit == git(tree, "rev-parse", "one")


def test_a_tree_with_changes_does_not_matter(tree: Path) -> None:
    (tree / "new").write_text("")
    git(tree, "add", "new")
    assert len(found_commits(asked("one", "three"))[1]) == 4


@pytest.mark.parametrize(
    ("good", "bad", "said", "hint"),
    [
        ("nowhere", "main", "--good nowhere: there is no such commit here", "git branch --all, or git fetch first"),
        ("main", "nowhere", "--bad nowhere: there is no such commit here", "git branch --all, or git fetch first"),
        ("main", "three", "--good main and --bad three are the same commit, {three}", "name an earlier one as --good"),
        (
            "three",
            "one",
            "--good three: it is no ancestor of --bad one",
            "--good one --bad three: the good one comes first",
        ),
        (
            "side",
            "main",
            "--good side: it is no ancestor of --bad main",
            "--good {one}, the last commit that both have",
        ),
        (
            "first",
            "main",
            "--good first: it was merged into the line of first parents of --bad main, and is not on it",
            "--good {one}, the last commit on that line that it comes from",
        ),
    ],
)
def test_refused(tree: Path, good: str, bad: str, said: str, hint: str) -> None:
    short = {name: git(tree, "rev-parse", name)[:10] for name in ("one", "two", "three")}
    with pytest.raises(SettingError) as caught:
        found_commits(asked(good, bad))
    assert (caught.value.message, caught.value.hint) == (said.format(**short), hint.format(**short))


def test_no_common_history(tree: Path) -> None:
    git(tree, "checkout", "-q", "--orphan", "other")
    git(tree, "commit", "-q", "--allow-empty", "-m", "another beginning")
    with pytest.raises(SettingError, match=r"^--good other: it is no ancestor of --bad main$"):
        found_commits(asked("other", "main"))


def test_a_clone_with_the_last_commits_only(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", tree.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    with pytest.raises(SettingError) as caught:
        found_commits(asked("origin/side", "origin/main"))
    assert caught.value.hint == "git fetch --unshallow: this clone has only the last commits"


def test_the_command_that_searches_again_has_all_settings() -> None:
    """A search with other settings would find another commit."""
    given: dict[str, Any] = {
        "build": ("make all",),
        "at_least": 0.05,
        "budget": "1h",
        "name": "a name",
        "shell": "sh",
        "prepare": ("sync",),
        "stdin": Path("in put"),
        "warmup": 3,
        "ignore_failure": True,
    }
    ends = {"command", "good", "bad"}
    assert given.keys() | ends == {field.name for field in fields(Bisection)}
    words = shlex.split(search_again(Bisection(command="./p 'a b'", good="a", bad="b", **given), "c", "d"))
    assert words[:6] == ["vecml", "bisect", "--good", "c", "--bad", "d"]
    assert words[-2:] == ["--", "./p 'a b'"]
    context = get_command(app).commands["bisect"].make_context("bisect", words[2:])  # type: ignore[attr-defined]
    found = {name: value for name, value in context.params.items() if name in given}
    assert found == given | {"build": ["make all"], "at_least": "5%", "prepare": "sync"}
    assert search_again(Bisection(command="true", good="a", bad="b"), "c", "d") == (
        "vecml bisect --good c --bad d -- true"
    )


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError) as caught:
        found_commits(asked("a", "b"))
    assert caught.value.message == f"--good: {tmp_path} is in no git repository"


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("quick", "--budget quick: one launch decides nothing"),
        ("soon", "--budget soon: not a time"),
        ("1m", "--budget 1m: too short for up to 3 comparisons among 3 commits"),
    ],
)
def test_a_budget_that_cannot_be(tree: Path, budget: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        found_commits(asked("one", "main", budget=budget))
    assert caught.value.message == said
    if budget == "1m":
        minutes = str(caught.value.hint).split()[1]
        assert len(found_commits(asked("one", "main", budget=minutes))[1]) == 4


COMMITS = tuple(
    Commit(f"{place}" * 40, f"commit {place} with a subject that is longer than its cell") for place in range(9)
)


def bisected(answers: dict[tuple[int, ...], Answer], **more: object) -> Bisected:
    def ask(question: Question) -> Answer:
        default = Answer((SLOW,), launches=4) if question.middle is None else Answer((FAST, SLOW), launches=4)
        return answers.get(question.places, default)

    wanted = asked("v1", "HEAD", build=("make",), **more)
    return Bisected(wanted, COMMITS, search(8, ask))


def test_what_was_found_in_words() -> None:
    found = bisected({(0, 4, 8): Answer(skipped="--build make: exit code 2")})
    named = "8888888888 (commit 8 with a subject that is longer than its cell)"
    assert sentence(found) == f"{named} made './p' slower: it takes 1.20 times (1.17 to 1.23) as long as before it."
    table = rows(found)
    assert table[0] == ("1", "8888888888", "commit 8 with a subject…", "1.200", "1.17 to 1.23", "slower", "4")
    assert table[1] == ("2", "4444444444", "commit 4 with a subject…", "-", "-", "skipped", "-")
    assert [row[5] for row in table[2:]] == ["fast"] * (len(table) - 2)
    widths = [max(len(row[column]) for row in (HEADINGS, *table)) for column in range(len(HEADINGS))]
    assert sum(widths) + len(widths) - 1 <= 80
    assert lines(found)[0].startswith("skipped: 4444444444 (commit 4 ")
    assert lines(found)[-1] == "the probability that any step took chance for a difference is at most 5 %"
    assert EXIT_CODES[found.search.kind] == 0


def test_between_two_names_both_and_those_between() -> None:
    found = bisected({(0, 4, 8): Answer((BUSY, BUSY))}, budget="20m")
    assert sentence(found) == (
        "'./p' became slower after 0000000000 (commit 0 with a subject that is longer than its cell) and by 8888888888"
        " (commit 8 with a subject that is longer than its cell), where it takes 1.20 times (1.17 to 1.23) as long;"
        " which of these 8 commits did it was not shown."
    )
    told = lines(found)
    assert [line.partition(":")[0] for line in told[:8]] == ["one of these"] * 8
    assert told[8] == "the last step was not decided: while others used 1.9 of 2 CPUs"
    assert told[9] == (
        "to look further, on a quiet machine or with more time:"
        " vecml bisect --good 0000000000 --bad 8888888888 --build make --budget 20m -- ./p"
    )
    assert EXIT_CODES[found.search.kind] == 3


def test_nothing_to_find_and_nothing_shown() -> None:
    none = bisected({(0, 8): Answer((FAST,))}, at_least=0.05)
    assert sentence(none) == (
        "There is nothing to find: './p' is not slower by 5 % or more at HEAD (8888888888) than at v1 (0000000000):"
        " 1.00 times (0.99 to 1.01) as long."
    )
    unknown = bisected({(0, 8): Answer((BUSY,))})
    assert sentence(unknown).endswith("than at v1 (0000000000): while others used 1.9 of 2 CPUs.")
    assert [EXIT_CODES[one.search.kind] for one in (none, unknown)] == [1, 3]


def test_what_to_search_next() -> None:
    answer = Answer((SLOW, Gap(True, 1.5)))
    flags = {"at_least": 0.025, "stdin": Path("in put"), "shell": "sh"}
    (told, _) = lines(bisected({(0, 4, 8): answer}, **flags))
    assert told == (
        "there is another slowdown: vecml bisect --good 0000000000 --bad 4444444444 --build make --shell sh"
        " --stdin 'in put' --at-least 2.5% -- ./p"
    )


def test_a_merge_that_was_found_can_be_looked_into() -> None:
    merge = Commit("8" * 40, "a merge", ("7" * 40, "b" * 40))
    found = replace(bisected({}), commits=(*COMMITS[:8], merge), branch="a" * 40)
    assert "it is a merge; look into it: vecml bisect --good aaaaaaaaaa --bad bbbbbbbbbb --build make -- ./p" in lines(
        found
    )


def test_json_has_everything() -> None:
    content = to_json_dict(bisected({(0, 4, 8): Answer(skipped="no")}))
    assert (content["kind"], content["outcome"], content["bad"]["commit"]) == ("bisect", "found", "8" * 40)
    assert [len(step["commits"]) for step in content["steps"][:2]] == [2, 3]
    assert content["skipped"][0]["reason"] == "no"
    assert [one["commit"][0] for one in content["candidates"]] == ["8"]


def test_a_stopped_search_goes_on_with_the_steps_that_were_kept(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here with all of them, so that nothing is left to measure."""
    monkeypatch.setenv("VECML_CACHE", str(tree.parent / "cache"))
    wanted = asked("one", "main")
    repository, commits = found_commits(wanted)
    known = {(0, 3): Answer((SLOW,), None, 4, 30.0, "r1"), (0, 1, 3): Answer((FAST, SLOW), None, 4, 30.0, "r2")}
    known[1, 2, 3] = Answer((SLOW, Gap(None, reason="too noisy")), None, 9, 60.0, "r3")
    _keep(_key(wanted, repository, commits), known)
    assert _known(_key(replace(wanted, command="./q"), repository, commits)) == {}
    found = bisect(wanted, Untracked())
    assert (found.search.kind, found.commits[found.search.bad].subject) == ("found", "merged")
    assert [step.answer for step in found.search.steps] == list(known.values())
    assert found.branch == commits[0].commit
    assert _known(_key(wanted, repository, commits)) == {}


@pytest.mark.parametrize(
    ("budget", "spent", "later", "seconds"),
    [
        ("10m", [], 3, 600 - 3 * LEAST_SECONDS),  # all but what the later steps need at least
        ("10m", [100.0, 60.0], 2, 600 - 160 - 2 * 60.0),  # a step takes as long here as the shortest did
        ("10m", [400.0, 150.0], 0, 50.0),
        ("10m", [400.0, 190.0], 0, None),  # too little for a verdict
        ("auto", [300.0, 300.0], 2, STEP_SECONDS),
    ],
)
def test_a_step_has_the_time_that_the_others_leave(
    tree: Path, budget: str, spent: list[float], later: int, seconds: float | None
) -> None:
    wanted = asked("one", "main", budget=budget)
    repository, commits = found_commits(wanted)
    known = {(0, number): Answer((SLOW,), seconds=taken) for number, taken in enumerate(spent, start=1)}
    measuring = _Measuring(wanted, repository, commits, known, Untracked(), lambda _writer: None, False)
    assert measuring._seconds(Question(0, 3, 1, 0.01, later)) == seconds
    if seconds is None:
        (before, after) = measuring.answer(Question(0, 3, 1, 0.01, later)).gaps
        assert before == after == Gap(None, reason="the budget is used up")
