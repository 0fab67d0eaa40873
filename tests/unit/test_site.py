"""What of this machine the steps with a network get to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farm.adapters.pipconfig import IndexSettings
from farm.model.settings import Settings
from farm.wire import Farm
from farm.wire.site import image_variables, network_variables, proxies

if TYPE_CHECKING:
    from pathlib import Path

INDEX = IndexSettings(url="https://index.example/simple", extra_urls=("https://u:secret@extra.example/simple",), proxy="http://pip.example:1")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"])
def test_a_proxy_is_handed_on_in_both_spellings(name: str) -> None:
    assert proxies({name: "http://p.example:1", "PATH": "/bin"}) == dict.fromkeys((name, name.swapcase()), "http://p.example:1")


def test_two_spellings_that_differ_stay_as_they_are() -> None:
    given = {"http_proxy": "http://small.example", "HTTP_PROXY": "http://large.example"}
    assert proxies(given) == given


def test_an_empty_proxy_is_none() -> None:
    assert proxies({"HTTP_PROXY": ""}) == {}


def test_a_build_with_a_network_gets_pips_settings_but_no_password() -> None:
    told = network_variables(INDEX, {"HTTPS_PROXY": "http://p.example:1"})
    assert told["PIP_INDEX_URL"] == "https://index.example/simple"
    assert told["https_proxy"] == "http://p.example:1"
    assert told["PIP_PROXY"] == "http://pip.example:1"
    assert "secret" not in str(told)


def test_an_images_own_build_gets_them_all() -> None:
    told = image_variables(INDEX, default="https://default.example/simple")
    assert told["PIP_EXTRA_INDEX_URL"] == "https://u:secret@extra.example/simple"
    assert told["PIP_PROXY"] == "http://pip.example:1"


def test_an_index_may_be_silent_as_long_as_the_farm_says_else_as_pip_does(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null", "PIP_TIMEOUT": "7"}
    found = [Farm(Settings(store=tmp_path, index_timeout=seconds), environment).pip.timeout for seconds in (0.0, 3.0)]
    assert found == [7.0, 3.0]
