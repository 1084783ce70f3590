"""PostgreSQL and Valkey for a machine that has neither: real servers, shipped as wheels.

They run when ``DATABASE_URL`` and ``REDIS_URL`` are not set. Nothing here imports Django: the settings
and the test plugin ask for addresses before Django exists.
"""

from kernel.embedded.errors import EmbeddedServerError
from kernel.embedded.layout import Layout
from kernel.embedded.servers import Servers

__all__ = ["EmbeddedServerError", "Layout", "Servers"]
