"""LiteLLM's SDK, imported when it is first needed and kept quiet.

Its settings: https://docs.litellm.ai/docs/proxy/config_settings, https://docs.litellm.ai/docs/observability/callbacks
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
from typing import Any

MISSING = "this provider is served by LiteLLM's SDK, which is not installed: pip install 'routeiq[litellm]'"

_ENVIRONMENT = {
    # No list of prices or headers is fetched from the network, no .env file of the working directory is read, and no
    # request is logged, whatever LITELLM_LOG asks of the gateway itself.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")


class SdkMissing(RuntimeError):
    """LiteLLM can't be imported; the message says what to install."""


class Sdk:
    """The module, once it is loaded. To be used in one event loop."""

    def __init__(self, *, own_process: bool = True) -> None:
        """In another's process, whose program may use LiteLLM too, its settings and the environment are left alone."""
        self._own_process = own_process
        self._loading: asyncio.Task[Any] | None = None

    async def load(self) -> Any:
        """The module; the first call takes some seconds, in a thread. Raises `SdkMissing`."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(asyncio.to_thread(_import, self._own_process))
        return await asyncio.shield(self._loading)


def _import(own_process: bool) -> Any:
    known = "litellm" in sys.modules
    lent = {} if own_process or known else {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    if own_process or not known:
        os.environ.update(_ENVIRONMENT)
    try:
        litellm: Any = importlib.import_module("litellm")
    except ImportError as error:
        if error.name == "litellm":
            raise SdkMissing(MISSING) from None
        raise SdkMissing(f"LiteLLM's SDK can't be imported ({error}): pip install 'routeiq[litellm]'") from None
    finally:
        if not own_process and not known:
            for name in _ENVIRONMENT:
                os.environ.pop(name, None)
            os.environ.update(lent)
    if not known:
        litellm.suppress_debug_info = True  # it would print to the program's standard output
    if own_process:
        _silence(litellm)
    return litellm


def _silence(litellm: Any) -> None:
    """Nothing is logged of a request, and nothing is fetched to count its tokens."""
    litellm.disable_streaming_logging = True
    litellm.turn_off_message_logging = True
    litellm.disable_hf_tokenizer_download = True
    litellm.drop_params = False
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
