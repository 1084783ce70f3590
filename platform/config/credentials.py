"""What the environment says of the stores of secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from django.core.exceptions import ImproperlyConfigured

from config.environment import names
from vault.backends.options import AwsOptions, CredentialOptions, OpenBaoOptions, SignIn

#: How variables that hold a tenant's secret begin; the tenant's tag follows in capitals.
_VARIABLE_START = "CREDENTIAL_"


def credential_options(environ: Mapping[str, str], *, local_folder: Path | None) -> CredentialOptions:
    """`local_folder` is where a run on its own machine keeps files of secrets, where nothing else is said.

    Raises `ImproperlyConfigured`.
    """
    folder = environ.get("CREDENTIALS_FOLDER", "")
    region = environ.get("CREDENTIALS_AWS_REGION", "")
    return CredentialOptions(
        openbao=_openbao(environ) if environ.get("VAULT_ADDR", "") else None,
        aws=AwsOptions(region=region, endpoint=environ.get("CREDENTIALS_AWS_ENDPOINT", "")) if region else None,
        folder=Path(folder) if folder else local_folder,
        variables={name: value for name, value in environ.items() if name.startswith(_VARIABLE_START)},
    )


def _openbao(environ: Mapping[str, str]) -> OpenBaoOptions:
    address = environ["VAULT_ADDR"].rstrip("/")
    if not address.startswith(("https://", "http://")):
        raise ImproperlyConfigured("VAULT_ADDR begins with https://, as in https://vault.example.com:8200.")
    sign_in = environ.get("VAULT_SIGN_IN", "token")
    if sign_in not in {"token", "approle", "kubernetes"}:
        raise ImproperlyConfigured("VAULT_SIGN_IN is token, approle or kubernetes.")
    defaults = OpenBaoOptions(address=address)
    jwt_file = environ.get("VAULT_KUBERNETES_TOKEN_FILE", "")
    return OpenBaoOptions(
        address=address,
        sign_in=cast("SignIn", sign_in),
        sign_in_mount=environ.get("VAULT_SIGN_IN_MOUNT", ""),
        token=environ.get("VAULT_TOKEN", ""),
        token_file=_file(environ.get("VAULT_TOKEN_FILE", "")),
        role_id=environ.get("VAULT_ROLE_ID", ""),
        secret_id=environ.get("VAULT_SECRET_ID", ""),
        secret_id_file=_file(environ.get("VAULT_SECRET_ID_FILE", "")),
        kubernetes_role=environ.get("VAULT_KUBERNETES_ROLE", ""),
        kubernetes_token_file=_file(jwt_file) or defaults.kubernetes_token_file,
        namespace=environ.get("VAULT_NAMESPACE", ""),
        tenant_namespace=environ.get("VAULT_TENANT_NAMESPACE", ""),
        kv_mount=environ.get("VAULT_KV_MOUNT", "") or defaults.kv_mount,
        dynamic_mounts=tuple(names(environ, "VAULT_DYNAMIC_MOUNTS", default=",".join(defaults.dynamic_mounts))),
        ca_bundle=environ.get("VAULT_CACERT", ""),
    )


def _file(text: str) -> Path | None:
    return Path(text) if text else None
