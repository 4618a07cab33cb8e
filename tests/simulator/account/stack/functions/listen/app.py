"""Receives events; fails on one word."""


def handler(event, _context):
    if event.get("word") == "hex":
        raise ValueError("a curse")
    return event
