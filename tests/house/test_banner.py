"""What `make up` prints at the end."""

from pathlib import Path

from config.supervisor.banner import banner, read_demo_file

DEMO = """\
# Keys of the demo
ACME_API_KEY=wm_live_abc
OPERATOR_EMAIL=olive@watermaster.test
OPERATOR_PASSWORD='two words'
ACME_OWNER_EMAIL=ada@acme.test
ACME_OWNER_PASSWORD=three
"""


class TestBanner:
    def test_names_what_to_open_and_who_to_be(self, tmp_path: Path) -> None:
        (tmp_path / "demo.env").write_text(DEMO)

        text = banner(var=tmp_path, api_port=7878, console_port=8000)

        assert "http://127.0.0.1:8000/" in text
        assert "http://127.0.0.1:7878/" in text
        assert "olive@watermaster.test   two words" in text
        assert "ada@acme.test   three" in text

    def test_leaves_the_keys_in_their_file(self, tmp_path: Path) -> None:
        (tmp_path / "demo.env").write_text(DEMO)

        text = banner(var=tmp_path, api_port=7878, console_port=8000)

        assert "wm_live_abc" not in text
        assert f". {tmp_path}/demo.env && curl" in text

    def test_does_without_a_demo(self, tmp_path: Path) -> None:
        text = banner(var=tmp_path, api_port=7878, console_port=8000)

        assert "http://127.0.0.1:8000/" in text
        assert "curl" not in text


class TestDemoFile:
    def test_is_read_as_a_shell_would(self, tmp_path: Path) -> None:
        (tmp_path / "demo.env").write_text(DEMO)

        assert read_demo_file(tmp_path / "demo.env") == {
            "ACME_API_KEY": "wm_live_abc",
            "OPERATOR_EMAIL": "olive@watermaster.test",
            "OPERATOR_PASSWORD": "two words",
            "ACME_OWNER_EMAIL": "ada@acme.test",
            "ACME_OWNER_PASSWORD": "three",
        }
