"""`compiled(text, **environment)`: what a configuration comes to."""

from __future__ import annotations

import pytest
from config_helpers import Compile, compile_text


@pytest.fixture(scope="session")
def compiled() -> Compile:
    return compile_text
