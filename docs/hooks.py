"""What is made while the site is built: the pages of commands and of TOML keys, from the models that both come from."""

import re
from typing import Any

from vecml.cli.reference import commands_markdown, keys_markdown

MARK = "<!-- generated -->"
GENERATED = {"commands.md": commands_markdown, "configuration.md": keys_markdown}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """MkDocs calls this with each page's text; a generated page gets its tables in the place of its mark."""
    make = GENERATED.get(page.file.src_uri)
    if make is None:
        return markdown
    if MARK not in markdown:
        raise ValueError(f"docs/{page.file.src_uri} has no {MARK}")
    _title, _, rest = make().partition("\n")  # the page has a title of its own
    # GitHub wants a bar within a table's code escaped; MkDocs shows the escape.
    rest = re.sub(r"`[^`\n]*`", lambda code: code[0].replace(r"\|", "|"), rest)
    return markdown.replace(MARK, rest)
