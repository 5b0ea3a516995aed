"""Becomes Blender, after it gave away what a scene must not have.

Started by burst's own Python as ``python -I -S cage.py <policy> <command> …``, with the policy
as JSON (`burst.worker.trust` makes it). It shuts itself in and then *is* the command: Blender
is caged before its first instruction, in every thread. To do so from the driver would be too
late, for a cage holds the thread that asks for it and Blender has a dozen by then.

Two layers of the kernel's own, both for good and for everything that Blender starts:

* Landlock: which files can be read, written and executed, no TCP, no signals to others. What
  an older kernel can't hold is held by the other layer, or named in ``docs/security.md``.
* A system call filter: sockets of every kind, and what changes a file without opening it.

A superuser loses all rights but those over files. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Any

EXIT_NO_CAGE = 71
"""Exit status when the cage can't be built; nothing was started then."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls; on every machine the same."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_OF_VERSION = (0, 13, 14, 15, 15, 16)
"""Landlock's version → how many rights over files it knows; later ones know as many."""
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_TCP = 0b11
_TCP_SINCE = 4
_SIGNALS_AND_SOCKETS = 0b11
_SIGNALS_SINCE = 6

_WRITE = _WRITE_FILE | _TRUNCATE | _MAKE_FILE | _MAKE_DIR
RIGHTS = {
    "run": _EXECUTE | _READ_FILE | _READ_DIR,
    "read": _READ_FILE | _READ_DIR,
    "by_name": _READ_FILE,
    "list": _READ_DIR,
    "grow": _READ_FILE | _READ_DIR | _WRITE,
    "write": _READ_FILE | _READ_DIR | _WRITE | _REMOVE_FILE | _REMOVE_DIR | _REFER,
    "shared": _READ_FILE | _WRITE | _REMOVE_FILE,
    "device": _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEVICE,
}
"""Kind of a path in the policy → what may be done with it and all below it.

``by_name`` is for who knows the name, for the folder can't be listed, and so is ``shared``;
``grow`` is to add and change files, but to remove and replace none. Nobody may make links,
sockets or devices.
"""

_KEPT_CAPABILITIES = (1, 2, 3)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: a superuser's scratch may be another's."""
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_SECCOMP = 38, 24, 22
_SECCOMP_MODE_FILTER = 2

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Machine → the kernel's number for it, and its column below."""
MACHINES = tuple(_ARCHITECTURES)
"""Those that there is a system call filter for."""
_FORBIDDEN = {
    # What changes a file without opening it: Landlock does not see it.
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # To leave the process group that the worker kills in the end.
    "setsid": (112, 157),
    "setpgid": (109, 154),
    # The user's keys.
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Does all of the above, past the filter.
    "io_uring_setup": (425, 425),
}
"""System call → its number on x86_64 and on aarch64."""
_SOCKET = (41, 198)
_LIMIT_OF = (302, 261)
"""prlimit64: a limit on processor time kills as well as a signal does."""
_SIGNALS_BY_PID = {"kill": (62, 129), "tgkill": (234, 131)}
_OTHER_SIGNALS = {
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
_AF_UNIX = 1
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
"""BPF: load a word, jump if equal, jump if at least, return."""
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000


class NoCageError(Exception):
    """A part of the cage could not be built."""


def landlock_version() -> int:
    """Return which version of Landlock the kernel has, 0 if none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)))


def close_in(policy: Mapping[str, Any], version: int) -> None:
    """Shut this thread and whatever it starts from now on in, for good.

    Args:
        policy: under ``paths`` a list of paths for each kind of `RIGHTS`, those that are not
            there are left out; ``graphics`` is true if an X server may be talked to.
        version: of Landlock, as `landlock_version` returns it; 0 leaves the filter alone.

    Raises:
        NoCageError: a part can't be built.
    """
    for capability in set(range(64)) - set(_KEPT_CAPABILITIES):
        # Not ours to drop unless we are a superuser; who is none has none.
        _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if version:
        _restrict_files(policy["paths"], version)
    _restrict_calls(policy["graphics"], own_signals_only=version < _SIGNALS_SINCE)


def _restrict_files(paths: Mapping[str, Iterable[str]], version: int) -> None:
    known = (1 << _ALL_OF_VERSION[min(version, len(_ALL_OF_VERSION) - 1)]) - 1
    words = [known]
    if version >= _TCP_SINCE:
        words.append(_TCP)
    if version >= _SIGNALS_SINCE:
        words.append(_SIGNALS_AND_SOCKETS)
    attributes = struct.pack(f"={len(words)}Q", *words)
    size = ctypes.c_size_t(len(attributes))
    rules = _check(_libc().syscall(_CREATE_RULESET, attributes, size, 0), "Landlock")
    for kind, places in paths.items():
        for place in places:
            _add_rule(rules, place, RIGHTS[kind] & known)
    _check(_libc().syscall(_RESTRICT_SELF, rules, 0), "Landlock")
    os.close(rules)


def _add_rule(rules: int, place: str, rights: int) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # Not every machine has every folder; what can't be looked at can't be read either.
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, opened)
        _check(_libc().syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0), place)
    finally:
        os.close(opened)


def _restrict_calls(graphics: bool, *, own_signals_only: bool) -> None:
    machine = platform.machine()
    if machine not in MACHINES:
        # No Blender is made for it; the caller has said so if there is one all the same.
        return
    program = _filter(machine, graphics, own_signals_only)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    held = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a length, and a pointer where the machine wants it.
    described = struct.pack("@HP", len(program), ctypes.addressof(held))
    done = _libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0)
    _check(done, "the system call filter")


def _filter(
    machine: str, graphics: bool, own_signals_only: bool
) -> list[tuple[int, int, int, int]]:
    """Return the BPF program that decides on every system call."""
    architecture, column = _ARCHITECTURES[machine]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        # The calls of another machine that this one can play have other numbers.
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
    ]
    never = dict(_FORBIDDEN)
    sometimes: list[tuple[tuple[int, int], tuple[int, ...]]] = [
        (_SOCKET, (_AF_UNIX,) if graphics else ()),
        (_LIMIT_OF, (0,)),
    ]
    if own_signals_only:
        never.update(_OTHER_SIGNALS)
        sometimes += [(numbers, (0, os.getpid())) for numbers in _SIGNALS_BY_PID.values()]
    for numbers in never.values():
        number = numbers[column]
        if number is not None:
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | errno.EPERM)]
    for numbers, allowed in sometimes:
        program += _only(numbers[column], allowed)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _only(number: int, allowed: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Return the instructions that let a call pass if its first argument is one of these."""
    tests = [(_EQUAL, len(allowed) - place, 0, argument) for place, argument in enumerate(allowed)]
    inner = [
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *tests,
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [(_EQUAL, 0, len(inner), number), *inner]


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        raise NoCageError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def main() -> None:
    """Shut in, and become the command; return only by an exception."""
    policy, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        close_in(policy, min(landlock_version(), policy["version"]))
        os.execv(command[0], command)  # noqa: S606 - no shell is what is wanted
    except (NoCageError, OSError) as error:
        sys.stderr.write(f"Error: Blender's cage can't be built: {error}\n")
    sys.exit(EXIT_NO_CAGE)


if __name__ == "__main__":
    main()
