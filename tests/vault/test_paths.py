"""A reference leads below its own tenant's place and nowhere else, however its path is written."""

from typing import Final

import pytest

from kernel.ids import PLATFORM_TAG, Tag
from vault.kinds import BackEnd
from vault.paths import EXAMPLES, LENGTH_MAX, PathRefused, check_template, own_place, resolve

# Fixed: the names of tests are the same in every process.
TAG: Final = Tag("yofk5lzhytiinjuf4eob")
OTHER: Final = Tag("mq3dv7wcaxk2s6bhtnrz")

#: What somebody writes who wants to read what is not theirs.
TRICKS: Final = [
    "",
    "/",
    "wm",
    "wm/{tenant}",
    "wm/{tenant}/",
    "wm/{tenant}//slack",
    "/wm/{tenant}/slack",
    "wm/{tenant}/slack/",
    "{tenant}",
    "{tenant}/slack",
    "wm/slack",
    f"wm/{OTHER}/slack",
    f"wm/{OTHER}/{{tenant}}/slack",
    "wm/{tenant}/{tenant}",
    "wm/{tenant}x/slack",
    "wm/x{tenant}/slack",
    "wm/{Tenant}/slack",
    "wm/{{tenant}}/slack",
    "wm/{tenant!r}/slack",
    "wm/{tenant.__class__}/slack",
    "wm/$(id)/{tenant}/slack",
    "wm/{tenant}/../other/slack",
    "wm/{tenant}/..",
    "wm/{tenant}/.",
    "wm/{tenant}/...",
    "wm/{tenant}/./slack",
    "wm/{tenant}/a/../../b",
    "wm/{tenant}/%2e%2e/other",
    "wm/{tenant}/%2E%2E%2Fother",
    "wm/{tenant}/%252e%252e/other",
    "wm/{tenant}/..%2fother",
    "wm/{tenant}/..%c0%afother",
    "wm/{tenant}/..\\other",
    "wm/{tenant}\\..\\other",
    "wm/{tenant}/..;/other",
    "wm/{tenant}/slack?version=1",
    "wm/{tenant}/slack?list=true",
    "wm/{tenant}/slack#x",
    "wm/{tenant}/slack&x=y",
    "wm/{tenant}/slack*",
    "wm/{tenant}/sl ack",
    " wm/{tenant}/slack",
    "wm/{tenant}/slack\n",
    "wm/{tenant}/slack\r\nX-Vault-Namespace: root",
    "wm/{tenant}/slack\0",
    "wm/{tenant}/\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/other",
    "wm/{tenant}/\N{ONE DOT LEADER}\N{ONE DOT LEADER}/other",
    "wm/{tenant}/\N{TWO DOT LEADER}/other",
    "wm\N{FULLWIDTH SOLIDUS}{tenant}/slack",
    "wm/{tenant}\N{DIVISION SLASH}slack/x",
    "wm/{tenant}/s\N{CYRILLIC SMALL LETTER ES}hema",
    "wm/{tenant}/\N{ZERO WIDTH SPACE}slack",
    "wm/{tenant}/\N{RIGHT-TO-LEFT OVERRIDE}slack",
    "secret/data/wm/{tenant}/slack",
    "sys/{tenant}/slack",
    "other/{tenant}/slack",
    "wm/{tenant}/" + "a/" * 9 + "b",
    "wm/{tenant}/" + "a" * 101,
    "arn:aws:secretsmanager:eu-west-1:1:secret:wm/{tenant}/slack",
    "http://evil.example/wm/{tenant}/slack",
    "file:///wm/{tenant}/slack",
    "~/wm/{tenant}/slack",
]


class TestPath:
    @pytest.mark.parametrize("back_end", BackEnd)
    @pytest.mark.parametrize("trick", TRICKS)
    def test_that_could_lead_elsewhere_is_refused_when_saved_and_when_resolved(
        self, back_end: BackEnd, trick: str
    ) -> None:
        with pytest.raises(PathRefused):
            check_template(back_end, trick)
        with pytest.raises(PathRefused):
            resolve(back_end, trick, TAG)

    @pytest.mark.parametrize("back_end", BackEnd)
    def test_of_the_form_that_is_shown_is_the_tenants_own(self, back_end: BackEnd) -> None:
        path = resolve(back_end, EXAMPLES[back_end], TAG)

        assert own_place(back_end, TAG) in path
        assert "{" not in path
        assert OTHER not in path.lower()

    @pytest.mark.parametrize(
        ("template", "path"),
        [
            ("wm/{tenant}/a", f"wm/{TAG}/a"),
            ("wm/{tenant}/a.b/C_d-e", f"wm/{TAG}/a.b/C_d-e"),
            ("wm/{tenant}/a..b", f"wm/{TAG}/a..b"),
            ("wm/{tenant}/" + "/".join("abcdefgh"), f"wm/{TAG}/" + "/".join("abcdefgh")),
            ("wm/{tenant}/" + "a" * 100, f"wm/{TAG}/" + "a" * 100),
        ],
    )
    def test_may_go_down_from_the_tenants_place(self, template: str, path: str) -> None:
        assert resolve(BackEnd.KV, template, TAG) == path

    @pytest.mark.parametrize(
        "template",
        [
            "database/creds/{tenant}",
            "database/creds/{tenant}-",
            "database/creds/x-{tenant}-readonly",
            "database/creds/{tenant}readonly",
            "database/creds/{tenant}-a/b",
            "database/static-creds/{tenant}-a",
            "database/config/{tenant}-a",
            "auth/token/create/{tenant}-a",
            "wm/{tenant}/database",
            "Database/creds/{tenant}-a",
        ],
    )
    def test_of_a_dynamic_engine_is_a_role_of_the_tenant(self, template: str) -> None:
        with pytest.raises(PathRefused):
            check_template(BackEnd.DYNAMIC, template)

    @pytest.mark.parametrize("template", ["CREDENTIAL_{tenant}_", "{tenant}_SLACK", "WATERMASTER_{tenant}_A", "PATH"])
    def test_of_the_environment_is_a_variable_of_the_tenant(self, template: str) -> None:
        with pytest.raises(PathRefused):
            check_template(BackEnd.ENVIRONMENT, template)

    def test_is_refused_when_it_is_too_long(self) -> None:
        with pytest.raises(PathRefused, match=str(LENGTH_MAX)):
            check_template(BackEnd.KV, "wm/{tenant}/" + "a/" * LENGTH_MAX)

    @pytest.mark.parametrize("tag", ["", "acme", PLATFORM_TAG, "../../etc", OTHER.upper(), OTHER + "x", OTHER[:19]])
    def test_leads_nowhere_without_a_tenant(self, tag: str) -> None:
        with pytest.raises(PathRefused):
            resolve(BackEnd.KV, "wm/{tenant}/slack", Tag(tag))

    def test_of_one_tenant_is_never_below_anothers(self) -> None:
        for back_end in BackEnd:
            ours, theirs = (resolve(back_end, EXAMPLES[back_end], tag) for tag in (TAG, OTHER))

            assert not ours.startswith(own_place(back_end, OTHER))
            assert not theirs.startswith(own_place(back_end, TAG))
