"""farm for the harness that measures index servers side by side: `run farm nginx --adapter benchmarks/index_adapter.py`.

It measures this checkout, with the Python of `.venv` in it, or with the one that FARM_PYTHON names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server import Server, clean_env  # type: ignore[import-not-found]  # the harness's

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
PYTHON = os.environ.get("FARM_PYTHON") or str(ROOT / ".venv" / "bin" / "python")


class Farm(Server):  # type: ignore[misc]
    """`farm serve` on a store that farm itself filled; no proxy in front."""

    name = "farm"
    port = 18200
    simple = "/wheels/simple/"
    note = "1 process; /wheels/simple/ (the farm's own wheels)"

    def version(self) -> str:
        """Return the commit that is measured."""
        done = subprocess.run(
            ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        )
        return f"farm {done.stdout.strip() or 'checkout'}"

    def layout(self, store: Any) -> None:
        """Publish the wheels; a filled store is kept for each of the harness's, as ten thousand take some time."""
        kept = self.work.parent.parent / "kept" / f"farm-{store.dir.name}"
        if not kept.exists():
            self._fill(store, kept)
        subprocess.run(["cp", "-al", kept, self.work / "store"], check=True)
        for name in ("catalogue.sqlite", "projects", "serial"):
            # Linked, a change here would be one in the kept store.
            shutil.copyfile(kept / name, self.work / name)
            (self.work / name).replace(self.work / "store" / name)
        # The wheels have made-up names: nobody upstream is to be asked for them.
        (self.work / "config.toml").write_text('[store]\npath = "store"\n[index]\nprivate = ["*"]\n')

    def _fill(self, store: Any, kept: Path) -> None:
        listing = self.work / "wheels.jsonl"
        with listing.open("w") as file:
            for record in store.records:
                path = Path(store.path(record))
                wheel = {"path": str(path), "metadata": f"{path}.metadata", "name": record["project"],
                         "version": record["version"], "requires_python": record["requires_python"]}  # fmt: skip
                file.write(json.dumps(wheel) + "\n")
        partial = kept.with_name(kept.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([PYTHON, ROOT / "benchmarks" / "serve_store.py", partial, listing], check=True, env=clean_env())
        partial.rename(kept)

    def env(self) -> dict[str, str]:
        """Return the environment of the command."""
        return {"PYTHONPATH": str(ROOT)}

    def command(self) -> list[str]:
        """Return how the server is started."""
        return [PYTHON, "-m", "farm", "--config", str(self.work / "config.toml"), "serve", "--port", str(self.port)]

    def publishers(self) -> dict[str, Callable[[Any, str], None]]:
        """Return the ways of publishing into the running server: with a token, by twine and by the bare form."""
        command = [PYTHON, "-m", "farm", "--config", str(self.work / "config.toml"), "token", "create", "harness", "--scope", "upload"]
        made = subprocess.run(command, check=True, env=clean_env(**self.env()), capture_output=True, text=True)
        url, secret = f"{self.base}/legacy/", made.stdout.strip()
        return {
            "twine upload": self.twine_upload(url, "__token__", secret),
            "plain POST": self.post_upload(url, "__token__", secret),
        }
