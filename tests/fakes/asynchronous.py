"""Tests that are coroutines, each on an event loop of its own."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import uvloop

AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def asynchronous(test: AsyncTest) -> Callable[..., None]:
    """Run an async test on a loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run


def on_both_loops(test: AsyncTest) -> Callable[..., None]:
    """Run an async test on Python's own loop, and on uvloop's."""

    @functools.wraps(test)
    def run(*args: Any, new_loop: Callable[[], asyncio.AbstractEventLoop], **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test(*args, **kwargs))

    given = inspect.signature(test)
    loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = given.replace(  # type: ignore[attr-defined]
        parameters=[*given.parameters.values(), loop]
    )
    loops = [asyncio.new_event_loop, uvloop.new_event_loop]
    on_both = pytest.mark.parametrize("new_loop", loops, ids=["asyncio", "uvloop"])
    return cast("Callable[..., None]", on_both(run))
