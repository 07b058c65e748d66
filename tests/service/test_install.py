"""What install writes: right for each system, whole, and gone after uninstall but for history."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from msdflash.cli import main
from msdflash.daemon.config_file import load_config
from msdflash.errors import UsageError
from msdflash.service import launchd, systemd, windows
from msdflash.service.places import check_program, plan_of, site_of
from msdflash.service.plan import Site
from msdflash.service.setup import Setup
from msdflash.service.templates import systemd_command

REPOSITORY = Path(__file__).parents[2]
ALLOWED = tomllib.loads((Path(__file__).parent / "keys.toml").read_text(encoding="utf-8"))
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
UNIT = Path("etc/systemd/system/msdflash.service")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSDFLASH_HOME", str(tmp_path / "home"))


@pytest.fixture
def program(tmp_path: Path) -> str:
    script = tmp_path / "opt msdflash"
    script.write_text("#!/bin/sh\n", encoding="ascii")
    script.chmod(0o755)
    return str(script)


def listing(root: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in root.rglob("*")}


def install(root: Path, program: str) -> int:
    return main(["service", "install", "--system", "--root", str(root), "--program", program])


@LINUX
def test_uninstall_leaves_only_history(tmp_path: Path, program: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    for folder in ("etc/udev/rules.d", "srv", "etc/systemd/system"):
        (root / folder).mkdir(parents=True)
    before = listing(root)
    umask = os.umask(0o077)
    try:
        assert install(root, program) == 0
    finally:
        os.umask(umask)
    told = capsys.readouterr().out
    made = listing(root)
    for name, content in made.items():
        if content is not None and not name.endswith(("install.json", "wants/msdflash.service")):
            assert f"/{name} (" in told
            assert f"undo: rm /{name}" in told
    assert (root / "srv/msdflash").stat().st_mode & 0o7777 == 0o2775
    assert (root / "etc/xdg/msdflash").stat().st_mode & 0o777 == 0o755
    assert str(load_config(root / "etc/xdg/msdflash/msdflash.toml").drives) == "/srv/msdflash"
    assert install(root, program) == 0, "again is no mistake"
    assert listing(root) == made
    history = root / "var/lib/msdflash/state/boards/X/journal.jsonl"
    history.parent.mkdir(parents=True)
    history.write_text("{}", encoding="ascii")
    assert main(["service", "uninstall", "--system", "--root", str(root)]) == 0
    after = {name: content for name, content in listing(root).items() if not name.startswith("var")}
    assert after == before
    assert history.exists()
    assert main(["service", "uninstall", "--system", "--root", str(root)]) == 2


@LINUX
def test_what_somebody_changed_is_kept(tmp_path: Path, program: str) -> None:
    root = tmp_path / "root"
    rules, config = root / "etc/udev/rules.d/60-msdflash.rules", root / "etc/xdg/msdflash/msdflash.toml"
    rules.parent.mkdir(parents=True)
    rules.write_text("# mine\n", encoding="ascii")
    config.parent.mkdir(parents=True)
    config.write_text("# my configuration\n", encoding="ascii")
    assert install(root, program) == 0
    assert config.read_text(encoding="ascii") == "# my configuration\n"
    (root / UNIT).write_text("# changed\n", encoding="ascii")
    assert main(["service", "uninstall", "--system", "--root", str(root)]) == 0
    aside = {path.name: path.read_text(encoding="ascii") for path in (config.parent / "set-aside").iterdir()}
    assert aside == {"60-msdflash.rules": "# mine\n", "msdflash.service": "# changed\n"}
    assert config.exists(), "it was there before"
    assert not (root / UNIT).exists()


@LINUX
def test_a_configuration_that_somebody_changed_stays_where_it_is(tmp_path: Path, program: str) -> None:
    root = tmp_path / "root"
    assert install(root, program) == 0
    config = root / "etc/xdg/msdflash/msdflash.toml"
    config.write_text("# mine\n", encoding="ascii")
    assert main(["service", "uninstall", "--system", "--root", str(root)]) == 0
    assert [path.name for path in config.parent.iterdir()] == [config.name]
    assert config.read_text(encoding="ascii") == "# mine\n"


@LINUX
def test_a_record_that_lies_removes_nothing_else(tmp_path: Path, program: str) -> None:
    root = tmp_path / "root"
    assert install(root, program) == 0
    victim = root / "etc/shadow"
    victim.write_text("x", encoding="ascii")
    record = root / "etc/xdg/msdflash/install.json"
    record.write_text('{"files": {"/etc/shadow": "0", "/../x": "1"}, "folders": ["/etc"]}', encoding="ascii")
    assert main(["service", "uninstall", "--system", "--root", str(root)]) == 0
    assert victim.exists()


@LINUX
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not Path("/bin/kill").exists(), reason="systemd-analyze is not installed, or no /bin/kill"
)
def test_the_unit_is_valid_and_hardened(tmp_path: Path, program: str) -> None:
    root = tmp_path / "root"
    assert install(root, program) == 0
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(root / UNIT)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (verify.returncode, verify.stderr) == (0, "")
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", f"--root={root}", "msdflash.service"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert security.returncode == 0, security.stdout
    exposure = re.search(r"Overall exposure level for msdflash.service: ([0-9.]+)", security.stdout)
    assert exposure is not None
    assert float(exposure[1]) <= 2.5


@LINUX
def test_the_user_unit(tmp_path: Path, program: str) -> None:
    site = Site(False, (program,), tmp_path / "c" / "m.toml", tmp_path / "d", tmp_path / "h")
    plan = systemd.plan(site, tmp_path / "units", tmp_path)
    unit = plan.files[0].content.decode()
    assert f'ExecStart="{program}" run --config {tmp_path}/c/m.toml\n' in unit
    assert not re.search(r"@[A-Z]+@", unit)
    if shutil.which("systemd-analyze"):
        file = tmp_path / "units" / systemd.UNIT
        file.parent.mkdir()
        file.write_text(unit, encoding="utf-8")
        command = ["systemd-analyze", "verify", "--user", "--man=no", str(file)]
        assert subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stderr == ""


def test_words_of_a_unit() -> None:
    assert systemd_command(["/a b/%c", "$HOME", 'q"\\']) == '"/a b/%%c" "$$HOME" "q\\"\\\\"'
    with pytest.raises(UsageError):
        systemd_command(["a\nExecStartPost=/bin/sh"])


@pytest.mark.parametrize("system", [True, False])
def test_the_property_list_has_only_keys_of_the_manual(tmp_path: Path, system: bool) -> None:
    site = Site(system, ("/opt/m<&>/msdflash",), tmp_path / "m.toml", tmp_path / "d", tmp_path / "h", "lab")
    plan = launchd.plan(site, tmp_path / "units")
    loaded = plistlib.loads(plan.files[0].content)
    assert plan.files[0].path.name == f"{loaded['Label']}.plist"
    kinds = {str: "string", list: "array", bool: "boolean", int: "integer", dict: "dict"}

    def check(prefix: str, table: dict[str, Any]) -> None:
        for key, value in table.items():
            assert ALLOWED["launchd"][prefix + key] == kinds[type(value)]
            if isinstance(value, dict):
                check(f"{key}.", value)

    check("", loaded)
    assert loaded["ProgramArguments"][0] == "/opt/m<&>/msdflash"
    assert loaded.get("UserName") == ("lab" if system else None)
    assert loaded["KeepAlive"] == {"SuccessfulExit": False}


@pytest.mark.parametrize("system", [True, False])
def test_the_task_has_only_elements_of_the_schema(tmp_path: Path, system: bool) -> None:
    site = Site(system, ("C:\\P & Q\\msdflash.exe",), tmp_path / "my conf.toml", tmp_path / "d", tmp_path / "h", "LAB\\ann")
    root = ET.fromstring(windows.plan(site).files[0].content)
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    assert root.tag == f"{space}Task"

    def check(prefix: str, element: ET.Element) -> None:
        for child in element:
            path = prefix + child.tag.removeprefix(space)
            pattern = ALLOWED["task"][path]
            assert re.fullmatch(pattern, (child.text or "").strip()), path
            check(f"{path}/", child)

    check("", root)
    assert root.findtext(f"{space}Actions/{space}Exec/{space}Command") == "C:\\P & Q\\msdflash.exe"
    assert f'"{tmp_path / "my conf.toml"}"' in (root.findtext(f".//{space}Arguments") or "")
    assert root.findtext(f".//{space}Principal/{space}UserId") == ("S-1-5-19" if system else "LAB\\ann")
    assert (root.find(f".//{space}BootTrigger") is not None) is system
    assert root.findtext(f".//{space}ExecutionTimeLimit") == "PT0S", "no limit"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("system", [True, False])
def test_every_system_installs_and_uninstalls_below_a_root(tmp_path: Path, platform: str, system: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    site = site_of(system=system, command=("/opt/msdflash/bin/msdflash",), run_as="lab", platform=platform)
    told: list[str] = []
    Setup(plan_of(site, platform), site, root, told.append).install()
    assert not any(re.search(rb"@[A-Z]+@", content) for content in listing(root).values() if content)
    assert sum(line.startswith("wrote") for line in told) >= 2
    again = Setup(plan_of(site, platform), site, root, told.append)
    assert again.installed
    again.uninstall()
    assert listing(root) == {}


def test_a_program_that_the_service_cannot_see_is_refused() -> None:
    for path in ("/home/ann/.local/bin/msdflash", "/root/msdflash", "/tmp/anywhere/bin/msdflash"):
        with pytest.raises(UsageError, match="--program"):
            check_program((path,))
    check_program(("/opt/msdflash/bin/msdflash",))


@LINUX
def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "install", "--run-as", "x"]) == 2
    assert main(["service", "install", "--user", "--system"]) == 2
    with pytest.raises(UsageError, match="--run-as"):
        site_of(system=True, command=("x",), platform="darwin", run_as="root")
    assert "macOS" in capsys.readouterr().err


@LINUX
def test_a_system_without_a_service_manager_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for action in ("start", "stop", "status"):
        assert main(["service", action, "--user"]) == 1
        assert "systemctl" in capsys.readouterr().err


def test_every_template_is_in_the_wheel_and_the_source() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert project["wheel"]["force-include"] == {"service": "msdflash/service/files"}
    assert "/service" in project["sdist"]["include"]
