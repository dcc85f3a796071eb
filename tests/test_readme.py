"""The README says nothing that is not so: its commands, flags, files and links exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from vecml.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    ("README.md", "README.es.md", "CONTRIBUTING.md", *(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md")))
)
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]
CLI: Any = typer.main.get_command(app)
FLAGS = {
    name: {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    for name, command in CLI.commands.items()
}
COMMANDS = sorted(
    {
        (name, arguments)
        for page in PAGES
        if page != "docs/log.md"  # of its days
        for name, arguments in re.findall(
            rf"vecml ({'|'.join(FLAGS)})\b((?: --?[a-z-]+(?: [^-\s`][^\s`]*)?)*)", TEXTS[page]
        )
    }
)


@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=[f"{name}{rest}" for name, rest in COMMANDS])
def test_every_flag_exists(command: str, arguments: str) -> None:
    assert set(re.findall(r"--[a-z-]+", arguments)) <= FLAGS[command]


def test_the_pages_name_every_command() -> None:
    assert {name for name, _ in COMMANDS} == FLAGS.keys()


def test_the_readmes_fit_on_two_screens() -> None:
    for page in ("README.md", "README.es.md"):
        assert len(TEXTS[page].splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXTS[page]):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"(?:^ +|^[$] |^|`)make ([a-z-]+)`?", TEXTS[page], flags=re.MULTILINE):
            assert target in targets, f"{page}: make {target}"


def test_the_deployments_that_it_names_are_in_prefect_yaml() -> None:
    deployments = {
        f"{Path(entry['entrypoint'].partition(':')[0]).stem}/{entry['name']}"
        for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert deployments == {
        *("pipeline/nightly", "pipeline/cpu", "pipeline/cuda"),
        *("compare/devices", "compare/cuda", "compare/nightly", "predict/batch"),
    }
    for page in PAGES:
        for name in re.findall(r"`((?:pipeline|compare)/[a-z]+)`", TEXTS[page]):
            assert name in deployments, f"{page}: {name}"


KNOWN_KEYS = {"name", "description", "entrypoint", "work_pool", "parameters", "schedules"}


def test_prefect_yaml_has_no_key_that_prefect_would_ignore() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert set(content) == {"name", "pull", "definitions", "deployments"}
    for entry in content["deployments"]:
        assert set(entry) <= KNOWN_KEYS
        assert set(entry["work_pool"]) == {"name", "work_queue_name", "job_variables"}
        for schedule in entry["schedules"]:
            assert schedule["active"] is False
