"""`farm serve` put together: the store's pages behind uvicorn."""

from __future__ import annotations

import logging
import resource
import signal
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.adapters.pulse import Pulse
from farm.adapters.store import Store
from farm.errors import StoreError, UsageError
from farm.serve.app import Options, create_app
from farm.serve.metrics import Served
from farm.serve.nginx import Front, render_nginx
from farm.serve.simple import render_project
from farm.serve.tail import Tails
from farm.serve.tally import Tally
from farm.wire.following import follow_demand
from farm.wire.metrics import metrics_page
from farm.wire.overview import make_api_routes, make_overview
from farm.wire.site import host_environment, statement_base
from farm.wire.tokens import make_access
from farm.wire.uploads import make_upload_routes
from farm.wire.views import make_views, upstream_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from starlette.applications import Starlette
    from uvicorn import Config

    from farm.model.settings import Settings
    from farm.serve.fast import Shared

_log = logging.getLogger("farm.serve")
_STOP_SECONDS = 5
_BACKLOG = 1024
# A connection and its duplicate for sendfile, files that are kept open, the pages' and the catalogue's.
_DESCRIPTORS = 4096


def serve_index(settings: Settings, env: Mapping[str, str], ready: Callable[[str], None], *, verbose: bool) -> None:
    """Serve until interrupted; `ready` gets the URL once the address is taken. UsageError when it cannot be.

    `env` is the environment: of it pip's settings for the upstream index, and PATH for what looks into uploads.
    """
    import uvicorn  # noqa: PLC0415 - the server only

    from farm.serve.fast import Shared  # noqa: PLC0415 - imports uvicorn

    shared = Shared()
    with _ending_by_sigterm(), _application(settings, env, shared) as app, _listening(settings) as listener:
        config = _config(settings, app, shared, verbose=verbose)
        host = f"[{settings.host}]" if listener.family == socket.AF_INET6 else settings.host
        scheme = "https" if settings.tls_certificate else "http"
        ready(f"{scheme}://{host}:{listener.getsockname()[1]}{settings.path_prefix}")
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the block as an exception would, so that what was counted is kept, and then this process as it always does.

    uvicorn raises the signal again when it has answered what was under way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal handlers are called
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM arrived. Not an Exception: nobody on the way may take it for a failure."""


def nginx_block(settings: Settings) -> str:
    """Return the configuration of an nginx in front of this farm. UsageError when it cannot be written."""
    return render_nginx(
        Front(
            blobs=settings.store.absolute() / "blobs",
            host=settings.host,
            port=settings.port,
            prefix=settings.path_prefix,
            tls=bool(settings.tls_certificate),
            open_reading=settings.read_access == "open",
        )
    )


@contextmanager
def _application(settings: Settings, env: Mapping[str, str], shared: Shared) -> Iterator[Starlette]:
    store = Store(settings.store, render_project, SystemClock(), provenance=statement_base(settings))
    try:
        # Pages that an older farm made, or that a publisher which died left undone.
        store.recover()
    except StoreError as error:
        _log.warning("the store cannot be written, so it is served as it is: %s", error.reason)
    access, pulse = make_access(settings), Pulse(settings.store / "serial")
    pip = upstream_settings(settings, env)
    views = make_views(settings, store, pip)
    uploads = make_upload_routes(settings, store, access, views.project, host_environment(env))
    tally = Tally()
    overview = make_overview(settings, store)
    threading.Thread(target=overview.warm, name="warm", daemon=True).start()
    tails = Tails(overview)
    demand = follow_demand(settings, env, store, tally)
    try:
        yield create_app(
            views.sources,
            store,
            Options(
                direct=store.direct,
                strict=views.strict,
                packages=views.packages,
                uploads=uploads,
                access=access,
                removed=store.removed,
                statement=store.statement,
                cache_control=settings.page_cache_control,
                prefix=settings.path_prefix,
                pulse=pulse,
                tally=tally,
                metrics=metrics_page(settings, store, access, lambda: Served(tally.totals(), shared.given, views.upstream())),
                api=make_api_routes(settings, store, access, overview, tails),
                overview=overview,
                follow=tails.follow,
            ),
        )
    finally:
        demand.close()
        pulse.close()
        views.close()
        store.close()


def _config(settings: Settings, app: Starlette, shared: Shared, *, verbose: bool) -> Config:
    import uvicorn  # noqa: PLC0415 - the server only

    from farm.serve.fast import fast_protocol  # noqa: PLC0415 - imports uvicorn

    _allow_descriptors()
    config = uvicorn.Config(
        app,
        http=fast_protocol(shared),
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        backlog=_BACKLOG,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        log_level="info" if verbose else "warning",
        access_log=verbose,
        # Without one of its own, what uvicorn logs goes where all else does.
        **({"log_config": None} if settings.log_format == "json" else {}),  # type: ignore[arg-type]
        timeout_graceful_shutdown=_STOP_SECONDS,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        files = settings.tls_certificate + (f" and {settings.tls_key}" if settings.tls_key else "")
        raise UsageError(
            f"expected a certificate and its key in {files}: {getattr(error, 'strerror', None) or error}",
            solution="name PEM files with [serve] tls-certificate and tls-key, or --tls-certificate and --tls-key",
        ) from error
    return config


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            # Whoever reads the URL may connect at once; the system lets it wait until uvicorn accepts.
            listener.listen(_BACKLOG)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}",
                solution="choose another with --port, or end the program that has it",
            ) from error
        yield listener


def _allow_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
