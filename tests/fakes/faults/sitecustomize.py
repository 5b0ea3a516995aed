"""Kills or freezes a process of burst at a chosen point, without a hook in the product.

Python imports this by itself where this folder is on PYTHONPATH. If ``CHAOS_DIR`` is set,
methods of burst are wrapped as their modules are imported; at each point a process looks
for ``CHAOS_DIR/<role>.<point>.armed``, which holds ``KILL`` or ``STOP``. One process takes
the file, by renaming it, leaves ``<role>.<point>.fired`` with what it was doing, and sends
itself that signal. The role is ``manager``, ``worker`` or ``cli``.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

FOLDER = os.environ.get("CHAOS_DIR")
WORDS = sys.orig_argv[sys.orig_argv.index("burst") + 1 :] if "burst" in sys.orig_argv else []
ROLE = WORDS[0] if WORDS and WORDS[0] in ("manager", "worker") else "cli"


def pass_point(point, detail="", last_act=None):
    """Go on, or end here if this point is armed.

    Args:
        point: name of the point.
        detail: what this passage is about, for the test to read.
        last_act: done just before the end, to leave something half-done.
    """
    armed = Path(FOLDER, f"{ROLE}.{point}.armed")
    taken = armed.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        armed.rename(taken)
    except FileNotFoundError:
        return
    number = signal.Signals[f"SIG{taken.read_text().strip()}"]
    if last_act:
        last_act()
    worker = os.environ.get("BURST_WORKER_NAME", "")
    fact = {"pid": os.getpid(), "worker": worker, "detail": detail, "at": time.time()}
    taken.write_text(json.dumps(fact))
    taken.rename(armed.with_suffix(".fired"))
    # This very thread: another would take its time, while this one went on.
    signal.pthread_kill(threading.get_ident(), number)


def wrap(owner, name, before=None, after=None):
    """Pass points before or after a call; each gets the call's arguments."""
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
        if before:
            before(*args, **kwargs)
        result = original(*args, **kwargs)
        if after:
            after(*args, **kwargs)
        return result

    setattr(owner, name, wrapped)


