"""The protobuf wire format, as much of it as the CRI needs: varints and length-delimited fields, both ways.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from typing import Dict, List, Tuple, Union

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

Value = Union[int, bytes]


def varint(number: int) -> bytes:
    """Encode an int; a negative one as the 64-bit two's complement, as int64 fields are."""
    number &= (1 << 64) - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def field(number: int, value: Union[int, bool, str, bytes]) -> bytes:
    """Encode one field: an int or bool as varint, text or bytes (a message is bytes) as length-delimited."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    if not isinstance(value, bytes):
        value = value.encode("utf-8")
    return varint(number << 3 | DELIMITED) + varint(len(value)) + value


def parse(data: bytes) -> Dict[int, List[Value]]:
    """Return the fields of a message by number, each with its values in order.

    Raises:
        ValueError: ``data`` is no message.
    """
    fields: Dict[int, List[Value]] = {}
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        number, kind = key >> 3, key & 7
        value: Value = 0
        if kind == VARINT:
            value, position = _read_varint(data, position)
        elif kind in (DELIMITED, FIXED64, FIXED32):
            if kind == DELIMITED:
                length, position = _read_varint(data, position)
            else:
                length = 8 if kind == FIXED64 else 4
            value = data[position : position + length]
            if len(value) != length:
                raise ValueError("field %d ends after the message" % number)
            position += length
        else:
            raise ValueError("field %d has the unknown wire type %d" % (number, kind))
        fields.setdefault(number, []).append(value)
    return fields


def text(fields: Dict[int, List[Value]], number: int) -> str:
    """Return the last value of a string field, "" if absent."""
    value = fields.get(number, [b""])[-1]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def texts(fields: Dict[int, List[Value]], number: int) -> List[str]:
    """Return every value of a repeated string field."""
    return [value.decode("utf-8", "replace") for value in fields.get(number, []) if isinstance(value, bytes)]


def integer(fields: Dict[int, List[Value]], number: int) -> int:
    """Return the last value of an integer, bool or enum field, 0 if absent."""
    value = fields.get(number, [0])[-1]
    return value if isinstance(value, int) else 0


def message(fields: Dict[int, List[Value]], number: int) -> Dict[int, List[Value]]:
    """Return the fields of an embedded message, {} if absent."""
    value = fields.get(number, [b""])[-1]
    return parse(value) if isinstance(value, bytes) else {}


def messages(fields: Dict[int, List[Value]], number: int) -> List[Dict[int, List[Value]]]:
    """Return every embedded message of a repeated field."""
    return [parse(value) for value in fields.get(number, []) if isinstance(value, bytes)]


def text_map(fields: Dict[int, List[Value]], number: int) -> Dict[str, str]:
    """Return a map<string, string> field."""
    return {text(entry, 1): text(entry, 2) for entry in messages(fields, number)}


def _read_varint(data: bytes, position: int) -> Tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise ValueError("a number does not end")
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
