"""What looks at a wheel once it is built, without an engine: scripted answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farm.model.outcome import Check, StagedWheel, Verdict
from farm.model.package import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from farm.model.build import ProofRequest, WheelFacts
    from farm.model.instructions import Code, ScanRequest
    from farm.model.target import Target


@dataclass(kw_only=True)
class FakeTagger:
    """ports.Tagger whose wheels end with their number; `refuses` finds no sound wheel in any."""

    refuses: bool = False
    asked: list[int] = field(default_factory=list)

    def tagged(self, wheel: StagedWheel, number: int, folder: Path) -> StagedWheel | None:
        self.asked.append(number)
        if self.refuses:
            return None
        parts = wheel.filename.split("-")
        path = folder / "-".join((*parts[:2], str(number), *parts[-3:]))
        data = wheel.path.read_bytes() + f" {number}".encode()
        path.write_bytes(data)
        return StagedWheel(filename=path.name, path=path, sha256=Digest(hashlib.sha256(data).hexdigest()), size=len(data))


@dataclass(kw_only=True)
class FakeInspector:
    facts: WheelFacts

    def inspect(self, wheel: Path) -> WheelFacts:
        assert wheel.is_file()
        return self.facts


@dataclass(kw_only=True)
class FakeScanner:
    """ports.Scanner that finds this code in every wheel."""

    codes: tuple[Code, ...] = ()
    asked: list[ScanRequest] = field(default_factory=list)

    def scan(self, request: ScanRequest) -> tuple[Code, ...]:
        assert request.wheel.is_file()
        self.asked.append(request)
        return self.codes


@dataclass(kw_only=True)
class FakeProver:
    """ports.Prover; `fails` gives the detail of a failing import for some targets."""

    fails: Mapping[Target, str] = field(default_factory=dict)
    requests: list[ProofRequest] = field(default_factory=list)

    def prove(self, request: ProofRequest) -> Verdict:
        self.requests.append(request)
        detail = self.fails.get(request.target)
        checks = (Check(name="installs", ok=True), Check(name="imports", ok=detail is None, detail=detail or ""))
        return Verdict(target=request.target, image=request.image.digest, checks=checks)
