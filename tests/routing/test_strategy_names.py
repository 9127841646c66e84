"""Every strategy the configuration accepts is one that routing has."""

from __future__ import annotations

import random

import pytest

from routeiq.core.routing import BALANCING as STRATEGIES
from routeiq.routing.balance import strategy


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_accepted_name_has_a_strategy(name: str) -> None:
    assert callable(strategy(name, random.Random(1)))
