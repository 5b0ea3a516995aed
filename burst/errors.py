"""Every error that burst raises on purpose, in one tree.

::

    BurstError
    ├── UsageError                 what was typed makes no sense                     exit 2
    │   └── ConfigError            a setting in burst.toml or the environment        exit 2
    ├── SceneError                 the .blend, or what it needs                      exit 1
    │   ├── SceneUnreadable        not a .blend, cut, or damaged
    │   ├── SceneTooNew            saved by a newer Blender than the one at hand
    │   └── MissingFiles           files that the scene names and nobody has
    ├── ToolError                  a program burst needs                             exit 1
    │   ├── BlenderNotFound        no usable Blender on this machine
    │   ├── EngineUnavailable      the Blender here can't run the scene's engine
    │   ├── NoSuchDevice           no such GPU, or the worker may not use it
    │   ├── NotEnoughMemory        the job asks for more than there is
    │   ├── ToolMissing            another program is not installed, such as ffmpeg
    │   ├── BuildFailed            a container image could not be built
    │   ├── ImageMissing           neither here nor in the registry
    │   └── RegistryDenied         the registry does not take it, or does not tell
    ├── StorageError               a directory or bucket                             exit 1
    │   ├── StorageFull            no space left
    │   ├── StorageAway            not to be reached, or too busy: later it may work
    │   ├── StorageDenied          no permission, or none any more
    │   ├── BlobMissing            a file of a scene is not there, or damaged
    │   └── StorageConflict        another file holds the name
    ├── ClusterError               a Kubernetes cluster, or what runs on it          exit 1
    │   ├── ClusterUnreachable     its API server does not answer
    │   ├── ClusterDenied          no login there, or no right to do that
    │   ├── ClusterUnfit           it lacks what a farm needs, or has another one
    │   ├── NotOnCluster           what was asked for is not there
    │   └── RolloutFailed          what was put there did not come up
    ├── CloudError                 Google Cloud, or what is made there               exit 1
    │   ├── CloudDenied            no permission, no billing account
    │   │   └── LoginNeeded        no login, or one that is not taken any more
    │   ├── CloudQuota             more than the project may have
    │   ├── CloudConflict          it exists already, is in use, or has changed
    │   ├── CloudNotFound          there is no such thing
    │   ├── ApiDisabled            an API is not switched on in the project
    │   ├── CloudAway              not to be reached, too busy, or out of machines
    │   └── FarmBusy               another run of burst or terraform holds the farm
    ├── RunInterrupted             Ctrl-C while something was made or removed        exit 130
    ├── StateError                 the manager's state directory                     exit 1
    │   ├── FarmRunning            another manager holds the directory
    │   └── StateVersionError      written by another version of burst
    ├── ManagerUnreachable         nobody answers                                    exit 1
    ├── ManagerError               the manager answered with an error                exit 1
    │   ├── InvalidRequest         400 invalid_request
    │   ├── Unauthorized           401 unauthorized
    │   ├── Forbidden              403 forbidden
    │   ├── NotFound               404 not_found
    │   ├── NotAllowed             409 not_allowed: the status does not permit it
    │   ├── WorkerGone             410 worker_gone: this worker was given up
    │   ├── ManagerFailed          500 internal
    │   └── DatabaseUnavailable    503 database_unavailable: not on disk, try again
    ├── JobFailed                  the job ended with failed frames                  exit 3
    └── JobCanceled                the job was canceled                              exit 4

A message says what is wrong in one sentence; ``hint`` is the next thing to type or
change. Libraries' errors become one of these at the seam where they are caught,
``raise … from error``. Anything else that reaches a program's edge is a bug: exit 70.

On the wire a `ManagerError` is ``{"code", "message", "details"}``; `WIRE_ERRORS` is the
one table for both directions.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar

EXIT_DONE = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_JOB_FAILED = 3
EXIT_JOB_CANCELED = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""


class BurstError(Exception):
    """Something went wrong that burst knows about."""

    exit_status: ClassVar[int] = EXIT_FAILURE

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        """Keep the message (default: the class's docstring) and what to do about it."""
        super().__init__(message or (type(self).__doc__ or "").strip().rstrip("."))
        self.hint = hint

    @property
    def message(self) -> str:
        """One sentence, without a period."""
        return str(self.args[0])


class UsageError(BurstError):
    """The command line makes no sense."""

    exit_status = EXIT_USAGE


class ConfigError(UsageError):
    """A setting is wrong."""


class SceneError(BurstError):
    """The scene can't be rendered."""


class SceneUnreadable(SceneError):
    """The file is not a .blend, or it is damaged."""


class SceneTooNew(SceneError):
    """The scene was saved by a newer Blender than the one at hand."""


class MissingFiles(SceneError):
    """The scene needs files that are not there."""

    def __init__(
        self, message: str | None = None, *, files: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        """Keep ``files``, the missing paths as the .blend names them."""
        super().__init__(message, hint=hint)
        self.files = files


class ToolError(BurstError):
    """A program that burst needs failed."""


class BlenderNotFound(ToolError):
    """No usable Blender was found."""


class EngineUnavailable(ToolError):
    """The render engine can't run on this machine."""


class NoSuchDevice(ToolError):
    """The machine lacks the device to compute on."""


class NotEnoughMemory(ToolError):
    """The machine has too little memory."""


class ToolMissing(ToolError):
    """A program that is needed is not installed."""


class BuildFailed(ToolError):
    """A container image could not be built."""


class ImageMissing(ToolError):
    """There is no such container image."""


class RegistryDenied(ToolError):
    """The registry of images refuses access."""


class StorageError(BurstError):
    """The storage can't be read or written."""


class StorageFull(StorageError):
    """No space is left in the storage."""


class StorageAway(StorageError):
    """The storage does not answer."""


class StorageDenied(StorageError):
    """The storage refuses access."""


class BlobMissing(StorageError):
    """A file of a scene is not whole in the storage."""


class StorageConflict(StorageError):
    """Another file already holds the name."""


class ClusterError(BurstError):
    """The Kubernetes cluster refused, or something on it failed."""


class ClusterUnreachable(ClusterError):
    """The cluster does not answer."""


class ClusterDenied(ClusterError):
    """The cluster refuses access."""


class ClusterUnfit(ClusterError):
    """The cluster lacks what a farm needs."""


class NotOnCluster(ClusterError):
    """The cluster has no such thing."""


class RolloutFailed(ClusterError):
    """What was put on the cluster did not come up."""


class CloudError(BurstError):
    """Google Cloud refused, or something there failed."""


class CloudDenied(CloudError):
    """Google Cloud refuses access."""


class LoginNeeded(CloudDenied):
    """Nobody is logged in to Google Cloud."""


class CloudQuota(CloudError):
    """The project's quota is used up."""


class CloudConflict(CloudError):
    """Something else stands in the way."""


class CloudNotFound(CloudError):
    """There is no such thing in Google Cloud."""


class ApiDisabled(CloudError):
    """An API is not switched on in the project."""

    def __init__(
        self, message: str | None = None, *, service: str = "", hint: str | None = None
    ) -> None:
        """Keep ``service``, the API's name as it is switched on by."""
        super().__init__(message, hint=hint)
        self.service = service


class CloudAway(CloudError):
    """Google Cloud does not answer, or has too little just now."""


class FarmBusy(CloudError):
    """Another run holds the farm."""


class RunInterrupted(BurstError):
    """The run was interrupted."""

    exit_status = EXIT_INTERRUPTED


class StateError(BurstError):
    """The state directory can't be used."""


class FarmRunning(StateError):
    """Another manager uses the state directory."""


class StateVersionError(StateError):
    """The state directory was written by another version of burst."""


class ManagerUnreachable(BurstError):
    """The manager does not answer."""


class ManagerError(BurstError):
    """The manager refused the request."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Keep ``details``, plain JSON for programs."""
        super().__init__(message, hint=hint)
        self.details = details or {}


class InvalidRequest(ManagerError):
    """The request is malformed."""

    code = "invalid_request"
    http_status = 400


class Unauthorized(ManagerError):
    """The token is missing or wrong."""

    code = "unauthorized"
    http_status = 401


class Forbidden(ManagerError):
    """The request does not come from where it may."""

    code = "forbidden"
    http_status = 403


class NotFound(ManagerError):
    """There is no such thing."""

    code = "not_found"
    http_status = 404


class NotAllowed(ManagerError):
    """The present status does not permit this."""

    code = "not_allowed"
    http_status = 409


class WorkerGone(ManagerError):
    """The manager has given this worker up."""

    code = "worker_gone"
    http_status = 410


class ManagerFailed(ManagerError):
    """The manager hit a bug."""

    code = "internal"
    http_status = 500


class DatabaseUnavailable(ManagerError):
    """The manager could not write its database."""

    code = "database_unavailable"
    http_status = 503


class JobFailed(BurstError):
    """The job failed."""

    exit_status = EXIT_JOB_FAILED


class JobCanceled(BurstError):
    """The job was canceled."""

    exit_status = EXIT_JOB_CANCELED


WIRE_ERRORS: dict[str, type[ManagerError]] = {
    error.code: error
    for error in (
        InvalidRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        NotAllowed,
        WorkerGone,
        ManagerFailed,
        DatabaseUnavailable,
    )
}
"""Code on the wire → class; each class carries its HTTP status."""


_AWAY = (
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.EIO,
    errno.ENETUNREACH, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT,
)  # fmt: skip
"""What a mount answers when what is behind it can't be reached; EIO is also a failing disk."""


def storage_error(error: OSError, what: str) -> StorageError:
    """Turn an `OSError` on a storage path into ours; ``what`` says what was being done."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"{what}: no space left on the disk", hint="free some space, then go on")
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in _AWAY:
        return StorageAway(f"{what}: {reason}{where}", hint="look whether it is mounted")
    return StorageError(f"{what}: {reason}{where}")
