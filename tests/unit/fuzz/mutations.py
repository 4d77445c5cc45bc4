"""What goes wrong with a text on its way or at its source: a list of edits, drawn by hypothesis, applied to a recorded sample.

An edit is (kind, place, choice), three numbers that fit any sample: places and choices are taken modulo what there is. So
hypothesis can leave edits out and make numbers smaller until the shortest list that still fails is left.
"""

import base64
import copy
import json
import tomllib

import tomlkit
import yaml
from hypothesis import strategies as st

NUMBER = st.integers(0, 2**20 - 1)
EDITS = st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=6)

# Pieces that have confused parsers before: of the formats that are read here, of numbers, of encodings.
TOKENS = (
    "", " ", "\t", "\n", "\r\n", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffd", "\udc80", "\udcff", "é", "字", "𝟙", "٣", "²",
    '"', "'", "\\", "`", "$", "${A}", "$(id)", "%", "%%", "%H", "#", ";", "&", "*", "!!", "!!python/object/apply:os.getcwd []", "<<: *a",
    "&a [*a]", "- ", ": ", "? ", "|", ">", "{", "}", "{{", "[", "]", "[[", "]]", "(", ")", "=", "==", ",", ":", "/", "//", "..", "@", "@@", "@@x",
    "@@unshim-probe-end", "content base64", "content hex", "0", "-1", "00", "0x", "1e999", "-1e999", "NaN", "Infinity", "nan", "inf", "1_0", "9" * 25,
    "9" * 400, "1" * 5000, "2026-13-45", "2001-01-01T99:99:99Z", "true", "false", "null", "None", "~", "yes", "unlimited", "infinity", "--", "-",
    "[" * 2000, '{"a":' * 2000, "[" * 50_000, "- " * 30_000, "a.b.c", "sha256:", "x" * 300,
)  # fmt: skip

# Values of another type, or of the same and out of reach.
VALUES = (
    None, True, False, 0, -1, 1.5, 10**30, 10**400, -(10**400), float("inf"), float("nan"), "", " ", "0", "-", "\0", "\n", "\udcff", "\ud800", "a" * 300, "/", "..",
    "/etc/passwd", [], {}, [None], [[]], [{}], {"": ""}, {"a": None}, ["a", 1, None], {"a": {"b": {"c": []}}}, "1" * 5000, "²", "٣", "2026-11-26T00:00:00Z",
)  # fmt: skip


def edited(text, edits):
    """Return ``text`` after edits of characters and lines."""
    for kind, place, choice in edits:
        at = place % (len(text) + 1)
        token = TOKENS[choice % len(TOKENS)]
        match kind % 8:
            case 0:
                text = text[:at] + token + text[at:]
            case 1:
                text = text[:at] + text[at + 1 + choice % 40 :]
            case 2:
                text = text[:at] + token + text[at + len(token) :]
            case 3:
                text = text[:at]
            case 4:
                lines = text.split("\n")
                one, other = place % len(lines), choice % len(lines)
                lines[one], lines[other] = lines[other], lines[one]
                text = "\n".join(lines)
            case 5:
                lines = text.split("\n")
                lines.insert(choice % (len(lines) + 1), lines[place % len(lines)])
                text = "\n".join(lines)
            case 6:  # a value, or a word, of a line
                lines = text.split("\n")
                line = lines[place % len(lines)]
                for separator in ("=", ": ", " "):
                    head, found, _ = line.partition(separator)
                    if found:
                        line = head + found + token
                        break
                lines[place % len(lines)] = line
                text = "\n".join(lines)
            case 7:
                lines = text.split("\n")
                del lines[place % len(lines)]
                text = "\n".join(lines)
    return text


def reshaped(data, edits):
    """Return plain data after edits of its structure: values replaced, dropped, doubled, moved."""
    data = copy.deepcopy(data)
    for kind, place, choice in edits:
        places = list(_places(data))
        if not places:
            return VALUES[choice % len(VALUES)]
        holder, key = places[place % len(places)]
        match kind % 4:
            case 0:
                holder[key] = copy.deepcopy(VALUES[choice % len(VALUES)])
            case 1:
                del holder[key]
            case 2:
                other, name = places[choice % len(places)]
                holder[key] = copy.deepcopy(other[name])
            case 3:
                if isinstance(holder, list):
                    holder.insert(key, copy.deepcopy(holder[key]))
                else:
                    holder[TOKENS[choice % len(TOKENS)]] = holder[key]
    return data


def _places(data):
    """Yield (list or dict, index or key) of every value inside."""
    waiting = [data]
    while waiting:
        one = waiting.pop()
        for key in range(len(one)) if isinstance(one, list) else list(one) if isinstance(one, dict) else ():
            yield one, key
            if isinstance(one[key], list | dict):
                waiting.append(one[key])


# Formats: how a sample of it is changed.


def text(sample, edits):
    return edited(sample, edits)


def as_json(sample, edits):
    """Half of the edits, by the first, are of the structure; the others of the text."""
    if edits[0][0] % 2:
        return edited(sample, edits)
    return json.dumps(reshaped(json.loads(sample), edits))


def as_json_lines(sample, edits):
    lines = sample.split("\n")
    number = edits[0][1] % len(lines)
    if edits[0][0] % 2 or not lines[number]:
        return edited(sample, edits)
    lines[number] = json.dumps(reshaped(json.loads(lines[number]), edits[1:] or edits))
    return "\n".join(lines)


def as_yaml(sample, edits):
    if edits[0][0] % 2:
        return edited(sample, edits)
    documents = reshaped(_yaml_documents(sample), edits)
    try:
        return "---\n".join(
            json.dumps(one) + "\n" for one in (documents if isinstance(documents, list) else [documents])
        )
    except TypeError:  # a date
        return edited(sample, edits)


_parsed_yaml = {}


def _yaml_documents(sample):
    if sample not in _parsed_yaml:
        _parsed_yaml[sample] = list(yaml.load_all(sample, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    return _parsed_yaml[sample]


def as_toml(sample, edits):
    if edits[0][0] % 2:
        return edited(sample, edits)
    data = reshaped(tomllib.loads(sample), edits)
    try:
        return tomlkit.dumps(data)
    except Exception:  # noqa: BLE001 - what TOML cannot hold
        return edited(sample, edits)


def as_probe(sample, edits):
    """Edits of a probe's output as it came, or of what one of its files or its records hold."""
    if edits[0][0] % 2:
        return edited(sample, edits)
    sections = sample.split("\n@@")
    number = edits[0][1] % len(sections)
    head, mark, content = sections[number].partition("\ncontent base64\n")
    if mark:
        inside = base64.b64decode(content).decode("utf-8", "surrogateescape")
        changed = edited(inside, edits[1:] or edits).encode("utf-8", "surrogatepass")
        sections[number] = head + mark + base64.b64encode(changed).decode()
    elif "\n{" in sections[number]:
        name, _, lines = sections[number].partition("\n")
        sections[number] = name + "\n" + as_json_lines(lines, edits)
    else:
        sections[number] = edited(sections[number], edits)
    return "\n@@".join(sections)
