"""Passwords in addresses: never shown, never logged, and kept out of what is stored.

A configuration takes the password out of its address as it is made, and this module remembers it, in memory alone;
whoever connects asks for it. So no parameter, hint or file can hold it.
"""

import re

_remembered: dict[str, str] = {}


def without_passwords(text: str) -> str:
    """Replace the users, passwords and tokens of all addresses in the text by stars.

    Error messages of other libraries quote whole addresses. In doubt, more is replaced: up to an address's last `@`.
    """
    text = re.sub(r"(\w://)[^\s'\"]*@", r"\1***@", text)
    return re.sub(r"(?i)([?&](?:password|passwd|token|api_?key|secret)=)[^&\s'\"]+", r"\1***", text)


def taken_out(address: str) -> str:
    """The address without its password, which `with_password` puts back in this process."""
    bare = re.sub(r"^(\w+://)([^@:/]*):[^/]*@", r"\1\2@", address, flags=re.DOTALL)
    bare = re.sub(r"([?&])password=[^&]*(&?)", lambda found: found[1] if found[2] else "", bare)
    if bare != address:
        _remembered[bare] = address
    return bare


def with_password(address: str) -> str:
    """The address with the password that was taken out of it; as it is where none was."""
    return _remembered.get(address, address)
