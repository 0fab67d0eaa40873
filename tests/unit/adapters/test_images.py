"""Everything about images that needs no engine: the mirror, the inputs, the Dockerfiles, the messages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from farm.adapters import debian_root, docker_engine
from farm.adapters.debian_root import Mirror, Suite
from farm.adapters.image_files import ImageFiles, official_reference
from farm.adapters.images import DockerImages, ImageSettings
from farm.errors import EngineError, ImageError
from farm.model.image import parse_spec

SUITES = ("bookworm", "trixie")
DEB822 = """\
# a comment
Types: deb
# http://old.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF deb http://wrong.example/debian bookworm main

Types: deb
URIs: http://security.example/debian-security/
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian/ bookworm main contrib # ours
deb-src http://sources.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb http://security.example/debian-security bookworm-security main
"""
EXPECTED = Mirror(archive="http://mirror.example/debian", security="http://security.example/debian-security")


def apt(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir(parents=True)
    for name, text in files.items():
        path = "sources.list" if name == "sources_list" else f"sources.list.d/{name.replace('_', '.')}"
        (folder / path).write_text(text, encoding="utf-8")
    return folder


class TestMirror:
    def test_is_read_from_deb822_sources(self, tmp_path: Path) -> None:
        assert debian_root.mirror(None, apt(tmp_path / "apt", debian_sources=DEB822), SUITES) == EXPECTED

    def test_is_read_from_one_line_sources(self, tmp_path: Path) -> None:
        assert debian_root.mirror(None, apt(tmp_path / "apt", sources_list=ONE_LINE), SUITES) == EXPECTED

    def test_a_vendor_that_borrows_the_suite_is_not_taken_for_debian(self, tmp_path: Path) -> None:
        vendors = "deb http://db.example/repo bookworm main\ndeb http://browser.example/linux stable main\n"
        folder = apt(tmp_path / "apt", aaa_list=vendors, debian_sources=DEB822)
        assert debian_root.mirror(None, folder, SUITES) == EXPECTED

    def test_the_cloud_images_indirection_is_followed(self, tmp_path: Path) -> None:
        listed = tmp_path / "debian.list"
        listed.write_text("http://near.example/debian\n", encoding="utf-8")
        folder = apt(
            tmp_path / "apt",
            debian_sources=f"Types: deb\nURIs: mirror+file:{listed}\nSuites: trixie\nComponents: main\n",
        )
        assert debian_root.mirror(None, folder, SUITES) == Mirror(archive="http://near.example/debian")

    def test_a_disabled_source_is_none(self, tmp_path: Path) -> None:
        folder = apt(
            tmp_path / "apt",
            debian_sources="Enabled: no\n" + DEB822.split("\n\n", maxsplit=1)[0].removeprefix("# a comment\n"),
        )
        with pytest.raises(ImageError):
            debian_root.mirror(None, folder, SUITES)

    @pytest.mark.parametrize("text", ["", "deb http://archive.example/ubuntu noble main\n"])
    def test_without_one_the_setting_is_named(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ImageError) as caught:
            debian_root.mirror(None, apt(tmp_path / "apt", sources_list=text), SUITES)
        assert "[images] debian-mirror" in caught.value.solution
        assert str(tmp_path / "apt") in caught.value.reason

    def test_the_setting_is_enough_on_any_host(self, tmp_path: Path) -> None:
        found = debian_root.mirror("http://m.example/debian/ http://s.example/security", tmp_path, SUITES)
        assert found == Mirror(archive="http://m.example/debian", security="http://s.example/security")


class TestBootstrap:
    suite = Suite(
        name="forky",
        pythons=("3.14",),
        glibc=(2, 42),
        rust=("rustc",),
        apt_options=('Acquire::Check-Valid-Until "false"',),
    )

    def test_takes_the_suite_with_its_updates_and_security_fixes(self) -> None:
        call = debian_root.command(self.suite, EXPECTED, "arm64", Path("root.tar"), Path("/site.crt"))
        assert call[-3:] == (
            "deb http://mirror.example/debian forky main",
            "deb http://mirror.example/debian forky-updates main",
            "deb http://security.example/debian-security forky-security main",
        )
        assert {"--architectures=arm64", '--aptopt=Acquire::Check-Valid-Until "false"'} <= set(call)
        assert "/site.crt" not in " ".join(call)

    def test_a_mirror_with_a_certificate_of_the_sites_own_is_believed_and_the_hosts_path_stays_out_of_the_image(self) -> None:
        source = Mirror(archive="https://mirror.example/debian")
        call = debian_root.command(self.suite, source, "amd64", Path("root.tar"), Path("/site.crt"))
        assert '--aptopt=Acquire::https::CAInfo "/site.crt"' in call
        assert [word for word in call if word.startswith("--customize-hook=") and "CAInfo" in word]

    def test_an_archive_of_every_day_needs_a_pinned_one_and_then_does_not_expire(self) -> None:
        source = Mirror(archive="http://snapshot.example/debian/{snapshot}")
        suite = replace(self.suite, apt_options=())
        with pytest.raises(ImageError, match="forky") as caught:
            source.sources(suite)
        assert "farm images update" in caught.value.solution
        pinned = replace(source, pins={"forky": "20261030T080801Z"})
        assert pinned.sources(suite)[0] == "deb http://snapshot.example/debian/20261030T080801Z forky main"
        call = debian_root.command(suite, pinned, "amd64", Path("root.tar"), Path("/site.crt"))
        assert '--aptopt=Acquire::Check-Valid-Until "false"' in call

    def test_a_pinned_day_is_an_input_also_where_the_mirror_has_only_today(self) -> None:
        days = [replace(EXPECTED, pins=pins) for pins in ({}, {"forky": "20261030T080801Z"}, {"forky": "20261101T080801Z"})]
        assert len({source.identity(self.suite) for source in days}) == 3
        assert len({source.sources(self.suite) for source in days}) == 1
        assert replace(EXPECTED, pins={"trixie": "20261030T080801Z"}).identity(self.suite) == days[0].identity(self.suite)

    def test_a_failure_shows_its_last_lines_and_where_the_rest_is(self, tmp_path: Path) -> None:
        said: list[str] = []
        log = tmp_path / "log"
        with pytest.raises(ImageError, match="E: no such suite") as caught:
            debian_root.bootstrap(
                ("sh", "-c", "echo I: begins >&2; echo E: no such suite >&2; exit 3"), log, said.append
            )
        assert said == ["mmdebstrap: begins"]
        assert str(log) in caught.value.solution
        assert log.read_text(encoding="utf-8") == "I: begins\nE: no such suite\n"

    def test_an_absent_mmdebstrap_names_the_script_that_installs_it(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError) as caught:
            debian_root.bootstrap((str(tmp_path / "mmdebstrap"),), tmp_path / "log", print)
        assert "images/setup-engine" in caught.value.solution


class TestInputs:
    """An image is built anew exactly when one of its inputs changes: they make up its tag."""

    spec = parse_spec("debian-bookworm-x86_64-builder")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(ImageFiles().folder, tmp_path / "images"))

    def digest(self, folder: Path, *, certificates: bytes = b"ca", mirror: str = "deb m bookworm main") -> str:
        return ImageFiles(folder).recipe(self.spec, certificates, base=None, mirror=mirror).digest

    def test_equal_inputs_give_an_equal_digest(self, folder: Path) -> None:
        assert self.digest(folder) == self.digest(ImageFiles().folder)

    @pytest.mark.parametrize(
        "name",
        [
            "debian/builder.Dockerfile",
            "debian/root.Dockerfile",
            "requirements/tools.txt",
            "requirements/frontend.txt",
            "probe.py",
        ],
    )
    def test_each_file_counts(self, folder: Path, name: str) -> None:
        before = self.digest(folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n# changed\n")
        assert self.digest(folder) != before

    def test_the_certificates_and_the_mirror_count(self, folder: Path) -> None:
        digests = {
            self.digest(folder),
            self.digest(folder, certificates=b"other"),
            self.digest(folder, mirror="deb n bookworm main"),
        }
        assert len(digests) == 3

    def test_the_suites_row_counts_and_no_other_row(self, folder: Path) -> None:
        before = self.digest(folder)
        suites = folder / "debian" / "suites.toml"
        text = suites.read_text(encoding="utf-8")
        suites.write_text(text.replace("glibc = [2, 41]", "glibc = [2, 40]"), encoding="utf-8")
        assert self.digest(folder) == before
        suites.write_text(text.replace('"rustc-web", ', ""), encoding="utf-8")
        assert self.digest(folder) != before

    @pytest.mark.parametrize("role", ["builder", "runtime"])
    def test_what_a_free_threaded_image_is_made_on_counts(self, folder: Path, role: str) -> None:
        files = ImageFiles(folder)
        spec = parse_spec(f"debian-forky-cp314t-x86_64-{role}")

        def digest() -> str:
            return files.recipe(spec, b"ca", base=None, mirror="deb m forky main").digest

        seen = {digest()}
        for name in (f"debian/{role}.Dockerfile", f"debian/{role}-t.Dockerfile", "debian/cpython.Dockerfile"):
            (folder / name).write_bytes((folder / name).read_bytes() + b"# changed\n")
            seen.add(digest())
        assert len(seen) == 4

    def test_tools_from_the_index_do_not_compile_the_interpreters_anew(self, folder: Path) -> None:
        files = ImageFiles(folder)
        spec = parse_spec("debian-forky-cp314t-x86_64-builder")
        before = files.cpython(spec, "deb m forky main").digest
        tools = folder / "requirements" / "tools.txt"
        tools.write_bytes(tools.read_bytes() + b"# changed\n")
        assert files.cpython(spec, "deb m forky main").digest == before

    def test_an_unknown_suite_lists_the_known_ones(self, folder: Path) -> None:
        with pytest.raises(ImageError, match="bookworm, trixie, forky") as caught:
            ImageFiles(folder).suite("woody")
        assert "suites.toml" in caught.value.solution


class TestOffers:
    def test_official_images_are_those_that_cibuildwheel_pins_by_digest(self) -> None:
        reference = official_reference(parse_spec("manylinux_2_28-x86_64-builder"))
        assert reference is not None
        assert re.search(r"manylinux_2_28_x86_64@sha256:[0-9a-f]{64}$", reference)
        assert official_reference(parse_spec("manylinux_2_28-x86_64-runtime")) is None

    def test_each_suite_offers_its_pythons(self) -> None:
        offers = {offer.variant: offer for offer in ImageFiles().offers()}
        assert offers["bookworm"].pythons == ("cp311",)
        assert offers["trixie"].libc == ("glibc", 2, 41)
        assert offers["forky"].pythons == ("cp313", "cp314", "cp315")
        assert offers["forky-cp314t"].pythons == ("cp314t",)
        assert {"manylinux_2_28", "musllinux_1_2"} <= offers.keys()


class TestEngine:
    def test_an_absent_engine_says_where_it_was_expected_and_how_to_start_it(self, tmp_path: Path) -> None:
        host = f"unix://{tmp_path / 'none.sock'}"
        with pytest.raises(EngineError) as caught:
            docker_engine.connect(host)
        assert caught.value.reason == f"expected a Docker engine at {host}, found: no such file or directory"
        assert "images/setup-engine" in caught.value.solution
        assert "DOCKER_HOST" in caught.value.solution

    def test_absent_certificates_name_the_variable(self, tmp_path: Path) -> None:
        settings = ImageSettings(
            cache=tmp_path, certificates=tmp_path / "none.crt", debian_mirror="http://m.example/debian"
        )
        with pytest.raises(ImageError) as caught:
            DockerImages(None, settings).find(parse_spec("debian-bookworm-x86_64-builder"))
        assert "SSL_CERT_FILE" in caught.value.solution

    def test_a_runtime_without_a_base_says_how_to_name_one(self, tmp_path: Path) -> None:
        images = DockerImages(None, ImageSettings(cache=tmp_path, certificates=tmp_path / "none.crt"))
        spec = parse_spec("musllinux_1_2-x86_64-runtime")
        assert images.find(spec) is None
        assert not images.official_available(spec).available
        with pytest.raises(ImageError) as caught:
            images.ensure(spec, print)
        assert '[images.bases]` "musllinux_1_2-x86_64-runtime"' in caught.value.solution

    def test_the_sdk_is_not_imported_before_it_is_used(self) -> None:
        code = "import sys, farm.adapters.images; sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


DOCKERFILES = sorted(ImageFiles().folder.glob("*/*.Dockerfile"))


def instructions(path: Path) -> list[str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    return [line for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines() if line.strip()]


def stages(path: Path) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in instructions(path):
        if line.startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found[1:]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
class TestDockerfiles:
    def test_starts_from_an_argument_and_never_from_a_name(self, path: Path) -> None:
        lines = instructions(path)
        assert lines[0] == "ARG BASE" or lines[0] == "FROM scratch"
        named = {line.split()[-1] for line in lines if re.match(r"FROM \S+ AS ", line)}
        for line in lines:
            if line.startswith("FROM "):
                assert line.split()[1] in {"${BASE}", "${CPYTHON}", "scratch", *named}, line

    def test_downloads_nothing_but_packages(self, path: Path) -> None:
        text = "\n".join(instructions(path))
        assert not re.search(r"://|:latest|\bcurl\b|\bwget\b", text)
        assert [line for line in instructions(path) if line.startswith("ADD ")] in ([], ["ADD root.tar /"])

    def test_leaves_no_package_lists(self, path: Path) -> None:
        for line in instructions(path):
            if "apt-get install" in line:
                assert "--no-install-recommends" in line
                assert "rm -rf /var/lib/apt/lists/*" in line
            if "dnf" in line:
                assert "clean all" in line
            if "apk add" in line:
                assert "--no-cache" in line

    def test_keeps_the_index_out_of_the_image(self, path: Path) -> None:
        *passing, last = stages(path)
        assert not [line for line in last if "INDEX" in line or "pip install" in line]
        assert not [
            line for line in instructions(path) if line.startswith("ENV") and ("INDEX" in line or "FIND_LINKS" in line)
        ]
        for stage in passing:
            if any(line.startswith("ARG PIP_INDEX_URL") for line in stage):
                assert 'LABEL farm.image.stage="${FARM_STAGE}"' in stage, (
                    "or the stage is never removed from the engine"
                )

    def test_installs_from_the_index_by_hash_only(self, path: Path) -> None:
        for line in instructions(path):
            if "pip install" in line:
                assert "--require-hashes" in line
                assert "--only-binary :all:" in line


def test_every_family_has_its_dockerfiles() -> None:
    expected = {
        f"{family}/{kind}"
        for family in ("debian", "manylinux", "musllinux")
        for kind in ("builder", "overlay", "runtime")
    }
    assert {f"{path.parent.name}/{path.stem}" for path in DOCKERFILES} == expected | {
        "debian/root",
        "debian/cpython",
        "debian/builder-t",
        "debian/runtime-t",
    }


@pytest.mark.parametrize("path", sorted(ImageFiles().folder.glob("requirements/*.txt")), ids=lambda path: path.stem)
def test_requirements_are_pinned_with_hashes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9-]+(==)?", text, re.MULTILINE)
    assert pins
    assert all(pins)
    assert text.count("--hash=sha256:") >= len(pins)
    direct = set(path.with_suffix(".in").read_text(encoding="utf-8").split())
    assert direct <= set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
