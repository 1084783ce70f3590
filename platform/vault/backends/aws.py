"""AWS Secrets Manager. Needs the extra `aws`."""

import importlib
import logging
from typing import Any, Final

from kernel.ids import Tag
from vault.backends.door import Fetched, FetchFailed
from vault.backends.http import TIMEOUT_SECONDS
from vault.backends.options import AwsOptions
from vault.backends.texts import secret_of_text
from vault.kinds import Health

#: Error codes of the service; any other is the service's own trouble.
_HEALTH_OF: Final = {
    "ResourceNotFoundException": Health.NOT_THERE,
    "InvalidRequestException": Health.NOT_THERE,
    "AccessDeniedException": Health.FORBIDDEN,
    "UnrecognizedClientException": Health.FORBIDDEN,
    "InvalidSignatureException": Health.FORBIDDEN,
    "ExpiredTokenException": Health.FORBIDDEN,
    "DecryptionFailure": Health.FORBIDDEN,
    "InvalidParameterException": Health.GARBAGE,
}


class AwsMissing(Exception):
    """boto3 is not installed: add the extra `aws`."""


class SecretsManager:
    """One region. A secret is a JSON object of strings, or the text itself. Safe to share between threads."""

    def __init__(self, options: AwsOptions) -> None:
        try:
            boto3 = importlib.import_module("boto3")
            config = importlib.import_module("botocore.config")
            self._errors = importlib.import_module("botocore.exceptions")
        except ImportError:
            raise AwsMissing from None
        # At DEBUG it writes down whole answers.
        for name in ("boto3", "botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.INFO)
        connect_seconds, read_seconds = TIMEOUT_SECONDS
        self._client: Any = boto3.session.Session().client(
            "secretsmanager",
            region_name=options.region,
            endpoint_url=options.endpoint or None,
            config=config.Config(
                connect_timeout=connect_seconds, read_timeout=read_seconds, retries={"total_max_attempts": 1}
            ),
        )

    def fetch(self, *, tag: Tag, path: str, version: str) -> Fetched:
        which = {} if not version else {("VersionStage" if version.startswith("AWS") else "VersionId"): version}
        answer = self._asked("get_secret_value", SecretId=path, **which)
        text = answer.get("SecretString")
        if not isinstance(text, str) or not text or answer.get("Name") != path:
            raise FetchFailed(Health.GARBAGE)
        return Fetched(secret=secret_of_text(text), version=str(answer.get("VersionId", "")))

    def renew(self, *, tag: Tag, lease_id: str, seconds: int) -> int:
        """Nothing is made for a lease here."""
        return seconds

    def give_back(self, *, tag: Tag, lease_id: str) -> None:
        """Nothing is made for a lease here."""

    def probe(self, *, tag: Tag, path: str, version: str) -> None:
        """Asks for the description, which holds no secret."""
        answer = self._asked("describe_secret", SecretId=path)
        stages = answer.get("VersionIdsToStages", {})
        is_there = not version or version in stages or any(version in names for names in stages.values())
        if answer.get("DeletedDate") or answer.get("Name") != path or not is_there:
            raise FetchFailed(Health.NOT_THERE)

    def _asked(self, operation: str, **named: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**named)
        except self._errors.ClientError as error:
            failure = _HEALTH_OF.get(error.response.get("Error", {}).get("Code", ""), Health.UNREACHABLE)
        except (self._errors.NoCredentialsError, self._errors.PartialCredentialsError):
            failure = Health.FORBIDDEN
        except (self._errors.HTTPClientError, self._errors.ConnectionError):
            failure = Health.UNREACHABLE
        except Exception:  # noqa: BLE001  it may carry what was answered, so it goes no further
            failure = Health.GARBAGE
        else:
            return answer
        raise FetchFailed(failure)
