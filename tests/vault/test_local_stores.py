"""Files and the environment of the machine, and AWS Secrets Manager: the tenant's own, and nothing beside it."""

import os
from pathlib import Path
from typing import Any, Final

import boto3  # type: ignore[import-untyped]
import pytest
from moto import mock_aws
from pytest_django import Settings

from kernel.ids import Tag, mint_tag
from vault.backends.door import BYTES_MAX, FetchFailed
from vault.backends.files import Files
from vault.backends.options import AwsOptions, CredentialOptions, OpenBaoOptions
from vault.backends.variables import Variables
from vault.kinds import BackEnd, Health
from vault.locations import Location
from vault.services.fetching import fetch, probe

SLACK: Final = Location(path="wm/{tenant}/slack")
TOKEN: Final = "xoxb-of-the-machine"


@pytest.fixture
def tag() -> Tag:
    return mint_tag()


def get(tag: Tag, back_end: BackEnd, location: Location = SLACK) -> dict[str, str]:
    return fetch(tag=tag, back_end=back_end, location=location).secret.reveal()


def health_of(tag: Tag, back_end: BackEnd, location: Location = SLACK) -> Health:
    with pytest.raises(FetchFailed) as failure:
        fetch(tag=tag, back_end=back_end, location=location)
    return failure.value.health


class TestFiles:
    @pytest.fixture
    def own(self, tmp_path: Path, tag: Tag, settings: Settings) -> Path:
        """The tenant's own folder."""
        settings.CREDENTIALS = CredentialOptions(folder=tmp_path)
        own = tmp_path / "wm" / tag
        own.mkdir(parents=True)
        return own

    def test_hold_what_can_be_written_as_utf_8(self, own: Path, tag: Tag) -> None:
        (own / "slack").write_text('{"token": "half of a pair: \\ud800"}')
        assert health_of(tag, BackEnd.FILE) == Health.GARBAGE

        (own / "slack").write_text('{"half of a pair: \\udc00": "token"}')
        assert health_of(tag, BackEnd.FILE) == Health.GARBAGE

    @pytest.mark.parametrize(
        ("content", "fields"),
        [
            (TOKEN, {"value": TOKEN}),
            (f"{TOKEN}\n", {"value": TOKEN}),
            (f'{{"token": "{TOKEN}", "user": "bot"}}', {"token": TOKEN, "user": "bot"}),
            ("{not json", {"value": "{not json"}),
        ],
    )
    def test_hold_fields_or_one_text(self, own: Path, tag: Tag, content: str, fields: dict[str, str]) -> None:
        (own / "slack").write_text(content)

        assert get(tag, BackEnd.FILE) == fields
        assert probe(tag=tag, back_end=BackEnd.FILE, location=SLACK) == Health.GOOD

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b'{"a": 1}', b"{}", b"x" * (BYTES_MAX + 1)])
    def test_of_something_else_are_refused(self, own: Path, tag: Tag, content: bytes) -> None:
        (own / "slack").write_bytes(content)

        assert health_of(tag, BackEnd.FILE) == Health.GARBAGE

    def test_that_are_links_or_folders_or_pipes_are_refused(self, own: Path, tag: Tag, tmp_path: Path) -> None:
        other = tmp_path / "wm" / mint_tag()
        other.mkdir()
        (other / "slack").write_text("theirs")
        (own / "slack").symlink_to(other / "slack")
        (own / "inner").symlink_to(other)
        (own / "folder").mkdir()
        os.mkfifo(own / "pipe")

        assert health_of(tag, BackEnd.FILE) == Health.FORBIDDEN
        for name in ("inner/slack", "folder", "pipe"):
            location = Location(path=f"wm/{{tenant}}/{name}")
            assert health_of(tag, BackEnd.FILE, location) in {Health.FORBIDDEN, Health.NOT_THERE}
            assert probe(tag=tag, back_end=BackEnd.FILE, location=location) != Health.GOOD

    def test_that_are_not_there_are_missed(self, own: Path, tag: Tag) -> None:
        assert health_of(tag, BackEnd.FILE) == Health.NOT_THERE
        assert health_of(mint_tag(), BackEnd.FILE) == Health.NOT_THERE

    def test_leave_no_file_open(self, own: Path, tag: Tag) -> None:
        (own / "slack").write_text(TOKEN)
        door = Files(own.parent.parent)
        before = len(list(Path("/proc/self/fd").iterdir()))
        for name in ("slack", "nothing", ""):
            for _ in range(20):
                try:
                    door.fetch(tag=tag, path=f"wm/{tag}/{name}" if name else f"wm/{tag}", version="")
                except FetchFailed:
                    continue

        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


