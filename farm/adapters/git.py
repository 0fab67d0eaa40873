"""git as a child process that runs nothing of what it fetches: no hooks, filters, prompts, templates or odd transports.

Of the user's own configuration only what reaches a server counts (`http.*`, `url.*`, `credential.*`, `core.sshCommand`).
The repository's URL is handed over in a file, so that its credentials are in no command line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.adapters.process import Command, redact, run
from farm.errors import FarmError, UpstreamError
from farm.model.build import BadSdist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from farm.adapters.process import Completed

_SECONDS = 900.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{4,39}")
_KEPT = re.compile(r"(http|url|credential|ssh)\..+|core\.sshcommand|safe\.directory", re.IGNORECASE | re.DOTALL)
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "HTTP_PROXY", "HTTPS_PROXY",
              "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO")  # fmt: skip
# On the command line, where they win over whatever configuration a repository has.
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null", "-c", "gc.auto=0",
         "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false", "-c", "fetch.recurseSubmodules=false",
         "-c", "log.showSignature=false", "-c", "core.askPass=true", "-c", "protocol.version=2")  # fmt: skip
TRANSPORTS = ("https", "ssh", "http", "file")
_REMOTE = ("https", "ssh")
_EVERYTHING = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository: its URL with credentials, and what to check out, None for its default branch."""

    url: str
    ref: str | None = None

    def __str__(self) -> str:
        return redact(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refs:
    """What a repository's references point to, as `git ls-remote` says."""

    commits: Mapping[str, str]

    @property
    def tags(self) -> str:
        """A digest that changes when a tag comes, goes or moves."""
        lines = sorted(f"{name} {commit}" for name, commit in self.commits.items() if name.startswith("refs/tags/"))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def find(self, ref: str | None) -> str | None:
        """Return the commit of a branch, tag or full reference name; None when there is no such one."""
        names = ("HEAD",) if ref is None else (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", ref)
        return next((self.commits[name] for name in names if name in self.commits), None)


class Git:
    """Runs git in `folder`, a fresh one that the caller removes. `env` is the user's environment, of which little is passed on."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env = env
        self._folder = folder
        self._tree = folder / "tree"
        self._configured = False

    def refs(self, remote: Remote) -> Refs:
        """Return what the repository offers. UpstreamError when it does not answer."""
        self._prepare(remote)
        done = self._git("ls-remote", "origin", transports=_transports(remote))
        if not done.ok:
            raise _unreachable(remote, done)
        lines = (line.split("\t") for line in done.stdout.splitlines())
        return Refs(commits={parts[1]: parts[0] for parts in lines if len(parts) == 2 and _COMMIT.fullmatch(parts[0])})

    def check_out(self, remote: Remote, commit: str) -> Path:
        """Return a folder with the files of a commit and of its submodules. UpstreamError; BadSdist when there is no such commit."""
        self._prepare(remote)
        transports = _transports(remote)
        fetch = ("fetch", "-q", "--no-tags", "--no-recurse-submodules")
        # Servers may refuse to give a commit that is no reference's.
        if not self._git(*fetch, "--depth=1", "origin", commit, transports=transports).ok:
            done = self._git(*fetch, "origin", *_EVERYTHING, transports=transports)
            if not done.ok:
                raise _unreachable(remote, done)
        if not self._git("checkout", "-q", "--detach", commit, "--", transports=transports).ok:
            raise _no_such(remote, commit)
        if (self._tree / ".gitmodules").is_file():
            self._submodules(remote)
        return self._tree

    def whole(self, remote: Remote, abbreviated: str) -> str:
        """Return the full commit of an abbreviated one. UpstreamError; BadSdist when there is none, or more than one."""
        self._prepare(remote)
        done = self._git(
            "fetch", "-q", "--no-tags", "--filter=blob:none", "origin", *_EVERYTHING, transports=_transports(remote)
        )
        if not done.ok:
            raise _unreachable(remote, done)
        found = self._git("rev-parse", "--verify", "--quiet", f"{abbreviated}^{{commit}}")
        if not found.ok:
            raise _no_such(remote, abbreviated)
        return found.stdout.strip()

    def archival(self, remote: Remote, commit: str, patterns: Sequence[str]) -> str:
        """Return the commit's place in the history as a `.git_archival.txt` tells it; fetches the history, but no more files."""
        shallow = self._git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"
        more = ("--unshallow",) if shallow else ()
        history = ("fetch", "-q", "--tags", "--filter=blob:none", "--no-recurse-submodules", *more, "origin", commit)
        done = self._git(*history, transports=_transports(remote))
        if not done.ok:
            raise _unreachable(remote, done)
        return archival(self._git, commit, patterns)

    def _submodules(self, remote: Remote) -> None:
        # As pip: recursive. A repository from elsewhere must not have files of this machine copied in.
        update = ("submodule", "update", "-q", "--init", "--recursive", "--checkout")
        transports = (
            _transports(remote)
            if urlsplit(remote.url).scheme == "file"
            else tuple({*_REMOTE, *_transports(remote)} - {"file"})
        )
        if self._git(*update, "--depth=1", transports=transports).ok:
            return
        done = self._git(*update, transports=transports)
        if not done.ok:
            raise _unreachable(remote, done, "its submodules")

    def _prepare(self, remote: Remote) -> None:
        if self._configured:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        _write_secret(self._folder / "config", self._own_settings())
        done = self._git("init", "-q", "--template=", str(self._tree), inside=False)
        if not done.ok:
            raise FarmError(f"git init failed: {_last(done)}", solution="install git 2.31 or newer")
        # In its own configuration: submodules must not take it for theirs, but their relative URLs count from it.
        own = self._tree / ".git" / "config"
        _write_secret(own, f'{own.read_text("utf-8")}[remote "origin"]\n\turl = {_quoted(remote.url)}\n')
        self._configured = True

    def _own_settings(self) -> str:
        """Return what of the user's configuration says how servers are reached."""
        env = {name: self._env[name] for name in _PASSED_ON if name in self._env} | {
            "GIT_CEILING_DIRECTORIES": str(self._folder.parent)
        }
        done = run(Command(argv=("git", "config", "--list", "--null"), cwd=self._folder, env=env, timeout=30.0))
        lines = []
        for entry in done.stdout.split("\0") if done.ok else ():
            key, _, value = entry.partition("\n")
            if _KEPT.fullmatch(key):
                section, _, rest = key.partition(".")
                subsection, dot, name = rest.rpartition(".")
                lines.append(f"[{section} {_quoted(subsection)}]" if dot else f"[{section}]")
                lines.append(f"\t{name} = {_quoted(value)}")
        return "\n".join(lines)

    def _git(self, *words: str, transports: Sequence[str] = (), inside: bool = True) -> Completed:
        env = {name: self._env[name] for name in _PASSED_ON if name in self._env} | environment(transports)
        env["GIT_CONFIG_GLOBAL"] = str(self._folder / "config")
        env["GIT_CEILING_DIRECTORIES"] = str(self._folder)
        argv = ("git", *_SAFE, *words)
        return run(Command(argv=argv, cwd=self._tree if inside else self._folder, env=env, timeout=_SECONDS))


def describe_here(project: Path, env: Mapping[str, str], patterns: Sequence[str]) -> str | None:
    """Return the `.git_archival.txt` of the working copy that a folder is in, None when it is in none. Only reads."""
    given = {name: env[name] for name in ("PATH", "HOME") if name in env} | environment(())

    def git(*words: str) -> Completed:
        return run(Command(argv=("git", *_SAFE, *words), cwd=project, env=given, timeout=60.0))

    try:
        head = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except FarmError:
        return None  # no git on this machine
    return archival(git, head.stdout.strip(), patterns) if head.ok else None


def environment(transports: Sequence[str]) -> dict[str, str]:
    """Return the variables under which git asks nobody, runs nothing and uses these transports only."""
    return {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": ":".join(transports) or "none",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C.UTF-8",
    }


def archival(git: Callable[..., Completed], commit: str, patterns: Sequence[str]) -> str:
    """Return the text of a `.git_archival.txt`: what setuptools-scm and its kin read where there is no repository.

    Without a tag it says 0.0 and the number of commits, from which they make the version that they would find themselves.
    """
    matches = [word for pattern in patterns for word in ("--match", pattern)]
    described = git("describe", "--tags", "--long", *matches, commit)
    name = described.stdout.strip()
    if not described.ok or not name:
        count = git("rev-list", "--count", commit).stdout.strip() or "0"
        short = git("rev-parse", "--short", commit).stdout.strip() or commit[:7]
        name = f"0.0-{count}-g{short}"
    date = git("show", "-s", "--no-show-signature", "--format=%cI", commit).stdout.strip()
    return f"node: {commit}\nnode-date: {date}\ndescribe-name: {name}\n"


def is_commit(ref: str | None) -> bool:
    """Tell whether a reference is a commit written out: nothing on the server can change what it means."""
    return ref is not None and _COMMIT.fullmatch(ref) is not None


def may_be_abbreviated(ref: str | None) -> bool:
    return ref is not None and _SHORT.fullmatch(ref) is not None


def _transports(remote: Remote) -> tuple[str, ...]:
    return (urlsplit(remote.url).scheme, *(("https",) if remote.url.startswith("http:") else ()))


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, "utf-8")


def _quoted(value: str) -> str:
    """Return a value as git's configuration files write it (git-config, "Syntax")."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _last(done: Completed) -> str:
    if done.timed_out:
        return f"no end after {done.seconds:.0f} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "remote:"))]
    return redact((telling or lines or [f"exit code {done.returncode}"])[0])


def _unreachable(remote: Remote, done: Completed, what: str = "the repository") -> UpstreamError:
    return UpstreamError(
        f"{remote}: git could not fetch {what}: {_last(done)}",
        solution="check the URL, and that git on this machine may read it without asking for a password (a credential helper,"
        " an ssh agent, .netrc)",
    )


def _no_such(remote: Remote, ref: str) -> BadSdist:
    return BadSdist(
        f"{remote}: expected a branch, tag or commit {ref!r}, found none",
        solution="correct what follows the @ in the URL",
    )


def no_such(remote: Remote) -> BadSdist:
    """Return the failure for a reference that the repository does not have."""
    return _no_such(remote, remote.ref or "HEAD")
