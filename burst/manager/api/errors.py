"""Errors on the wire: ours become ``{code, message, hint, details}``, bugs become a 500."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from burst.errors import (
    BurstError,
    DatabaseUnavailable,
    InvalidRequest,
    ManagerError,
    ManagerFailed,
    NotFound,
    StorageError,
)
from burst.protocol.messages import ErrorBody

log = logging.getLogger(__name__)


def answer(error: ManagerError) -> Response:
    """Return the response that carries an error."""
    body = ErrorBody(code=error.code, message=error.message, hint=error.hint, details=error.details)
    return JSONResponse(body.model_dump(), status_code=error.http_status)


def install(app: FastAPI) -> None:
    """Let every error that leaves a handler of ``app`` be answered as ours."""

    async def ours(request: Request, error: Exception) -> Response:
        return answer(_as_manager_error(error))

    async def invalid(request: Request, error: Exception) -> Response:
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        text = "; ".join(
            f"{'.'.join(map(str, problem['loc'][1:]))}: {problem['msg']}" for problem in problems
        )
        return answer(InvalidRequest(text or "the request is malformed"))

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = NotFound if status == 404 else InvalidRequest
        response = answer(kind(f"{request.method} {request.url.path} is not a call of burst"))
        response.status_code = status
        return response

    async def bug(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(ManagerFailed("the manager hit a bug; its log has the details"))

    app.add_exception_handler(BurstError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, bug)


def _as_manager_error(error: Exception) -> ManagerError:
    if isinstance(error, ManagerError):
        return error
    if isinstance(error, StorageError):
        return DatabaseUnavailable(error.message, hint=error.hint)
    if isinstance(error, BurstError):
        return InvalidRequest(error.message, hint=error.hint)
    return ManagerFailed()
