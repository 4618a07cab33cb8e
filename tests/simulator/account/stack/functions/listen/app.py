"""Hears events; fails on the word that it is told to fail on."""


def handler(event, _context):
    if event.get("word") == "hex":
        raise ValueError("a curse")
    return event
