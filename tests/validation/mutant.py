"""What a seeded defect is: a way to make the board model wrong from outside, and the test that must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Method = Callable[..., Any]
Wrapper = Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """One seeded defect.

    Attributes:
        name: short, for the command line and the table.
        wrong: what the model does then.
        against: what it contradicts.
        killer: the conformance test that must fail, below tests/sim.
        edits: (owner, attribute, what makes the new method from the old one).
    """

    name: str
    wrong: str
    against: str
    killer: str
    edits: tuple[tuple[Any, str, Wrapper], ...] = field(repr=False)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model is wrong inside the block and right again behind it."""
        kept = [(owner, name, owner.__dict__[name]) for owner, name, _ in self.edits]
        for owner, name, wrapper in self.edits:
            setattr(owner, name, wrapper(owner.__dict__[name]))
        try:
            yield
        finally:
            for owner, name, old in kept:
                setattr(owner, name, old)


def before(action: Callable[..., object]) -> Wrapper:
    """Do something with the arguments first, then what the method does."""

    def wrap(old: Method) -> Method:
        def new(self: Any, *arguments: Any, **named: Any) -> Any:
            action(self, *arguments)
            return old(self, *arguments, **named)

        return new

    return wrap


def after(action: Callable[..., object]) -> Wrapper:
    """Do what the method does, then something with the object."""

    def wrap(old: Method) -> Method:
        def new(self: Any, *arguments: Any, **named: Any) -> Any:
            result = old(self, *arguments, **named)
            action(self, *arguments)
            return result

        return new

    return wrap


def instead(new: Method) -> Wrapper:
    """Do something else altogether."""
    return lambda _old: new


def nothing(*_arguments: Any, **_named: Any) -> None:
    """What a method does that has been forgotten."""
