"""How people write the fields of a model, and how a value that is refused is explained to them.

Each field is declared once, in a pydantic model. Its description is the help of its flag and the text of Prefect's
form; `Flag` beside it says what else the command line needs to know. Its name is the key of a TOML file.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from vecml.errors import SettingError

BOUNDS = {  # the types of pydantic's errors: how each bound is said, and where its value stands
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


@dataclass(frozen=True)
class Flag:
    """The command line's part of a field; a field without one has no flag.

    Attributes:
        panel: the heading under which the help lists the flag.
        metavar: stands for the value in the help; empty for a flag without one. Where it offers `auto`, a whole number
            or a rate may be written so.
        default: shown as the default where the field's own default is not what people would write.
        noun: one value of the field, for messages; by default the field's name.
        complaint: what is said of a value that is no number; by default that it is not a whole number.
        example: a value to show when one is refused.
    """

    panel: str
    metavar: str
    default: str | None = None
    noun: str | None = None
    complaint: str = "not a whole number"
    example: str | None = None


class RefusedError(ValueError):
    """A validator raises it to refuse a value with a hint; Prefect shows both in one line."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message, self.hint = message, hint


class Declared(BaseModel):
    """A frozen model that refuses unknown fields, and takes values as people write them.

    A list may be given as one value or with commas (`hidden = 64`, `hidden = "64,32"`), and `auto` for a whole number
    whose flag offers it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {
            name: _meant(name, cls.model_fields[name], value) if name in cls.model_fields else value
            for name, value in values.items()
        }

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Make the model with these values; raises SettingError, which names the first flag whose value is wrong."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise _explain(error, cls) from None


def flag(field: str) -> str:
    """The command-line flag of a field: `block_rows` is `--block-rows`."""
    return "--" + field.replace("_", "-")


def flag_of(field: FieldInfo) -> Flag | None:
    """The field's `Flag`, or None for a field that the command line does not offer."""
    return next((mark for mark in field.metadata if isinstance(mark, Flag)), None)


def is_list(field: FieldInfo) -> bool:
    """Whether the field holds several values."""
    options = get_args(field.annotation) if get_origin(field.annotation) in (Union, types.UnionType) else ()
    return any(get_origin(option) is tuple for option in (field.annotation, *options))


def value_type(field: FieldInfo) -> Any:
    """The type of one value of the field, without None, bounds and the tuple: `int`, `str`, a Literal ..."""
    annotation: Any = field.annotation
    while get_origin(annotation) in (Union, types.UnionType, tuple, Annotated):
        annotation = get_args(annotation)[0]
    return annotation


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The words that the field takes; empty where they are not listed. `all` stands for them and is none of them."""
    one = value_type(field)
    return tuple(word for word in get_args(one) if word != "all") if get_origin(one) is Literal else ()


def shown(value: Any) -> str:
    """A value as people write it: a tuple with commas, nothing for None."""
    return "" if value is None else ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _meant(name: str, field: FieldInfo, value: Any) -> Any:
    one = value_type(field)
    mark = flag_of(field)
    for item in value if isinstance(value, list | tuple) else [value]:
        if one is int and isinstance(item, bool):
            raise ValueError(f"{flag(name)} {str(item).lower()}: not a number")
    if is_list(field):
        if isinstance(value, str):  # a column's name may hold a comma, a number or a word of a choice may not
            value = [value] if one is str else [part.strip() for part in value.split(",") if part.strip()]
        elif value is not None and not isinstance(value, list | tuple):
            value = [value]
    if mark is None or "auto" not in mark.metavar or one is str:
        return value
    if field.default is None:
        return None if value in ("auto", ["auto"], ("auto",)) else value
    return [0 if item == "auto" else item for item in value] if isinstance(value, list | tuple) else value


def _explain(error: ValidationError, model: type[BaseModel]) -> SettingError:
    """The first complaint of pydantic as one line in the words of the command line."""
    first = error.errors(include_url=False)[0]
    place, value, context = list(first["loc"]), first["input"], first.get("ctx", {})
    while len(place) > 1 and (below := _model_of(model, str(place[0]))):
        model, place = below, place[1:]
    name = str(place[0]) if place else ""
    if first["type"] == "extra_forbidden":
        return _unknown(name, model)
    if first["type"] == "value_error":
        why = context["error"]
        return SettingError(why.message, why.hint) if isinstance(why, RefusedError) else SettingError(str(why))
    if name not in model.model_fields:
        return SettingError(first["msg"])
    field = model.model_fields[name]
    mark = flag_of(field) or Flag("", "")
    noun, written = mark.noun or name, f"{flag(name)} {value}"
    if first["type"] in BOUNDS:
        words, key = BOUNDS[first["type"]]
        return SettingError(f"{written}: must be {words} {_bound(context[key])}")
    unit, least = ("character", "must not be empty") if isinstance(value, str) else (noun, f"name at least one {noun}")
    said: dict[str, tuple[str, str | None]] = {
        "literal": (f"{written}: there is no such {noun}", f"choose from {', '.join(choices(field))}"),
        "int": (f"{written}: {mark.complaint}", mark.example and f"for example {flag(name)} {mark.example}"),
        "float": (f"{written}: not a number", None),
        "finite": (f"{written}: not a number", None),
        "bool": (f"{written}: neither true nor false", None),
        "type": (f"{written}: not a text", f'write it in quotes: {name} = "{value}"'),
        "short": (f"{flag(name)}: {least}", None),
        "long": (f"{flag(name)}: must have at most {context.get('max_length')} {unit}s", None),
    }
    kind = first["type"].removeprefix("string_").removeprefix("too_").partition("_")[0]
    return SettingError(*said.get(kind, (f"{written}: {first['msg']}", None)))


def _model_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the pydantic model that is the type of the field `name`; None if its type is no model."""
    held = model.model_fields[name].annotation if name in model.model_fields else None
    return held if isinstance(held, type) and issubclass(held, BaseModel) else None


def _unknown(name: str, model: type[BaseModel]) -> SettingError:
    import difflib  # noqa: PLC0415 -- only for the message

    below = [held for field in model.model_fields if (held := _model_of(model, field))]
    known = list(dict.fromkeys(field for one in (model, *below) for field in one.model_fields))
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(known)}"
    return SettingError(f"unknown setting {name!r}", hint)


def _bound(value: float) -> str:
    """A limit as people write it: 0.5, 65,536."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
