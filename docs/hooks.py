"""What is made while the site is built: the page of commands and flags, from the models that the flags come from."""

from typing import Any


def commands_markdown() -> str:
    """The commands, until they can be read off their models."""
    return "## stub"


MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """MkDocs calls this with each page's text; `commands.md` gets the commands in the place of its mark."""
    if page.file.src_uri != "commands.md":
        return markdown
    if MARK not in markdown:
        raise ValueError(f"docs/commands.md has no {MARK}")
    return markdown.replace(MARK, commands_markdown())
