"""The catalogue's tables, and the steps from one schema to the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect

SCHEMA = 4
"""The version of the tables below. Raise it together with a new entry in STEPS."""

STEPS: Sequence[tuple[int, tuple[str, ...]]] = (
    (
        2,
        (
            "ALTER TABLE wheels ADD COLUMN uploader VARCHAR(64) DEFAULT '' NOT NULL",
            """CREATE TABLE tokens (name VARCHAR(64) NOT NULL PRIMARY KEY, hash VARCHAR(64) NOT NULL UNIQUE,
               scope VARCHAR(16) NOT NULL, projects JSON NOT NULL, created VARCHAR(32) NOT NULL, expires VARCHAR(32))""",
            """CREATE TABLE tombstones (filename VARCHAR(512) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,
               version VARCHAR(255) NOT NULL, sha256 VARCHAR(64) NOT NULL, size INTEGER NOT NULL, sdist TEXT NOT NULL,
               sdist_sha256 VARCHAR(64), why TEXT NOT NULL, removed VARCHAR(32) NOT NULL, remedy TEXT NOT NULL)""",
            "CREATE INDEX ix_tombstones_sha256 ON tombstones (sha256)",
            # Pages are files of another form since.
            "UPDATE pages SET dirty = TRUE",
        ),
    ),
    (
        3,
        (
            """CREATE TABLE failures ("key" VARCHAR(64) NOT NULL, inputs VARCHAR(128) NOT NULL, attempt VARCHAR(64) NOT NULL,
               stage VARCHAR(16) NOT NULL, seconds FLOAT NOT NULL, diagnosis TEXT NOT NULL, PRIMARY KEY ("key", inputs))""",
            """CREATE TABLE usages (attempt VARCHAR(64) NOT NULL PRIMARY KEY, memory BIGINT NOT NULL, cpu_seconds FLOAT NOT NULL,
               seconds FLOAT NOT NULL)""",
            """CREATE TABLE runs (id VARCHAR(64) NOT NULL PRIMARY KEY, started VARCHAR(32) NOT NULL, ended VARCHAR(32),
               state VARCHAR(16) NOT NULL, folder TEXT NOT NULL, config TEXT NOT NULL, options TEXT NOT NULL)""",
            """CREATE TABLE wheel_recipes (filename VARCHAR(512) NOT NULL PRIMARY KEY, recipe VARCHAR(64) NOT NULL)""",
            """CREATE TABLE run_jobs (run VARCHAR(64) NOT NULL, job VARCHAR(512) NOT NULL, state VARCHAR(16) NOT NULL,
               PRIMARY KEY (run, job))""",
        ),
    ),
    (
        4,
        (
            """CREATE TABLE watches (name VARCHAR(64) NOT NULL PRIMARY KEY, source TEXT NOT NULL, targets JSON NOT NULL,
               options JSON NOT NULL, created VARCHAR(32) NOT NULL)""",
            """CREATE TABLE watch_states (name VARCHAR(64) NOT NULL PRIMARY KEY, looked VARCHAR(32) NOT NULL, digest VARCHAR(64) NOT NULL,
               error TEXT NOT NULL, pins INTEGER NOT NULL, seconds FLOAT NOT NULL)""",
            """CREATE TABLE wanted (watch VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL,
               target VARCHAR(255) NOT NULL, PRIMARY KEY (watch, name, version, target))""",
            "CREATE INDEX wanted_by_name ON wanted (name, version, target)",
            """CREATE TABLE cells (name VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL, target VARCHAR(255) NOT NULL,
               state VARCHAR(16) NOT NULL, reason TEXT NOT NULL, file TEXT NOT NULL, since VARCHAR(32) NOT NULL, seen VARCHAR(32) NOT NULL,
               PRIMARY KEY (name, version, target))""",
            "CREATE INDEX cells_by_state ON cells (state, name)",
            "CREATE INDEX cells_by_target ON cells (target, state, name)",
            """CREATE TABLE misses (day VARCHAR(10) NOT NULL, name VARCHAR(255) NOT NULL, version VARCHAR(255) NOT NULL,
               target VARCHAR(255) NOT NULL, client VARCHAR(64) NOT NULL, count INTEGER NOT NULL, last VARCHAR(32) NOT NULL,
               PRIMARY KEY (day, name, version, target, client))""",
            "CREATE INDEX misses_by_name ON misses (name, day)",
            """CREATE TABLE clients (day VARCHAR(10) NOT NULL, target VARCHAR(255) NOT NULL, client VARCHAR(64) NOT NULL,
               count INTEGER NOT NULL, PRIMARY KEY (day, target, client))""",
            """CREATE TABLE downloads (day VARCHAR(10) NOT NULL, filename VARCHAR(512) NOT NULL, count INTEGER NOT NULL,
               PRIMARY KEY (day, filename))""",
            "CREATE INDEX downloads_by_filename ON downloads (filename)",
            """CREATE TABLE nights (id VARCHAR(64) NOT NULL PRIMARY KEY, started VARCHAR(32) NOT NULL, ended VARCHAR(32),
               state VARCHAR(16) NOT NULL, report TEXT NOT NULL)""",
            """CREATE TABLE campaigns (name VARCHAR(64) NOT NULL PRIMARY KEY, target VARCHAR(255) NOT NULL, created VARCHAR(32) NOT NULL,
               closed VARCHAR(32), options TEXT NOT NULL)""",
            """CREATE TABLE retirements (filename VARCHAR(512) NOT NULL PRIMARY KEY, upstream TEXT NOT NULL,
               retired VARCHAR(32) NOT NULL)""",
            "DROP INDEX IF EXISTS attempts_by_state",
            "CREATE INDEX IF NOT EXISTS attempts_by_state ON attempts (state, id)",
            "CREATE INDEX IF NOT EXISTS attempts_by_state_and_name ON attempts (state, name)",
            "CREATE INDEX IF NOT EXISTS attempts_by_target ON attempts (target, state, id)",
            "CREATE INDEX IF NOT EXISTS attempts_by_target_and_name ON attempts (target, state, name)",
            "CREATE INDEX IF NOT EXISTS attempts_by_run ON attempts (run, state, id)",
        ),
    ),
)
"""(version, statements that lead to it from the version before). A new catalogue is made at SCHEMA and needs none."""


class UtcTime(TypeDecorator[datetime]):
    """An aware time as ISO 8601 in UTC, always with microseconds, so that text order is time order on every database."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"expected an aware time, found {value!r}"
            raise ValueError(message)
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

