"""docs/keys.md and the code name the same keys."""

import re
from pathlib import Path

import pytest

from vecml import record

PAGE = (Path(__file__).parent.parent / "docs" / "keys.md").read_text(encoding="utf-8")


def section(title: str) -> set[str]:
    """The keys in the first column of a section's table."""
    body = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", body, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("title", "keys"), [("Params", record.PARAMS), ("Metrics", record.METRICS), ("Tags", record.TAGS)]
)
def test_the_page_lists_the_keys_of_the_code(title: str, keys: tuple[str, ...]) -> None:
    assert section(title) == set(keys)


def test_no_key_is_listed_twice() -> None:
    for keys in (record.PARAMS, record.METRICS, record.TAGS):
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), ((64, 32), "64,32"), (0.001, "0.001"), ("relu", "relu"), (True, "True")]
)
def test_param_text(value: object, text: str) -> None:
    assert record.text(value) == text
