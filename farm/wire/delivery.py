"""A night's report on its way: as mail, and to a webhook. What fails is tried once more, and then told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.adapters.mail import Letter, Server, send
from farm.adapters.webhook import post
from farm.errors import FarmError, UsageError
from farm.model.night import Fault, to_text
from farm.serve.night_html import page
from farm.serve.night_text import chat, headline, plain
from farm.wire.site import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farm.model.night import Night
    from farm.wire.assembly import Farm

_PAUSE_S = 10.0
# What a person reads of one part in a mail, and what mail servers surely take (10 MB is usual, and Base64 adds a third).
_MOST = 200
_LARGEST = 5_000_000


def deliver(farm: Farm, night: Night, *, pause: float = _PAUSE_S) -> Night:
    """Send the report wherever config.toml says, and return the night with what could not be delivered; nothing is raised for that.

    `pause` is how long to wait, in seconds, before the second and last try.
    """
    ways: list[tuple[str, Callable[[], None]]] = []
    if farm.settings.mail_to:
        ways.append((f"mail to {', '.join(farm.settings.mail_to)}", lambda: _mail(farm, night)))
    if farm.settings.night_webhook:
        ways.append(("webhook", lambda: _webhook(farm, night)))
    faults = [Fault(subject=name, text=why) for name, way in ways if (why := _tried(way, pause))]
    return replace(night, undelivered=tuple(faults))


def _tried(way: Callable[[], None], pause: float) -> str:
    """Return why something could not be delivered, "" where it was."""
    for last in (False, True):
        try:
            way()
        except FarmError as error:
            # What config.toml says wrong is as wrong in ten seconds.
            if last or isinstance(error, UsageError):
                return f"{error.reason}; {error.solution}"
            time.sleep(pause)
        else:
            return ""
    raise AssertionError


def _mail(farm: Farm, night: Night) -> None:
    settings = farm.settings
    password = secret(settings.mail_password, farm.env, "nightly.mail.password") if settings.mail_user else ""
    if settings.mail_user and settings.mail_tls == "none":
        raise UsageError(
            "nightly.mail: expected an encrypted connection for a name and a password, found tls = \"none\"",
            solution='set tls to "starttls" or "tls", or leave out user',
        )
    server = Server(
        host=settings.mail_host, port=settings.mail_port, tls=settings.mail_tls, user=settings.mail_user, password=password,
        authorities=str(certificates(farm.pip, farm.env)) if settings.mail_tls != "none" else "",
    )  # fmt: skip
    letter = Letter(
        sender=settings.mail_from or settings.mail_to[0], to=settings.mail_to, subject=headline(night), text=plain(night, _MOST),
        html=page(night, settings.public_url, _MOST), date=farm.clock.now(), attached=_attached(night),
    )  # fmt: skip
    send(server, letter)


def _attached(night: Night) -> tuple[tuple[str, str], ...]:
    """Return the report as JSON where mail servers take it."""
    text = to_text(night)
    return ((f"night-{night.id}.json", text),) if len(text) < _LARGEST else ()


def _webhook(farm: Farm, night: Night) -> None:
    url = farm.settings.night_webhook
    if not url.startswith(("http://", "https://")):
        url = secret(url, farm.env, "nightly.webhook")
    authorities = str(certificates(farm.pip, farm.env)) if url.startswith("https://") else ""
    post(url, chat(night, farm.settings.public_url), authorities=authorities, proxies=_proxies(url, farm.env))


def _proxies(url: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies for a URL by scheme, as the environment has them; none for hosts in no_proxy."""
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        reason = "nightly.webhook: expected a URL, found something else, which is not shown"
        raise UsageError(reason, solution="see docs/nightly.md") from None
    exempt = [name.strip().lstrip(".").lower() for name in (env.get("no_proxy") or env.get("NO_PROXY") or "").split(",") if name.strip()]
    if "*" in exempt or any(f".{host}".endswith(f".{name}") for name in exempt):
        return {}
    found = {scheme: env.get(f"{scheme}_proxy") or env.get(f"{scheme.upper()}_PROXY") for scheme in ("http", "https")}
    # As curl and pip read it: a proxy without a scheme is one for HTTP.
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in found.items() if proxy}


def secret(place: str, env: Mapping[str, str], key: str) -> str:
    """Return the secret that is at "env:NAME" or "file:PATH"; UsageError where there is none."""
    how, _, where = place.partition(":")
    if how == "env":
        found = env.get(where, "")
        missing = f"no variable {where} in the environment"
    else:
        try:
            found = Path(where).read_text(encoding="utf-8").strip()
            missing = f"nothing in {where}"
        except (OSError, UnicodeDecodeError) as error:
            found, missing = "", f"{where}: {getattr(error, 'strerror', None) or error}"
    if not found:
        raise UsageError(f"{key}: expected a secret, found {missing if place else 'no place for it'}", solution="see docs/nightly.md")
    return found
