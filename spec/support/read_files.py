"""Reads what the spec of mp.save has written into a folder, and says whether it is the same in each format."""
import csv
import json
import struct
import sys

import cbor2

folder = sys.argv[1]


def at(name, **options):
    return open(f"{folder}/{name}", **options)


TYPED = {79: "q", 86: "d"}  # RFC 8746, little-endian


def plain(value):
    """As JSON has it: lists of numbers may be typed arrays, those with nils are maps with a length."""
    if isinstance(value, cbor2.CBORTag):
        return list(struct.unpack(f"<{len(value.value) // 8}{TYPED[value.tag]}", value.value))
    if isinstance(value, dict):
        if any(isinstance(key, int) for key in value):
            return [plain(value.get(i)) for i in range(1, value["n"] + 1)]
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def same(a, b):
    if isinstance(a, (list, dict)):
        keys = range(len(a)) if isinstance(a, list) else a
        return type(a) is type(b) and len(a) == len(b) and all(same(a[k], b[k]) for k in keys)
    return type(a) is type(b) and a == b


def text(value):
    return ("true" if value else "false") if isinstance(value, bool) else value


records = json.load(at("r.json", encoding="utf-8"))
assert same(json.load(at("v.json", encoding="utf-8")), plain(cbor2.load(at("v.cbor", mode="rb"))))
assert same(records, [json.loads(line) for line in at("r.jsonl", encoding="utf-8", newline="\n")])
rows = list(csv.DictReader(at("r.csv", encoding="utf-8", newline="")))
assert len(rows) == len(records)
for row, record in zip(rows, records):
    for key, value in record.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        assert (type(value)(row[key]) if number else row[key]) == text(value), (row, record)
print("same")
