"""Operations that take time: asked until they are done, or until Terraform wants to end."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.terraform_provider.google import Body, Failed, Google


class Stopped(Failed):
    """Terraform wants to end, and the operation goes on without it."""


def wait_for_compute(google: Google, operation: Body, base: str, what: str) -> Body:
    """Wait for an operation of Compute.

    Args:
        google: Makes the calls.
        operation: As the API gave it.
        base: Where operations are, as `projects/p/global`.
        what: As an error tells it.
    """
    return _wait(
        google, "compute", f"{base}/operations/{operation['name']}", what, _compute_problem
    )


def wait_for_container(google: Google, operation: str, base: str, what: str) -> Body:
    """Wait for an operation of GKE; see `wait_for_compute`."""
    return _wait(google, "container", f"{base}/operations/{operation}", what, _container_problem)


def wait_for_long_running(google: Google, service: str, operation: Body, what: str) -> Body:
    """Wait for an operation as the newer APIs have it; see `wait_for_compute`."""
    if operation.get("done"):
        _raise(what, _long_running_problem(operation))
        return operation
    return _wait(google, service, operation["name"], what, _long_running_problem)


def _wait(
    google: Google, service: str, path: str, what: str, problem: Callable[[Body], str]
) -> Body:
    while True:
        operation = google.call("GET", service, path)
        if operation.get("status") == "DONE" or operation.get("done"):
            _raise(what, problem(operation))
            return operation
        if google.stopping.wait(google.poll_seconds):
            raise Stopped(f"Error waiting for {what}: context canceled")


def _raise(what: str, problem: str) -> None:
    if problem:
        raise Failed(f"Error waiting for {what}: {problem}")


def _compute_problem(operation: Body) -> str:
    errors = operation.get("error", {}).get("errors", [])
    return "\n".join(one.get("message", "") for one in errors)


def _container_problem(operation: Body) -> str:
    if "error" in operation:
        return str(operation["error"].get("message") or operation.get("statusMessage", ""))
    return ""


def _long_running_problem(operation: Body) -> str:
    if "error" not in operation:
        return ""
    return (
        f"Error code {operation['error'].get('code')}, message: {operation['error'].get('message')}"
    )
