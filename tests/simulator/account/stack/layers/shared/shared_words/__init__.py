"""What the functions of the small stack share."""


def greeting(word: str, name: str) -> str:
    """A greeting of one line."""
    return f"{word}, {name}"
