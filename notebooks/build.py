"""Make both notebooks from story.py: `python notebooks/build.py`, and with `--run` execute them from top to bottom.

With the environment variable VECML_NOTEBOOK=quick the notebooks measure in quick mode.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STORY = HERE / "story.py"
NOTEBOOKS = {"es": "vectorizacion.ipynb", "en": "vectorization.ipynb"}
MARKER = re.compile(r"^# %%(?: \[markdown\] (?P<language>\w+))?$", re.MULTILINE)
LANGUAGE_LINE = 'LANGUAGE = "en"'


def notebook(language: str, story: str) -> dict[str, Any]:
    """The notebook in a language, without outputs.

    Args:
        language: a key of `NOTEBOOKS`.
        story: text in percent format; what stands before its first cell is left out.
    """
    cells = []
    parts = list(MARKER.finditer(story))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        text = story[part.end() : following.start() if following else len(story)].strip("\n")
        if part["language"] is None:
            source = text.replace(LANGUAGE_LINE, f'LANGUAGE = "{language}"')
            source = re.sub(r"\A# (?=%%)", "", source)  # a magic stands as a comment, so that story.py is Python
            code = {"cell_type": "code", "execution_count": None, "outputs": []}
        elif part["language"] == language:
            source, code = re.sub(r"^# ?", "", text, flags=re.MULTILINE), {"cell_type": "markdown"}
        else:
            continue
        cells.append(
            {**code, "id": f"cell-{len(cells):02}", "metadata": {}, "source": source.splitlines(keepends=True)}
        )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def executed(made: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of a run from top to bottom; raises nbclient's error when a cell fails."""
    import nbformat  # noqa: PLC0415 -- only when something is executed
    from nbclient import NotebookClient  # noqa: PLC0415

    node = nbformat.from_dict({**made, "cells": [{**one, "source": "".join(one["source"])} for one in made["cells"]]})
    NotebookClient(node, timeout=None, kernel_name="python3", record_timing=False).execute()
    result: dict[str, Any] = json.loads(nbformat.writes(node))
    return result


def main() -> None:
    """Write both notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="execute them, and keep the outputs")
    parser.add_argument("--into", type=Path, default=HERE, metavar="FOLDER", help="where they go; default: here")
    chosen = parser.parse_args()
    for language, name in NOTEBOOKS.items():
        made = notebook(language, STORY.read_text(encoding="utf-8"))
        if chosen.run:
            made = executed(made)
        text = json.dumps(made, ensure_ascii=False, indent=1)
        (chosen.into / name).write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
