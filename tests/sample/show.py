#!/usr/bin/python3
"""Prints the JSON of standard input for people: indented, long lists cut short and said so."""

import json
import sys

SHOWN = 3


def shorten(value):
    if isinstance(value, dict):
        return {key: shorten(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    items = [shorten(item) for item in value]
    if len(items) <= SHOWN or (isinstance(items[0], dict) and "status" in items[0]):
        return items
    return items[:SHOWN] + ["... %d more" % (len(items) - SHOWN)]


json.dump(shorten(json.load(sys.stdin)), sys.stdout, indent=2, ensure_ascii=False)
print()
