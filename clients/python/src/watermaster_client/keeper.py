"""One settle on its way: written down at its first failure, struck off when the server has it."""

import logging

from watermaster_client.errors import ApiError, Failure
from watermaster_client.outbox import Outbox, Record

logger = logging.getLogger(__name__)


class Keeper:
    """Never raises: a disk that fails must not hide what the server said. It is logged, and `is_kept` stays false."""

    def __init__(self, outbox: Outbox | None, record: Record) -> None:
        self._outbox = outbox
        self._record = record
        self.is_kept = False

    def failed(self, failure: Failure) -> None:
        """An attempt failed: keep the settle for later, or apart where the server will never take it."""
        if self._outbox is None:
            return
        try:
            if isinstance(failure, ApiError) and failure.is_final:
                self._outbox.refuse(self._record, failure)
                self._strike_off()
            elif not self.is_kept:
                self._outbox.put(self._record)
                self.is_kept = True
        except OSError:
            logger.exception("The settle of %s could not be written down.", self._record.reservation_id)

    def took(self) -> None:
        """The server has it. If this cannot be noted, the replay sends it again, which changes nothing."""
        try:
            self._strike_off()
        except OSError:
            logger.exception("The settle of %s could not be struck off.", self._record.reservation_id)

    def _strike_off(self) -> None:
        if self._outbox is not None and self.is_kept:
            self._outbox.take_out(self._record.reservation_id)
            self.is_kept = False
