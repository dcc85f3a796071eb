"""Addresses of files that are not on this machine, told by how they begin; what opens them is slow to import."""

import re

SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
OWN = re.compile(r"(?i)file://(?=/)")


def is_address(text: str) -> bool:
    """Whether the text is the address of a file system that pyarrow knows."""
    found = ADDRESS.match(text)
    return found is not None and found[1].lower() in SCHEMES


def parts_of_list(data: str) -> list[str]:
    """The paths and addresses of a list with commas; a text with no address among its parts is one, as it is."""
    parts = [part.strip() for part in data.split(",")]
    return [here(part) for part in parts] if any(map(is_address, parts)) else [data]


def here(text: str) -> str:
    """The path that an address `file:///folder/file` names; everything else as it is."""
    return OWN.sub("", text, count=1)


def is_elsewhere(data: str) -> bool:
    """Whether a file of the list, or the only one, lies in a file system that is not this machine's own."""
    return any(map(is_address, parts_of_list(data)))