def wrap_directory(module):
    """Points of the storage."""

    def half_copied(source, sink):
        def copy_half():
            sink.write(source.read(os.fstat(source.fileno()).st_size // 2))
            sink.flush()

        pass_point("mid-copy", str(source.name), copy_half)

    def half_written(sink, content):
        def write_half():
            sink.write(content[: len(content) // 2])
            sink.flush()

        if b'"published"' in content:
            pass_point("mid-index", "", write_half)

    def uploaded(storage, source, name, *rest):
        if name.startswith("attempts/"):
            pass_point("after-upload", name)

    storage = module.DirectoryStorage
    wrap(module, "copy", before=half_copied)
    wrap(module, "write_all", before=half_written)
    wrap(storage, "put_file", after=uploaded)
    wrap(storage, "fetch", after=lambda _, name, target: pass_point("after-fetch", name))
    wrap(
        storage,
        "publish",
        before=lambda _, source, *rest: pass_point("before-publish", source),
        after=lambda _, source, *rest: pass_point("after-publish", source),
    )
    wrap(storage, "_link", after=lambda _, upload, final: pass_point("mid-publish", str(upload)))


def wrap_bucket(module):
    """Points of a bucket; in the middle of publishing there is a copy beside the upload."""

    def uploaded(storage, source, name, *rest):
        if name.startswith("attempts/"):
            pass_point("after-upload", name)

    def about_to_write(storage, content, name):
        if name.endswith("/index.json"):
            pass_point("mid-index", name)

    storage = module.BucketStorage
    wrap(storage, "put_file", after=uploaded)
    wrap(storage, "put_bytes", before=about_to_write)
    wrap(
        storage,
        "publish",
        before=lambda _, source, *rest: pass_point("before-publish", source),
        after=lambda _, source, *rest: pass_point("after-publish", source),
    )
    wrap(storage, "fetch", after=lambda _, name, target: pass_point("after-fetch", name))
    fetch_all = storage.fetch_all

    def fetch_and_tell(storage, wanted, tell=module.tell_nobody):
        def told(news):
            tell(news)
            if news.whole:
                pass_point("after-fetch", news.name)

        fetch_all(storage, wanted, told)

    storage.fetch_all = fetch_and_tell


def wrap_objects(module):
    """Points of single requests to a bucket."""

    def about_to_send(objects, name, *rest, **more):
        if name.startswith("attempts/"):
            pass_point("mid-copy", name)

    if patience := os.environ.get("CHAOS_PATIENCE_SECONDS"):
        module._TIMEOUT_SECONDS = (float(patience), float(patience))
    objects = module.Objects
    wrap(objects, "upload", before=about_to_send)
    wrap(objects, "copy", after=lambda _, source, *rest: pass_point("mid-publish", source))


def wrap_access(module):
    """A bucket that does not answer is waited for as long as the test says."""
    if patience := os.environ.get("CHAOS_PATIENCE_SECONDS"):
        module.Access.patience_seconds_at_first = float(patience)
        module.Access.patience_seconds_once_reached = float(patience)


def wrap_blender(module):
    """Points around a render."""
    wrap(
        module.Blender,
        "render",
        before=lambda _, frame, folder, *rest: pass_point("before-render", str(folder)),
        after=lambda _, frame, folder, *rest: pass_point("after-render", str(folder)),
    )


def wrap_finisher(module):
    """The manager has committed a frame and said so; the worker knows."""

    def answered(finisher, report, verdict):
        if verdict.answer == "publish":
            pass_point("after-verdict", report.attempt_id)

    wrap(module.Finisher, "on_verdict", before=answered)


def wrap_database(module):
    """Points inside and just after a commit, by the table that it changes."""
    import sqlalchemy

    current = threading.local()

    def tables():
        return getattr(current, "tables", set())

    def begin(database, groups):
        statements = (getattr(s, "statement", s) for g in groups for s in g.statements)
        current.tables = {s.table.name for s in statements if hasattr(s, "table")}

    def commit(connection):
        if "frames" in tables():
            pass_point("mid-commit")
        elif "attempts" in tables():
            pass_point("mid-claim")

    def committed(database, groups):
        if "frames" in tables():
            pass_point("after-commit")

    def opened(database, url):
        sqlalchemy.event.listen(database._engine, "commit", commit)

    wrap(module.Database, "__init__", after=opened)
    wrap(module.Database, "_run", before=begin, after=committed)


def wrap_publishing(module):
    """The manager has given a dead worker's frame its name, and not noted it."""
    wrap(module.Publishing, "_publish", after=lambda *rest: pass_point("after-sweep"))


def wrap_processes(module):
    """Around the start of a worker."""
    wrap(
        module.ProcessProvider,
        "_start",
        before=lambda _, name, threads: pass_point("before-spawn", name),
        after=lambda _, name, threads: pass_point("after-spawn", name),
    )


def wrap_client(module):
    """What is about to be said, and what was said without the answer being heard."""

    def sending(client, worker, message):
        finished = [report for report in message.reports if report.kind == "finished"]
        if finished:
            pass_point("before-send", finished[0].attempt_id)

    client = module.ManagerClient
    wrap(client, "beat", before=sending)
    wrap(client, "claim", before=sending)
    wrap(client, "submit", after=lambda *rest: pass_point("after-submit"))


WRAPS = {
    "burst.storage.access": wrap_access,
    "burst.storage.bucket": wrap_bucket,
    "burst.storage.directory": wrap_directory,
    "burst.storage.objects": wrap_objects,
    "burst.worker.blender": wrap_blender,
    "burst.worker.finisher": wrap_finisher,
    "burst.manager.database.database": wrap_database,
    "burst.manager.publishing": wrap_publishing,
    "burst.manager.autoscaler.processes": wrap_processes,
    "burst.protocol.client": wrap_client,
}


class WrappingFinder(importlib.abc.MetaPathFinder):
    """Finds the modules to wrap, and wraps them when they are loaded."""

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a module to wrap, else None."""
        if name not in WRAPS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_and_wrap(module):
            load(module)
            WRAPS[name](module)

        spec.loader.exec_module = load_and_wrap
        return spec


if FOLDER and WORDS:
    sys.meta_path.insert(0, WrappingFinder())
