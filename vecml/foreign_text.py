"""Text that is not ours, made harmless before a person sees it: names of columns, classes, runs, files.

A name may hold escape sequences that a terminal obeys, line breaks that forge a line of ours, and marks that turn the
writing direction. Everything that is shown goes through here: terminal, pictures, HTML, Markdown.
"""

JOINERS = "\u200c\u200d"  # of Arabic and Indic scripts, and of emoji made of several
PLACEHOLDER = "\N{WHITE SQUARE}"  # where a character cannot be shown, or would change how others are


def clean(text: str, keep: str = "") -> str:
    """Put text on one line and remove characters that are invisible, broken, or reverse the writing direction.

    Line breaks and tabs become spaces. The joiners of scripts and emoji stay. Other such characters become a white
    square. The characters of `keep` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in JOINERS or character in keep
        else " "
        if character.isspace()
        else PLACEHOLDER
        for character in text
    )


def is_text(text: str) -> bool:
    """Whether it can be stored and sent as UTF-8: an argument with other bytes holds surrogates in their place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean_json(text: str) -> str:
    """JSON that says the same, with every such character inside its strings written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\r\n\t" else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