class TestEnvironment:
    def test_gives_a_tenant_its_own_variables(self, tag: Tag, settings: Settings) -> None:
        location = Location(path="CREDENTIAL_{tenant}_SLACK")
        settings.CREDENTIALS = CredentialOptions(
            variables={f"CREDENTIAL_{tag.upper()}_SLACK": TOKEN, f"CREDENTIAL_{tag.upper()}_EMPTY": ""}
        )

        assert get(tag, BackEnd.ENVIRONMENT, location) == {"value": TOKEN}
        assert health_of(mint_tag(), BackEnd.ENVIRONMENT, location) == Health.NOT_THERE
        empty = Location(path="CREDENTIAL_{tenant}_EMPTY")
        assert health_of(tag, BackEnd.ENVIRONMENT, empty) == Health.NOT_THERE
        assert TOKEN not in repr(settings.CREDENTIALS)

    @pytest.mark.parametrize("name", ["PATH", "WATERMASTER_SECRET", "CREDENTIAL_OTHER"])
    def test_gives_nothing_else(self, tag: Tag, name: str) -> None:
        with pytest.raises(FetchFailed):
            Variables({name: TOKEN}).fetch(tag=tag, path=name, version="")


class TestAws:
    @pytest.fixture
    def aws(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, tag: Tag) -> Any:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        with mock_aws():
            settings.CREDENTIALS = CredentialOptions(aws=AwsOptions(region="eu-west-1"))
            client = boto3.client("secretsmanager", region_name="eu-west-1")
            client.create_secret(Name=f"wm/{tag}/slack", SecretString=f'{{"token": "{TOKEN}"}}')
            yield client

    def test_gives_the_newest_or_the_one_before(self, aws: Any, tag: Tag) -> None:
        assert get(tag, BackEnd.AWS) == {"token": TOKEN}
        newer = aws.put_secret_value(SecretId=f"wm/{tag}/slack", SecretString='{"token": "newer"}')

        assert get(tag, BackEnd.AWS) == {"token": "newer"}
        for version, token in (("AWSPREVIOUS", TOKEN), (newer["VersionId"], "newer")):
            location = Location(path=SLACK.path, version=version)
            assert get(tag, BackEnd.AWS, location) == {"token": token}
            assert probe(tag=tag, back_end=BackEnd.AWS, location=location) == Health.GOOD

    def test_says_what_is_not_there(self, aws: Any, tag: Tag) -> None:
        assert health_of(mint_tag(), BackEnd.AWS) == Health.NOT_THERE
        assert probe(tag=mint_tag(), back_end=BackEnd.AWS, location=SLACK) == Health.NOT_THERE
        unknown = Location(path=SLACK.path, version="0" * 32)
        assert health_of(tag, BackEnd.AWS, unknown) == Health.NOT_THERE
        assert probe(tag=tag, back_end=BackEnd.AWS, location=unknown) == Health.NOT_THERE
        aws.delete_secret(SecretId=f"wm/{tag}/slack")
        assert health_of(tag, BackEnd.AWS) == Health.NOT_THERE
        assert probe(tag=tag, back_end=BackEnd.AWS, location=SLACK) == Health.NOT_THERE

    def test_takes_texts_alone(self, aws: Any, tag: Tag) -> None:
        aws.create_secret(Name=f"wm/{tag}/bytes", SecretBinary=b"x")

        assert health_of(tag, BackEnd.AWS, Location(path="wm/{tenant}/bytes")) == Health.GARBAGE

    def test_that_is_away_has_a_cause(self, tag: Tag, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        settings.CREDENTIALS = CredentialOptions(aws=AwsOptions(region="eu-west-1", endpoint="http://127.0.0.1:9"))

        assert health_of(tag, BackEnd.AWS) == Health.UNREACHABLE


class TestNothing:
    @pytest.mark.parametrize("back_end", BackEnd)
    def test_is_leased_where_nothing_is_set_up(self, tag: Tag, settings: Settings, back_end: BackEnd) -> None:
        settings.CREDENTIALS = CredentialOptions()
        path = "CREDENTIAL_{tenant}_A" if back_end == BackEnd.ENVIRONMENT else "wm/{tenant}/a"
        path = "database/creds/{tenant}-a" if back_end == BackEnd.DYNAMIC else path

        assert health_of(tag, back_end, Location(path=path)) == Health.NOT_SET_UP
        assert probe(tag=tag, back_end=back_end, location=Location(path=path)) == Health.NOT_SET_UP

    @pytest.mark.parametrize("back_end", BackEnd)
    def test_leads_out_of_the_tenants_place_though_it_was_saved(
        self, tag: Tag, settings: Settings, tmp_path: Path, back_end: BackEnd
    ) -> None:
        (tmp_path / "wm" / "other").mkdir(parents=True)
        (tmp_path / "wm" / "other" / "slack").write_text("theirs")
        settings.CREDENTIALS = CredentialOptions(folder=tmp_path, variables={"CREDENTIAL_OTHER": "theirs"})
        for path in ("wm/other/slack", "wm/{tenant}/../other/slack", "wm/{tenant}/%2e%2e/other", "CREDENTIAL_OTHER"):
            assert health_of(tag, back_end, Location(path=path)) == Health.FORBIDDEN

    def test_shows_what_opens_a_store(self) -> None:
        options = OpenBaoOptions(address="https://bao.test", token="planted-token", secret_id="planted-id")

        assert "planted" not in repr(CredentialOptions(openbao=options, variables={"CREDENTIAL_A": "planted"}))
