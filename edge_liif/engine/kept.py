"""What an engine made for earlier shapes and keeps, with what each thing is predicted to hold; the least recently used
goes first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Things by key, each with its bytes. Nothing here is measured: the bytes are those that `get` was told."""

    def __init__(self) -> None:
        # in the order in which they were used; dictionaries keep it
        self._things: dict[Hashable, tuple[T, int]] = {}

    def get(self, key: Hashable, size: int, make: Callable[[], T]) -> T:
        """The thing of this key, made now if it is not there; size: bytes that it holds once it has been used."""
        found = self._things.pop(key, None)
        thing = make() if found is None else found[0]
        self._things[key] = thing, size
        return thing

    def size_beside(self, keys: Collection[Hashable]) -> int:
        """Bytes of everything but these."""
        return sum(size for key, (_, size) in self._things.items() if key not in keys)

    def shrink(self, limit: int, beside: Collection[Hashable] = ()) -> None:
        """Let go of the least recently used but `beside` until what is there beside them is at most `limit` bytes."""
        for key in [key for key in self._things if key not in beside]:
            if self.size_beside(beside) <= limit:
                break
            del self._things[key]

    def forget(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Let go of the things whose key is unwanted."""
        for key in [key for key in self._things if unwanted(key)]:
            del self._things[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._things

    def clear(self) -> None:
        self._things.clear()
