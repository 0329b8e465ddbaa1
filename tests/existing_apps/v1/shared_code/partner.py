"""A partner's API, as far as an example needs it."""


def call_partner(key: str, name: str | None) -> str:
    return f"Hello, {name or 'world'}: the partner accepted a key of {len(key)} characters."
