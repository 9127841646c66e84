"""Runs the builder, which turns configuration files into a Snapshot."""

from __future__ import annotations

import asyncio

import msgspec

from routeiq.core.settings import ERROR, BuildResult, Finding, decode

BUILD_SECONDS = 120.0


async def build(command: tuple[str, ...], seconds: float = BUILD_SECONDS) -> BuildResult:
    """The result of one build; a builder that crashes, hangs or answers nonsense is a finding like any other."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, process_group=0
        )
    except OSError as error:
        return _failed(f"the configuration builder could not be started: {error}")
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        return _failed(f"the configuration was not built within {seconds:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        result = decode(output)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _failed(f"the configuration builder ended with status {process.returncode} and without an answer")
    if result.ok and (result.snapshot is None or result.server is None):
        return _failed("the configuration builder left out the snapshot")
    return result


def _failed(message: str) -> BuildResult:
    return BuildResult(ok=False, errors=(Finding(level=ERROR, message=message),))
