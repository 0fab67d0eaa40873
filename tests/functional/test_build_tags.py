"""What the farm collected and builds again with other bytes: a build tag in the real store, on its page, and for real clients."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from farm.adapters.build_tag import WheelTagger
from farm.adapters.inspector import WheelInspector
from farm.adapters.store import Store
from farm.model.messages import Build, Publish, Verify
from farm.model.outcome import Built, Published, Verified
from farm.serve.simple import render_project
from farm.work.build import build
from farm.work.naming import Naming
from farm.work.publish import publish
from farm.work.verify import verify
from tests.fakes import nouns
from tests.fakes.proving import FakeScanner
from tests.fakes.store import FakeClock
from tests.fakes.work import Bench, make_bench, makes
from tests.functional.test_views_clients import run, serving
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.index_server import IndexServer
    from tests.functional.conftest import Shell

PLAIN, FIRST, SECOND = (f"demo-1.0{tag}-py3-none-any.whl" for tag in ("", "-1", "-2"))
JOB = nouns.job("demo==1.0", kind="pure")


@dataclass(kw_only=True)
class Works:
    """A farm whose store, names and checks are real; what a container would make is given."""

    shell: Shell
    bench: Bench
    runs: int = 0

    def make(self, body: str, toolchain: str) -> Published:
        """Build, prove and publish demo 1.0 with this module."""
        self.runs += 1
        identity = f"A{self.runs}"
        folder = self.bench.folder / f"made-{self.runs}"
        folder.mkdir()
        made = make_wheel(folder, "demo", {"demo.py": body.encode()})
        self.bench.builder.result = makes(PLAIN, made.read_bytes())
        job = replace(JOB, recipe=replace(JOB.recipe, environment=(("CC", toolchain),)))
        store = Store(self.shell.folder / ".farm", render_project, FakeClock())
        try:
            ports = self.bench.build_ports()
            naming = Naming(
                upstream=ports.naming.upstream, store=store, catalogue=store.catalogue, tagger=WheelTagger()
            )
            ports = replace(ports, store=store, catalogue=store.catalogue, naming=naming)
            built = build(Build(job=job, made={}), identity, ports)
            assert isinstance(built, Built), built
            checks = replace(
                self.bench.verify_ports(), store=store, catalogue=store.catalogue,
                inspector=WheelInspector({"PATH": os.environ["PATH"]}),
                scanner=FakeScanner(),
                x86_64_level="v2",
            )  # fmt: skip
            good = verify(Verify(job=job, built=built, proofs=job.proofs, made={}), checks)
            assert isinstance(good, Verified), good
            outcome = publish(
                Publish(job=job, verified=good),
                replace(self.bench.publish_ports(), store=store, catalogue=store.catalogue),
            )
            assert isinstance(outcome, Published), outcome
            return outcome
        finally:
            store.close()

    def collect(self, filename: str) -> None:
        """Have `farm gc` take the one wheel off that is there."""
        store = Store(self.shell.folder / ".farm", render_project, FakeClock())
        digest = store.taken(filename)
        assert digest is not None
        path = store.blob(digest)
        assert path is not None
        os.utime(path, (0, 0))
        store.close()
        done = self.shell.run("gc", "--json")
        assert done.code == 0, done.err
        assert [step["subject"] for step in done.json["steps"] if step["removal"] == "wheel"] == [filename], done.out

    def listed(self) -> list[str]:
        store = Store(self.shell.folder / ".farm", render_project, FakeClock())
        project = store.project(JOB.pin.name)
        store.close()
        return [file.filename for file in project.files] if project else []


@pytest.fixture
def works(shell: Shell, tmp_path: Path) -> Works:
    folder = tmp_path / "bench"
    folder.mkdir()
    shell.write("nothing.txt", "")
    shell.write(
        "config.toml",
        'targets = ["cp311-manylinux_2_36_x86_64"]\n[images]\nfamily = "debian"\n[gc]\nroots = ["nothing.txt"]\n',
    )
    return Works(shell=shell, bench=make_bench(folder))


def test_a_rebuild_of_what_was_collected_is_served_under_a_build_tag(
    works: Works, index: IndexServer, tmp_path: Path
) -> None:
    assert works.make("N = 1\n", "gcc-12").url.endswith(f"/{PLAIN}")
    works.collect(PLAIN)
    assert works.listed() == []
    assert works.make("N = 2\n", "gcc-13").url.endswith(f"/{FIRST}")
    assert works.listed() == [FIRST]
    with serving(works.shell) as url:
        pip = run(works.shell, sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(tmp_path / "pip"),
                  "--index-url", f"{url}/simple/", "--disable-pip-version-check", "demo==1.0")  # fmt: skip
        uv = run(works.shell, find_uv_bin(), "pip", "install", "--no-cache", "--target", str(tmp_path / "uv"), "--default-index",
                 f"{url}/simple/", "demo==1.0")  # fmt: skip
    for folder, done in (("pip", pip), ("uv", uv)):
        assert done.returncode == 0, done.stderr
        assert (tmp_path / folder / "demo.py").read_text() == "N = 2\n"
    assert works.shell.run("fsck").code == 0
    works.collect(FIRST)
    assert works.make("N = 3\n", "gcc-14").url.endswith(f"/{SECOND}")
    assert works.listed() == [SECOND]


def test_a_rebuild_with_the_same_inputs_uses_the_tagged_wheel_again(works: Works) -> None:
    works.make("N = 1\n", "gcc-12")
    works.collect(PLAIN)
    first = works.make("N = 2\n", "gcc-13")
    again = works.make("N = 2\n", "gcc-13")
    assert (again.url, again.verified.built.reused) == (first.url, True)
    works.collect(FIRST)
    back = works.make("N = 2\n", "gcc-13")
    assert (back.url, works.listed()) == (first.url, [FIRST])
    assert works.shell.run("gc", "--dry-run").code == 0
