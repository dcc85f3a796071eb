"""The README says nothing that is not so: its commands, flags, files and links exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from vecml.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/comparison.md",
    "docs/keys.md",
    "docs/warnings.md",
    "docs/log.md",
    "docs/devices.md",
    "docs/history.md",
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = [str(command.name) for command in app.registered_commands]
COMMANDS = sorted(set(re.findall(rf"vecml ({'|'.join(NAMES)})\b((?: --?[a-z-]+(?: [^-\s`][^\s`]*)?)*)", README)))


def help_of(command: str) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.argv = ['vecml', '{command}', '--help']\nfrom vecml.cli.app import main; main()",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=[f"{name}{rest}" for name, rest in COMMANDS])
def test_every_flag_exists(command: str, arguments: str) -> None:
    shown = help_of(command)
    for flag in re.findall(r"--[a-z-]+", arguments):
        assert flag in shown


def test_it_names_commands_at_all() -> None:
    assert {name for name, _ in COMMANDS} == set(NAMES)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"^ +make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE):
            assert target in targets


def test_the_deployments_that_it_names_are_in_prefect_yaml() -> None:
    deployments = {
        f"{Path(entry['entrypoint'].partition(':')[0]).stem}/{entry['name']}"
        for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert deployments == {
        *("pipeline/nightly", "pipeline/cpu", "pipeline/cuda"),
        *("compare/devices", "compare/cuda", "compare/nightly"),
    }
    for name in re.findall(r"(?:pipeline|compare)/[a-z]+\b(?!\.py)", README):
        assert name in deployments


KNOWN_KEYS = {"name", "description", "entrypoint", "work_pool", "parameters", "schedules"}


def test_prefect_yaml_has_no_key_that_prefect_would_ignore() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert set(content) == {"name", "pull", "definitions", "deployments"}
    for entry in content["deployments"]:
        assert set(entry) <= KNOWN_KEYS
        assert set(entry["work_pool"]) == {"name", "work_queue_name", "job_variables"}
        for schedule in entry["schedules"]:
            assert schedule["active"] is False
