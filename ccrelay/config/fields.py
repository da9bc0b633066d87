"""The kinds of values that the configuration holds: each says what it allows, in words and in JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticKnownError

from ccrelay.config.reach import address_of
from ccrelay.wire.secret import Secret

_WEEK_MS: Final = 7 * 24 * 60 * 60 * 1000

_SIZE: Final = re.compile(r"([0-9]+) ?([KMG]i?B|B)?")
_UNITS: Final = {
    None: 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip

_NAME: Final = r"[A-Za-z0-9_.-]+"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~\u00a0-\U0010ffff]*")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")


class Section(BaseModel):
    """
    A section of the configuration: frozen, and without keys that it does not know.

    A key that is written without a value counts as left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, data: Any) -> Any:  # noqa: ANN401  whatever was written
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


def _no_flag(value: object) -> object:
    """Refuse C{true} and C{false}, which Python takes for numbers."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")  # noqa: EM101  a kind of error, not a message
    return value


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        msg = "a text; put it in quotes"
        raise ValueError(msg)  # noqa: TRY004  pydantic collects no other
    if not re.fullmatch(r"[!-~]+", value):
        msg = "a text without spaces or other characters that a header cannot hold, and not empty"
        raise ValueError(msg)
    return Secret(value)


def _size(value: object) -> object:
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else _no_flag(value)


def _workers(value: object) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value if isinstance(value, int) else "auto"
    if isinstance(value, str) and value.isdecimal() and int(value) >= 1:
        return int(value)
    msg = "a whole number of 1 or more, or auto"
    raise ValueError(msg)


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        msg = "letters, digits, dot, hyphen and underscore"
        raise ValueError(msg)
    return value


def _address(value: str) -> str:
    address_of(value)
    return value


def _url(value: str) -> str:
    msg = "an http:// or https:// address with a host, and without user name, query and fragment"
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  looked at only to be checked
    except ValueError:
        raise ValueError(msg) from None
    spoiled = parts.username is not None or parts.query or parts.fragment or re.search(r"[^!-~]", value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or spoiled:
        raise ValueError(msg)
    return value


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        msg = "an origin as browsers send it, such as https://app.example.com, without a path"
        raise ValueError(msg)
    return value


def _pattern(value: str) -> str:
    if "*" in value[:-1]:
        msg = "a model's name, or the beginning of names and one * at the end"
        raise ValueError(msg)
    return value


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        msg = "the name of a header (RFC 9110, section 5.1)"
        raise ValueError(msg)
    return value


def _header_value(value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        msg = "a text of one line, without control characters"
        raise ValueError(msg)
    return value


_HIDDEN: Final = {"writeOnly": True}
"""The mark, in the schema, of what no message shows."""

SecretText: TypeAlias = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "format": "password", **_HIDDEN}),
]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
HiddenText: TypeAlias = Annotated[str, Field(min_length=1, json_schema_extra=dict(_HIDDEN))]
Name: TypeAlias = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$", "examples": ["anthropic-1"]}),
]
Url: TypeAlias = Annotated[str, AfterValidator(_url), Field(json_schema_extra={"format": "uri"})]
Origin: TypeAlias = Annotated[str, AfterValidator(_origin)]
ModelPattern: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
HeaderName: TypeAlias = Annotated[str, AfterValidator(_header_name)]
HeaderValue: TypeAlias = Annotated[str, AfterValidator(_header_value), Field(json_schema_extra=dict(_HIDDEN))]
Address: TypeAlias = Annotated[
    str, AfterValidator(_address), Field(json_schema_extra={"examples": ["127.0.0.1:8787"]})
]
Addresses: TypeAlias = Annotated[
    tuple[Address, ...],
    BeforeValidator(_one_or_many),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["127.0.0.1:8787"]},
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
            ]
        }
    ),
]

Flag: TypeAlias = bool
Whole: TypeAlias = Annotated[int, BeforeValidator(_no_flag)]
Count: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_no_flag)]
Positive: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_no_flag)]
Milliseconds: TypeAlias = Annotated[int, Field(ge=1, le=_WEEK_MS), BeforeValidator(_no_flag)]
MillisecondsOrNever: TypeAlias = Annotated[int, Field(ge=0, le=_WEEK_MS), BeforeValidator(_no_flag)]
Number: TypeAlias = Annotated[float, Field(ge=0), BeforeValidator(_no_flag)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1), BeforeValidator(_no_flag)]
Size: TypeAlias = Annotated[
    int,
    Field(ge=1),
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$", "examples": ["32MiB"]},
            ]
        }
    ),
]
Workers: TypeAlias = Annotated[
    int | str,
    PlainValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]
