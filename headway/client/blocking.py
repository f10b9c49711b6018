"""Blocking twins of asynchronous operations: the same coroutines, run without an event loop.

Invariant: the coroutines run over a `BlockingTransport`, so they never suspend.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from inspect import signature
from types import GenericAlias
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args

P = ParamSpec("P")
T = TypeVar("T")


class BlockingOperations:
    """Base of the blocking operations on one noun; `_operations` are the asynchronous ones."""

    _operations: Any


def blocking(
    operation: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[BlockingOperations, P], T]:
    """The method that blocks until the operation has its result."""

    @wraps(operation)
    def method(client: BlockingOperations, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(operation(client._operations, *args, **kwargs))

    return method


def iterating(
    operation: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[BlockingOperations, P], Generator[T, None, None]]:
    """The method whose iterator blocks until the operation has its next item."""

    @wraps(operation)
    def method(
        client: BlockingOperations, /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        return iterate(operation(client._operations, *args, **kwargs))

    # `help` would show the asynchronous generator that `wraps` took over.
    shown = signature(operation)
    item, _ = get_args(shown.return_annotation)
    vars(method)["__signature__"] = shown.replace(
        return_annotation=GenericAlias(Generator, (item, None, None))
    )
    return method


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise AssertionError("a blocking operation has waited for an event loop")


def iterate(items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
    """The items of an asynchronous generator that never suspends; closing one closes the other."""
    try:
        while True:
            try:
                item = run(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(items.aclose())
