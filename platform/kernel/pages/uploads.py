"""Files that people send with a form: held in memory, and refused before they are read where they are too long.

Django would write a long one to the disk, and of any form at any address, before it asks who sends it.
"""

from typing import Any, Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler

#: What the other fields of such a form may add.
_FIELDS_BYTES_MAX: Final = 64 * 1024


class BoundedUpload(MemoryFileUploadHandler):
    """The only handler. A form is as long as `FILE_UPLOAD_MAX_MEMORY_SIZE` at most, with all its files."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803  Django's name for it
        content_length: int,
        boundary: Any,
        encoding: str | None = None,
    ) -> None:
        if content_length > settings.FILE_UPLOAD_MAX_MEMORY_SIZE + _FIELDS_BYTES_MAX:
            raise RequestDataTooBig("The form is longer than any may be.")
        # The file itself is measured by its own form.
        self.activated = True
