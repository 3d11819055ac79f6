#!/usr/bin/python3
"""Writes a MaxMind DB file (https://maxmind.github.io/MaxMind-DB/, version 2.0), the same bytes for the same input.

    make_mmdb.py LIST FILE

LIST has a network and its record, a JSON object, on each line; empty lines and those that begin with # are comments:

    77.16.0.0/16   {"country": {"iso_code": "ES"}}

Of two networks, one within the other, the narrower one counts. From Python: write_mmdb(path, {network: record}).
"""

import ipaddress
import json
import struct
import sys

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)
BUILT = 1767225600  # 2026-01-01: not the time of today
IPV4_BITS = 96      # an IPv4 network stands in ::/96 of an IPv6 tree

POINTER, TEXT, DOUBLE, UINT16, UINT32, MAP, UINT64, ARRAY, BOOLEAN = 1, 2, 3, 5, 6, 7, 9, 11, 14


class Uint16(int):
    pass


class Uint64(int):
    pass


def country(code):
    """The record of a country, as far as a program needs it."""
    return {"country": {"iso_code": code}}


# ---- data --------------------------------------------------------------------------------------------------------


def control(kind, size):
    """The bytes before a value. For booleans `size` is the value."""
    if size < 29:
        low, more = size, b""
    elif size < 285:
        low, more = 29, struct.pack(">B", size - 29)
    elif size < 65821:
        low, more = 30, struct.pack(">H", size - 285)
    else:
        low, more = 31, struct.pack(">I", size - 65821)[1:]
    extended = bytes([kind - 7]) if kind > 7 else b""
    return bytes([(kind << 5 if kind <= 7 else 0) | low]) + extended + more


def integer(kind, value):
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return control(kind, len(data)) + data


def pointer(offset):
    """To an offset of the data section, in the one form of four bytes: it reaches everywhere."""
    return bytes([POINTER << 5 | 3 << 3]) + struct.pack(">I", offset)


def encode(value, write=None):
    """The bytes of a value. `write` stands in for encode() where parts of it are concerned."""
    write = write or encode
    if isinstance(value, bool):
        return control(BOOLEAN, int(value))
    if isinstance(value, str):
        data = value.encode()
        return control(TEXT, len(data)) + data
    if isinstance(value, int):
        kind = UINT16 if isinstance(value, Uint16) else UINT64 if isinstance(value, Uint64) else UINT32
        return integer(kind, value)
    if isinstance(value, float):
        return control(DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, dict):
        return control(MAP, len(value)) + b"".join(write(key) + write(item) for key, item in value.items())
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(write, value))
    raise TypeError("no such type in a MaxMind DB: %r" % (value,))


class Data:
    """The data section: every record once, and every text once, with pointers to it, as real databases have it."""

    def __init__(self):
        self.bytes, self.records, self.texts = bytearray(), {}, {}

    def add(self, record):
        """The offset of the record."""
        key = json.dumps(record)
        if key not in self.records:
            data = self._write(record)
            self.records[key] = len(self.bytes)
            self.bytes += data
        return self.records[key]

    def _write(self, value):
        if not isinstance(value, str):
            return encode(value, self._write)
        if value not in self.texts:
            self.texts[value] = len(self.bytes)
            self.bytes += encode(value)
        return pointer(self.texts[value])


# ---- tree --------------------------------------------------------------------------------------------------------


class Leaf:
    def __init__(self, offset):
        self.offset = offset


class Tree:
    """Nodes are [left, right] of None, a node or a Leaf."""

    def __init__(self, bits):
        self.bits, self.root = bits, [None, None]

    def insert(self, number, length, leaf):
        """Networks come in the order of their length: what is there already is wider, and is split."""
        node = self.root
        for depth in range(length - 1):
            bit = number >> (self.bits - 1 - depth) & 1
            if not isinstance(node[bit], list):
                node[bit] = [node[bit], node[bit]]
            node = node[bit]
        node[number >> (self.bits - length) & 1] = leaf

    def nodes(self):
        """All of them, the root first."""
        found = [self.root]
        for node in found:
            found.extend(side for side in node if isinstance(side, list))
        return found


def pack_node(left, right, record_size):
    if record_size == 24:
        return struct.pack(">I", left)[1:] + struct.pack(">I", right)[1:]
    if record_size == 28:
        middle = (left >> 24) << 4 | right >> 24
        return struct.pack(">I", left)[1:] + bytes([middle]) + struct.pack(">I", right)[1:]
    return struct.pack(">II", left, right)


def pack_tree(nodes, record_size):
    numbers = {id(node): number for number, node in enumerate(nodes)}

    def value(side):
        if side is None:
            return len(nodes)
        result = len(nodes) + len(SEPARATOR) + side.offset if isinstance(side, Leaf) else numbers[id(side)]
        if result >> record_size:
            raise ValueError("too much for records of %d bits" % record_size)
        return result

    return b"".join(pack_node(value(left), value(right), record_size) for left, right in nodes)


def place(network, ip_version):
    """(number, length) of a network in the tree."""
    network = ipaddress.ip_network(network)
    number, length = int(network.network_address), network.prefixlen
    if network.version == 6 and ip_version == 4:
        raise ValueError("%s does not fit into a tree of IPv4" % network)
    if network.version == 4 and ip_version == 6:
        length += IPV4_BITS
    if length == 0:
        raise ValueError("a tree of one record has no node to stand in: give two halves")
    return number, length


def make_mmdb(networks, ip_version=6, record_size=24, database_type="oscar-metrics-sample"):
    """The bytes of the file."""
    data, tree = Data(), Tree(128 if ip_version == 6 else 32)
    placed = sorted(((*place(network, ip_version), record) for network, record in networks.items()),
                    key=lambda item: (item[1], item[0]))
    for number, length, record in placed:
        tree.insert(number, length, Leaf(data.add(record)))
    nodes = tree.nodes()
    metadata = {
        "binary_format_major_version": Uint16(2),
        "binary_format_minor_version": Uint16(0),
        "build_epoch": Uint64(BUILT),
        "database_type": database_type,
        "description": {"en": "Made up: an address in here says nothing about the real one."},
        "ip_version": Uint16(ip_version),
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": Uint16(record_size),
    }
    return pack_tree(nodes, record_size) + SEPARATOR + bytes(data.bytes) + MARKER + encode(metadata)


def write_mmdb(path, networks, **how):
    """`networks`: {"77.16.0.0/16": record, ...}; a record is of dict, list, str, int, float and bool. `how`: as
    make_mmdb() has it."""
    with open(path, "wb") as out:
        out.write(make_mmdb(networks, **how))


def read_list(path):
    """{network: record} of a list as the head of this file describes it."""
    networks = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                network, record = line.split(None, 1)
                networks[network] = json.loads(record)
    return networks


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_mmdb(sys.argv[2], read_list(sys.argv[1]))


if __name__ == "__main__":
    main()
