"""The raw record inside a page: packed into the address of a download link, and taken out of a page again."""

import base64
import binascii
import gzip
import io
import re
import zlib

from vecml.errors import MeasureError

PREFIX = "data:application/gzip;base64,"
LARGEST = 1_000_000_000  # bytes unpacked: a page from elsewhere may hold anything


def packed(document: str) -> str:
    """The document as a `data:` address: gzip, then base64. The same text gives the same address."""
    return PREFIX + base64.b64encode(gzip.compress(document.encode(), mtime=0)).decode()


def document_in(page: str, name: str) -> bytes:
    """The document of a page that `vecml.report.page.page` made; `name` is the page's, for messages.

    Raises MeasureError where there is none, or it cannot be unpacked.
    """
    found = re.search(re.escape(PREFIX) + r"([A-Za-z0-9+/=]*)", page)
    if found is None:
        raise MeasureError(f"{name} holds no comparison", "name a report that vecml report made of a comparison")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(found[1], validate=True))) as stream:
            content = stream.read(LARGEST + 1)
    except (binascii.Error, EOFError, OSError, zlib.error) as error:
        raise MeasureError(f"{name} is damaged: its record cannot be unpacked ({error})", "make it again") from None
    if len(content) > LARGEST:
        raise MeasureError(f"{name} is damaged: its record is larger than {LARGEST:,} bytes", "make it again")
    return content