schema = Table("farm_schema", metadata, Column("version", Integer, nullable=False))

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("run", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("log", Text, nullable=False),
    Column("image", String(255), nullable=False),
    Column("key", String(64)),
    Column("wheel", Text, nullable=False),
    Column("digest", String(64)),
    Column("cause", String(255), nullable=False),
    Column("summary", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Index("attempts_by_name", "name", "id"),
    Index("attempts_by_key", "key", "id"),
    Index("attempts_by_state", "state", "id"),
    Index("attempts_by_state_and_name", "state", "name"),
    Index("attempts_by_target", "target", "state", "id"),
    Index("attempts_by_target_and_name", "target", "state", "name"),
    Index("attempts_by_run", "run", "state", "id"),
)

# The files of the index: wheels that were built or uploaded, and sdists that were uploaded. `key`, `attempt` and `sdist` are
# empty where a file was not built, `metadata_sha256` where its page may not announce metadata.
wheels = Table(
    "wheels",
    metadata,
    Column("filename", String(512), primary_key=True),
    Column("name", String(255), nullable=False, index=True),
    Column("version", String(255), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("metadata_sha256", String(64), nullable=False),
    Column("requires_python", Text),
    Column("yanked", JSON, nullable=False),
    Column("upload_time", UtcTime),
    Column("built_at", UtcTime, nullable=False),
    Column("sdist", Text, nullable=False),
    Column("sdist_sha256", String(64)),
    Column("key", String(64), nullable=False),
    Column("attempt", String(64), nullable=False),
    Column("targets", JSON, nullable=False),
    Column("uploader", String(64), nullable=False, server_default=""),
)

# `dirty` is set with each new wheel, in its transaction, and cleared when the page on the disk shows it.
# `on_list` tells that the project's name stands in the list of projects.
pages = Table(
    "pages",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("dirty", Boolean, nullable=False, index=True),
    Column("on_list", Boolean, nullable=False),
)

# One row: grows by one with each change of the index.
serial = Table("serial", metadata, Column("value", Integer, nullable=False))

# Of a token only its sha256 is kept. `projects` are patterns of normalised names; empty for all.
tokens = Table(
    "tokens",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("projects", JSON, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
)

# Files that were taken off the index. Their names stay theirs: only the same bytes may come back under them.
tombstones = Table(
    "tombstones",
    metadata,
    Column("filename", String(512), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("version", String(255), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("sdist", Text, nullable=False),
    Column("sdist_sha256", String(64)),
    Column("why", Text, nullable=False),
    Column("removed", UtcTime, nullable=False),
    Column("remedy", Text, nullable=False),
)

# Failures that would come again: of a job's key, under `inputs` beyond it (farm/work/memory.py). `diagnosis` is JSON.
failures = Table(
    "failures",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("inputs", String(128), primary_key=True),
    Column("attempt", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("diagnosis", Text, nullable=False),
)

# What builds took: bytes at the peak, seconds of all CPUs, seconds of the clock while it was looked at.
usages = Table(
    "usages",
    metadata,
    Column("attempt", String(64), primary_key=True),
    Column("memory", BigInteger, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("seconds", Float, nullable=False),
)

# The journal of runs that built something: what was asked, and where each job of each plan stood last. `options` is JSON.
runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("state", String(16), nullable=False),
    Column("folder", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("options", Text, nullable=False),
)
run_jobs = Table(
    "run_jobs",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("job", String(512), primary_key=True),
    Column("state", String(16), nullable=False),
)

# The digest of config.toml's recipe under which a wheel was published last. A wheel from before this table has no row.
wheel_recipes = Table(
    "wheel_recipes",
    metadata,
    Column("filename", String(512), primary_key=True),
    Column("recipe", String(64), nullable=False),
)

# Requirement sets that were registered with `farm watch add`; those of config.toml are not in it. `options` are extras, groups
# and constraints.
watches = Table(
    "watches",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("source", Text, nullable=False),
    Column("targets", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("created", UtcTime, nullable=False),
)

# How the last look at each set went, wherever it is registered: the digest of what was read, and why it could not be ("" otherwise).
watch_states = Table(
    "watch_states",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("looked", UtcTime, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("error", Text, nullable=False),
    Column("pins", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
)

# What each set wants, as of its last look that went well.
wanted = Table(
    "wanted",
    metadata,
    Column("watch", String(64), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("target", String(255), primary_key=True),
    Index("wanted_by_name", "name", "version", "target"),
)

# What is known of each of these: `state` as in a report (farm/model/report.py), since when, and when it was last looked at.
cells = Table(
    "cells",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("target", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("seen", UtcTime, nullable=False),
    Index("cells_by_state", "state", "name"),
    Index("cells_by_target", "target", "state", "name"),
)

# Sdists that clients fetched through the index, to compile them. `day` is YYYY-MM-DD in UTC, `target` "" where the client does not
# tell it, `client` such as "pip 25.1".
misses = Table(
    "misses",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("target", String(255), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last", UtcTime, nullable=False),
    Index("misses_by_name", "name", "day"),
)

# Requests for pages, by what clients say that they are.
clients = Table(
    "clients",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("target", String(255), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
)

# Downloads of the farm's own wheels: each saves a client a build.
downloads = Table(
    "downloads",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("filename", String(512), primary_key=True),
    Column("count", Integer, nullable=False),
    Index("downloads_by_filename", "filename"),
)

# Nightly runs, and what each reported: JSON, empty until it has ended.
nights = Table(
    "nights",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("state", String(16), nullable=False),
    Column("report", Text, nullable=False),
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("target", String(255), nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("closed", UtcTime),
    Column("options", Text, nullable=False),
)

# Wheels that the farm need not build again, as upstream has one now: which, and since when.
retirements = Table(
    "retirements",
    metadata,
    Column("filename", String(512), primary_key=True),
    Column("upstream", Text, nullable=False),
    Column("retired", UtcTime, nullable=False),
)
