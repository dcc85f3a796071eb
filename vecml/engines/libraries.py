"""Whether an engine's library can be used: it may be missing, or break on import in ways of its own."""

import importlib
import importlib.util

from vecml.errors import one_line


def missing(library: str, extra: str | None) -> str | None:
    """Why `library` cannot be used here, in words for the user, or None; imports it.

    Args:
        library: the module's name.
        extra: the optional extra of vecml that brings it.
    """
    try:
        importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name == library:
            hint = f": pip install 'vecml[{extra}]'" if extra else ""
            return f"{library} is not installed{hint}"
        return f"{library} cannot be imported: {one_line(error)}"
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- what a library that does not fit this machine raises is its own
        return f"{library} cannot be imported: {one_line(error)}"
    return None
