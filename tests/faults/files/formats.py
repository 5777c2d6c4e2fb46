"""Writes and reads safetensors and GGUF, also wrongly: every count, offset and length can be told."""

import json
import struct

WIDTH = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def safetensors(header, data=b"", length=None, pad=""):
    """header: a dict, or the text or bytes as they stand."""
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    header += pad.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def read_safetensors(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + n]), raw[8 + n :]


def string(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


class Raw(bytes):
    """The bytes of a value as they stand."""


def value(kind, v):
    """v of an ARRAY is (type of elements, list) or (type, list, claimed length)."""
    if isinstance(v, Raw):
        return v
    if kind == STRING:
        return string(v)
    if kind != ARRAY:
        return struct.pack("<" + WIDTH[kind], v)
    n = v[2] if len(v) > 2 else len(v[1])
    head = struct.pack("<IQ", v[0], n)
    if v[0] in WIDTH:
        return head + struct.pack("<%d%s" % (len(v[1]), WIDTH[v[0]]), *v[1])
    return head + b"".join(value(v[0], e) for e in v[1])


def gguf(keys, tensors=(), magic=b"GGUF", version=3, n_keys=None, n_tensors=None, align=32, cut=0, offset=None):
    """keys: (name, type, value); tensors: (name, axes innermost first, type, bytes)."""
    out = magic + struct.pack(
        "<IQQ", version, len(tensors) if n_tensors is None else n_tensors, len(keys) if n_keys is None else n_keys
    )
    for name, kind, v in keys:
        out += string(name) + struct.pack("<I", kind) + value(kind, v)
    at, data = 0, b""
    for i, (name, axes, kind, raw) in enumerate(tensors):
        told = offset[i] if offset and i in offset else at
        out += string(name) + struct.pack("<I%dQIQ" % len(axes), len(axes), *axes, kind, told)
        raw += bytes(-len(raw) % align)
        data += raw
        at += len(raw)
    if tensors:
        out += bytes(-len(out) % align)
    out += data
    return out[: len(out) - cut]


def read_gguf(path):
    raw, at = open(path, "rb").read(), 4

    def take(fmt):
        nonlocal at
        v = struct.unpack_from("<" + fmt, raw, at)
        at += struct.calcsize("<" + fmt)
        return v[0]

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return raw[at - n : at]

    def read(kind):
        if kind == STRING:
            return text()
        if kind == ARRAY:
            inner, n = take("I"), take("Q")
            return inner, [read(inner) for _ in range(n)]
        return take(WIDTH[kind])

    take("I")
    n_tensors, n_keys = take("Q"), take("Q")
    keys = []
    for _ in range(n_keys):
        name, kind = text().decode(), take("I")
        keys.append((name, kind, read(kind)))
    infos = []
    for _ in range(n_tensors):
        name = text().decode()
        axes = [take("Q") for _ in range(take("I"))]
        infos.append((name, axes, take("I"), take("Q")))
    at += -at % 32
    ends = [i[3] for i in infos[1:]] + [len(raw) - at]
    return keys, [(n, a, k, raw[at + o : at + e]) for (n, a, k, o), e in zip(infos, ends)]
