"""Numbers of things for people: "1 failed login", "1,250 failed logins". Pure."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, in the singular for 1 only.

    Args:
        plural: of a noun that does not just take an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
