"""What is handed over comes back as it was, and a text that somebody made up is refused."""

import json
from typing import Any

import numpy as np
import pytest

from vecml.optimize.agreement import difference
from vecml.referee.handover import HandoverError, pack, unpack

VALUES: list[Any] = [
    None,
    True,
    -(10**40),
    float("nan"),
    1e-320,
    1 - 2j,
    "text \udcff",
    b"",
    b"bytes",
    (),
    [1, (2.5, "a")],
    {"a": 1, 2: np.arange(3)},
    np.float32(1.5),
    np.arange(12.0).reshape(3, 4)[:, ::2],
    np.zeros((0, 3)),
    np.array(5, np.int8),
    np.array(["ab", "c"]),
    np.array([b"ab"]),
    np.array([True, False]),
    np.array(["2024-01-01"], "M8[D]"),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
]
MASKED = np.ma.masked_array([1.0, 2.0], [True, False])


def memory(packed: Any) -> bytearray:
    content = bytearray(packed.size)
    for part, offset in zip(packed.parts, packed.offsets, strict=True):
        content[offset : offset + part.nbytes] = part.tobytes()
    return content


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_plain_value_comes_back(value: Any) -> None:
    packed = pack(value)
    found = unpack(packed.text, memory(packed))
    assert difference(value, found, 0.0) is None
    assert type(found) is type(value)


ORDERS = [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)]


@pytest.mark.parametrize("order", ORDERS)
def test_arguments_keep_the_order_of_their_axes(order: tuple[int, ...]) -> None:
    """What is fast for rows is slow for columns: other memory than the maker's would be another measurement."""
    value = np.arange(24.0).reshape(2, 3, 4).transpose(order)
    packed = pack(value, is_given=True)
    found = unpack(packed.text, memory(packed))
    assert difference(value, found, 0.0) is None
    assert found.strides == value.strides


def test_arguments_reach_a_function_as_what_they_are() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(HandoverError, match="a tensor would reach the function as an array"):
        pack((torch.zeros(3), 1), is_given=True)
    assert pack(torch.zeros(3)).size == 12  # of a result it is the values that count


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([None]), np.zeros(2, "f8,i4"), len, iter([]), MASKED])
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with pytest.raises(HandoverError):
        pack([value])


def test_what_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(HandoverError, match="nested"):
        pack(value)


@pytest.mark.parametrize(
    "said",
    [
        5,
        [],
        {},
        {"x": 1},
        {"a": ["O", [1], 0]},
        {"a": ["<f8", [1000], 0]},
        {"a": ["<f8", [1 << 60, 1 << 60], 0]},
        {"a": ["<f8", [-1], 0]},
        {"a": ["f8,f8", [1], 0]},
        {"a": ["[", [1], 0]},
        {"a": ["{'", [1], 0]},
        {"a": ["<f8", [True], 0]},
        {"a": ["<f8", [1], -8]},
        {"a": [5, [1], 0]},
        {"a": ["<f8", [2, 2], 0, [0, 0]]},
        {"a": ["<f8", [2, 2], 0, [1, -1]]},
        {"a": ["<f8", [2, 2], 0, [1]]},
        {"a": ["<f8", [2, 2], 0, 5]},
        {"b": 0, "n": 1 << 40},
        {"d": [[{"l": []}, 1]]},
        {"i": "x"},
        {"i": 5},
        {"f": None},
        {"c": ["0x1p0", "0x1p0", "0x1p0"]},
        {"t": 7},
        {"t": [1, {"t": [{"s": 1}]}]},
    ],
    ids=json.dumps,
)
def test_a_made_up_text_is_refused(said: Any) -> None:
    with pytest.raises(HandoverError):
        unpack(json.dumps(said).encode(), bytes(64))


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'{"t":[' * 200 + b"1" + b"]}" * 200])
def test_what_is_no_text_is_refused(text: bytes) -> None:
    with pytest.raises(HandoverError):
        unpack(text, b"")
