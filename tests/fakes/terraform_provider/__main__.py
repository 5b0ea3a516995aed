"""The provider as a process."""

from __future__ import annotations

from tests.fakes.terraform_provider.plugin import serve
from tests.fakes.terraform_provider.servicer import Servicer, logged

if __name__ == "__main__":
    serve({name: logged(one) for name, one in Servicer().handlers().items()})
