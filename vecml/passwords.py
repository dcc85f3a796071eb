"""Passwords in addresses: never shown, never logged, and kept out of what is stored.

A configuration takes the password out of its address as it is made, and this module remembers it, in memory alone;
whoever connects asks for it. So no parameter, hint or file can hold it.
"""

import re
from urllib.parse import unquote

OPTIONS = ("password", "sslpassword")  # of PostgreSQL's addresses
_remembered: dict[str, str] = {}


def without_passwords(text: str) -> str:
    """Replace the users, passwords and tokens of all addresses in the text by stars.

    Error messages of other libraries quote whole addresses. In doubt, more is replaced: up to an address's last `@`.
    """
    text = re.sub(r"(\w://)[^\s'\"]*@", r"\1***@", text)
    return re.sub(r"(?i)([?&](?:password|sslpassword|passwd|token|api_?key|secret)=)[^&\s'\"]+", r"\1***", text)


def taken_out(address: str) -> str:
    """The address of a server without its passwords, which `with_password` puts back in this process.

    They are what follows the user's name, up to the last `@` before the query, whatever characters that holds, and the
    options of the query that are passwords. The address of a file has none.
    """
    scheme, mark, rest = address.partition("://")
    if not mark or rest.startswith("/"):
        return address
    place, question, query = rest.partition("?")
    user, at, host = place.rpartition("@")
    options = [option for option in query.split("&") if option.partition("=")[0].lower() not in OPTIONS]
    bare = f"{scheme}://{user.partition(':')[0]}{at}{host}"
    if question and options != [""]:
        bare += "?" * bool(options) + "&".join(options)
    if bare != address:
        _remembered[bare] = address
    return bare


def without_secrets(text: str, address: str) -> str:
    """The text without the passwords that were taken out of an address, as they were written there or decoded."""
    rest = with_password(address).partition("://")[2]
    place, _, query = rest.partition("?")
    found = [place.rpartition("@")[0].partition(":")[2]]
    found += [value for name, _, value in (one.partition("=") for one in query.split("&")) if name.lower() in OPTIONS]
    # A library may quote a piece of a password that it took for something else.
    pieces = [piece for secret in found for piece in re.split(r"[/@:?#&]", secret) if len(piece) > 1]
    for secret in sorted({*found, *map(unquote, found), *pieces} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return without_passwords(text)


def with_password(address: str) -> str:
    """The address with the password that was taken out of it; as it is where none was."""
    return _remembered.get(address, address)
