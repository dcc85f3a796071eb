"""The example of docs/referee.md is one that works."""

import re
from pathlib import Path

from tests.referee.made_matches import play
from vecml.referee.outcome import EXIT_CODES
from vecml.referee.refusals import NAMES
from vecml.referee.spec import candidate_of, read_spec

PAGE = (Path(__file__).parents[2] / "docs/referee.md").read_text(encoding="utf-8")


def test_the_example_is_read_and_its_candidate_does_the_work(tmp_path: Path) -> None:
    (spec_text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    reference, candidate = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for name, text in (("spec.toml", spec_text), ("reference.py", reference), ("fast.py", candidate)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    spec = read_spec(tmp_path / "spec.toml")
    assert spec.sizes == (1_000, (20_000, 40_000))
    source = candidate_of(str(spec.candidate), tmp_path, spec)
    said = play(
        source.text,
        tmp_path,
        calls=2,
        reference_text=reference,
        reference="reference.py:running_mean",
        function="running_mean",
    )
    assert said is None


def test_the_page_tells_every_name_and_every_exit_code() -> None:
    assert set(NAMES) <= set(re.findall(r"`([a-z-]+)`", PAGE))
    for word, code in EXIT_CODES.items():
        assert f"| `{word}` | {code} |" in PAGE
