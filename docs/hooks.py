"""What the site makes while it is built: the page of commands and flags, from the models that the flags are made from."""

from typing import Any


def commands_markdown() -> str:
    return "## stub"


MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """MkDocs calls this with each page's text; `commands.md` gets the commands in the place of its mark."""
    if page.file.src_uri != "commands.md":
        return markdown
    if MARK not in markdown:
        raise ValueError(f"docs/commands.md has no {MARK}")
    return markdown.replace(MARK, commands_markdown())
