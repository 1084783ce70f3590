"""How this installation reaches the stores of secrets, as the settings say. No `repr` shows what opens them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

type SignIn = Literal["token", "approle", "kubernetes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBaoOptions:
    """A server of OpenBao or Vault, and how this program signs in to it.

    `namespace` is where it signs in. `tenant_namespace` is where secrets are read; `{tenant}` in it is the tenant's
    tag, and empty means the same. Files are read anew at each sign-in, for whoever renews them meanwhile.
    """

    address: str
    sign_in: SignIn = "token"
    sign_in_mount: str = ""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    role_id: str = ""
    secret_id: str = field(default="", repr=False)
    secret_id_file: Path | None = None
    kubernetes_role: str = ""
    kubernetes_token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    namespace: str = ""
    tenant_namespace: str = ""
    kv_mount: str = "secret"
    dynamic_mounts: tuple[str, ...] = ("database",)
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOptions:
    """AWS Secrets Manager of one region; `endpoint` for a stand-in. Who asks, the AWS library finds out by itself."""

    region: str
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialOptions:
    """Everything that is set up. What is None or empty is not: references to it are leased to nobody."""

    openbao: OpenBaoOptions | None = None
    aws: AwsOptions | None = None
    folder: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
