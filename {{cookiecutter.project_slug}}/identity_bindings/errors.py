"""The errors of this package. Every message says what to do; none carries a secret's value."""

from __future__ import annotations

from dataclasses import dataclass


class IdentityBindingError(Exception):
    """The base of every error that this package raises."""


class BindingUnavailableError(IdentityBindingError):
    """A declared value could not be read, so the function was not called.

    Its text is one line: function, binding, what was read from where by whom, why it failed,
    and the command or step that repairs it.
    """


class DeclarationError(IdentityBindingError):
    """A mistake in a declaration: the property, its value, and what is allowed."""

    def __init__(self, prop: str, value: object, allowed: str) -> None:
        super().__init__(f"{prop}: {value!r}: {allowed}")
        self.property, self.value, self.allowed = prop, value, allowed


@dataclass(frozen=True)
class Problem:
    """One mistake in a declaration: where it stands, what stands there, what may stand there."""

    file: str
    property: str
    value: object
    allowed: str

    def __str__(self) -> str:
        try:
            shown = repr(self.value)
        except RecursionError:
            shown = "..."
        if len(shown) > 120:
            shown = shown[:117] + "..."
        line = f"{self.file}: {self.property}: {shown}: {self.allowed}"
        # One line of the log, whatever a name holds.
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)
