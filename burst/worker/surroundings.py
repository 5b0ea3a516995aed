"""How a Blender is started: its command line, and an environment with nothing of ours.

A ``blender`` inside a Python environment can pick up the wrong Python, and a scene must
not find a token or the artist's preferences. So only variables that a Blender needs to find
libraries and graphics are passed on, and its home and temporary files are its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

PYTHON_EXIT_CODE = 70
"""What ``blender`` exits with when the driver raises; without it, it would go on."""

_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DISPLAY", "XAUTHORITY", "OCIO")
_PASSED_ON_PREFIXES = (
    "LC_",
    "CUDA_",
    "CYCLES_",
    "NVIDIA_",
    "HIP_",
    "ROCR_",
    "ZE_",
    "SYCL_",
    "MESA_",
    "LIBGL_",
    "GALLIUM_",
    "VK_",
    "__EGL_",
    "__GLX_",
)
_SYSTEM_FOLDERS = ("/usr/bin", "/bin")
_OF_X = ("DISPLAY", "XAUTHORITY")
"""Who has an X server can see and type what its user does."""
_KEPT_AT_HOME = (".cache", ".nv")
_OWN_FOLDERS = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "home/.cache",
    "XDG_CONFIG_HOME": "home/.config",
    # Otherwise a folder of /var/tmp, which a caged Blender can't write to.
    "OPTIX_CACHE_PATH": "home/.cache/optix",
    "BLENDER_USER_RESOURCES": "home/blender",
    "BLENDER_USER_CONFIG": "home/blender/config",
    "BLENDER_USER_SCRIPTS": "home/blender/scripts",
    "BLENDER_USER_DATAFILES": "home/blender/datafiles",
    "BLENDER_USER_EXTENSIONS": "home/blender/extensions",
}


def command_line(program: Path, kind: str, script: Path, pipes: tuple[int, int]) -> list[str]:
    """Return the command that runs ``script`` inside a Blender.

    Args:
        program: a ``blender``, or the ``python`` that has bpy.
        kind: ``binary`` or ``bpy``.
        script: what to run in it.
        pipes: the descriptors that the script reads from and writes to.
    """
    numbers = [str(number) for number in pipes]
    if kind == "bpy":
        # Isolated: burst's own modules lie beside the script and must not shadow others.
        return [str(program), "-I", str(script), *numbers]
    return [
        str(program),
        "-b",
        "--factory-startup",
        "--disable-autoexec",
        # Nobody listens, and to look for a sound card takes a socket.
        "-noaudio",
        "--python-exit-code",
        str(PYTHON_EXIT_CODE),
        "--python",
        str(script),
        "--",
        *numbers,
    ]


def prepare(scratch: Path, *, graphics: bool = True) -> dict[str, str]:
    """Make a Blender's own folders below ``scratch`` and return its whole environment.

    What an earlier Blender left is deleted: it may have been another job's, and a script in
    the home can be run at the next start. Only the shaders that were compiled are kept.

    Args:
        scratch: folder for all of it.
        graphics: say where the X server is, if there is one.

    Raises:
        OSError: a folder can't be made.
    """
    shutil.rmtree(scratch / _OWN_FOLDERS["TMPDIR"], ignore_errors=True)
    home = scratch / _OWN_FOLDERS["HOME"]
    for former in home.iterdir() if home.is_dir() else ():
        if former.name not in _KEPT_AT_HOME:
            _remove(former)
    for name in _OWN_FOLDERS.values():
        (scratch / name).mkdir(parents=True, exist_ok=True)
    env = environment(os.environ, scratch)
    return {name: value for name, value in env.items() if graphics or name not in _OF_X}


def forget(scratch: Path) -> None:
    """Delete the home of a Blender, compiled shaders included: a script could plant some."""
    shutil.rmtree(scratch / _OWN_FOLDERS["HOME"], ignore_errors=True)


def crash_reports(scratch: Path) -> Path:
    """Return where a Blender with such surroundings leaves a report when it crashes."""
    return scratch / _OWN_FOLDERS["TMPDIR"]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def environment(outer: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the environment of a Blender, made from our own."""
    env = {
        name: value
        for name, value in outer.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    others = (
        folder
        for folder in outer.get("PATH", "").split(os.pathsep)
        # Not Path.exists: it raises where a folder is closed to us, as another user's is.
        if folder and not os.path.exists(Path(folder).parent / "pyvenv.cfg")  # noqa: PTH110
    )
    # A distribution's Blender takes for its own the first Python that it finds there, and one of
    # pyenv or conda lies where a caged Blender reads nothing.
    env["PATH"] = os.pathsep.join(dict.fromkeys((*_SYSTEM_FOLDERS, *others)))
    env.update({name: str(scratch / folder) for name, folder in _OWN_FOLDERS.items()})
    return env
