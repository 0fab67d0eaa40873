"""What is asked of a farm's URL, on the client's side."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from farm.adapters.farm_index import farm_root
from farm.errors import UsageError

__all__ = ["farm_root", "is_loopback", "same_farm"]


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, as pip's list of secure origins has it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def same_farm(url: str, root: str) -> bool:
    """Tell whether a URL is one of the views of the farm at `root`; credentials do not count."""
    try:
        one, two = urlsplit(farm_root(url)), urlsplit(root)
    except UsageError:
        return False
    return (one.hostname, one.port, one.path) == (two.hostname, two.port, two.path) and one.scheme == two.scheme
