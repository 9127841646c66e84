"""`routeiq demo`: a gateway with an embedded provider, and a first conversation with it.

    start `routeiq serve --demo` ─► chat, stream, embedding with the `openai` SDK ─► show what happened ─► keep serving

No provider key and no network are needed; state goes to a temporary directory unless one is named.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from routeiq.cli.gateway import GatewayFailed, free_port, gateway
from routeiq.core.money import dollars
from routeiq.ledger.tail import LedgerTail, LedgerUnreadable
from routeiq.store.database import database_path

if TYPE_CHECKING:
    import openai

PORT = 4000
MODEL = "demo"
EMBEDDING_MODEL = "demo-embedding"
LEDGER_SECONDS = 20.0


@dataclass
class Step:
    """One call and what came of it. `milliseconds` and `first_token_ms` as the client saw them."""

    name: str
    model: str
    ok: bool = False
    text: str = ""
    call_id: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str = ""
    milliseconds: float = 0.0
    first_token_ms: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    in_ledger: bool = False
    error: str = ""

    def note_headers(self, headers: Any) -> None:
        """Keep what the gateway says about the call."""
        self.headers = {k: v for k, v in headers.items() if k.lower().startswith(("x-routeiq-", "x-litellm-"))}
        self.call_id = headers.get("x-litellm-call-id", "")
        self.cost = headers.get("x-litellm-response-cost", "")


def demo(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    port: int | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    state_dir: Path | None = None,
) -> int:
    """Start a gateway with an embedded provider and talk to it.

    Parameters
    ----------
    once
        End after the conversation; otherwise serve until Ctrl-C.
    port
        Port on 127.0.0.1. Default: 4000, or any free one when that is taken.
    as_json
        Print what happened as one JSON document.
    state_dir
        Keep ledger and counters here. Default: a temporary directory.
    """
    console = Console(stderr=as_json, highlight=False)
    if importlib.util.find_spec("openai") is None:
        console.print("The demo speaks to the gateway with the openai SDK: pip install 'routeiq\\[demo]'", style="red")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(console, once=once, port=port, as_json=as_json, state_dir=state_dir)
    except KeyboardInterrupt:
        return 130 if once else 0


def _run(console: Console, *, once: bool, port: int | None, as_json: bool, state_dir: Path | None) -> int:
    """Start, talk, show, serve; gives the exit code. Leaves on `KeyboardInterrupt` with the gateway stopped."""
    import openai

    with ExitStack() as stack:
        directory = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="routeiq-demo-")))
        try:
            process, url = stack.enter_context(gateway(["--demo"], port or free_port(PORT), directory))
        except GatewayFailed as failed:
            console.print("The gateway did not start:", style="red")
            console.print(str(failed), markup=False)
            return 1
        # Proxies of the environment are for the outside; this stays on loopback.
        client = openai.OpenAI(
            base_url=f"{url}/v1",
            api_key="not-needed",
            max_retries=0,
            timeout=30,
            http_client=openai.DefaultHttpxClient(trust_env=False),
        )
        with client:
            steps = _converse(client, console)
        _read_ledger(directory, steps)
        ok = all(step.ok and step.in_ledger for step in steps)
        if as_json:
            print(json.dumps({"ok": ok, "url": url, "steps": [asdict(step) for step in steps]}, indent=2), flush=True)
        else:
            _report(console, url, steps, directory)
        if once:
            return 0 if ok else 1
        console.print(f"Serving at {url} until Ctrl-C.", style="bold")
        return process.wait()


# --- the conversation


def _converse(client: openai.OpenAI, console: Console) -> list[Step]:
    """One chat, one stream, one embedding; a step that fails doesn't keep the next from running."""
    steps = []
    calls: list[tuple[Step, Callable[[openai.OpenAI, Console, Step], None]]] = [
        (Step("chat", MODEL), _chat),
        (Step("stream", MODEL), _stream),
        (Step("embedding", EMBEDDING_MODEL), _embed),
    ]
    for step, call in calls:
        console.rule(f"{step.name} · {step.model}", align="left", style="dim")
        start = time.perf_counter()
        try:
            call(client, console, step)
            step.ok = bool(step.text)
        except Exception as error:
            step.error = f"{type(error).__name__}: {error}"
            console.print(step.error, style="red", markup=False)
        step.milliseconds = round((time.perf_counter() - start) * 1e3, 1)
        steps.append(step)
    console.rule(style="dim")
    return steps


def _chat(client: openai.OpenAI, console: Console, step: Step) -> None:
    question = "What does a gateway do?"
    console.print(f"> {question}", style="cyan")
    raw = client.chat.completions.with_raw_response.create(
        model=step.model, messages=[{"role": "user", "content": question}]
    )
    step.note_headers(raw.headers)
    answer = raw.parse()
    step.text = answer.choices[0].message.content or ""
    if answer.usage:
        step.prompt_tokens, step.completion_tokens = answer.usage.prompt_tokens, answer.usage.completion_tokens
    console.print(step.text, markup=False)


def _stream(client: openai.OpenAI, console: Console, step: Step) -> None:
    question = "And word by word?"
    console.print(f"> {question}", style="cyan")
    start = time.perf_counter()
    raw = client.chat.completions.with_raw_response.create(
        model=step.model,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    step.note_headers(raw.headers)
    finished = False
    for chunk in raw.parse():
        for choice in chunk.choices:
            if choice.delta.content:
                if step.first_token_ms is None:
                    step.first_token_ms = round((time.perf_counter() - start) * 1e3, 1)
                step.text += choice.delta.content
                console.print(choice.delta.content, end="", markup=False, soft_wrap=True)
            finished = finished or choice.finish_reason is not None
        if chunk.usage:
            step.prompt_tokens, step.completion_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
    console.print()
    if not finished:
        raise ValueError("the stream ended without a finish_reason")


def _embed(client: openai.OpenAI, console: Console, step: Step) -> None:
    text = "a thin layer in front of every model"
    console.print(f"> {text}", style="cyan")
    raw = client.embeddings.with_raw_response.create(model=step.model, input=text)
    step.note_headers(raw.headers)
    answer = raw.parse()
    vector = answer.data[0].embedding
    step.prompt_tokens = answer.usage.prompt_tokens
    step.text = f"[{', '.join(f'{value:.3f}' for value in vector[:4])}, …] {len(vector)} numbers"
    console.print(step.text, markup=False)


def _read_ledger(state_dir: Path, steps: list[Step]) -> None:
    """Look the calls up where every request ends; a stream's cost is known only there."""
    end = time.monotonic() + LEDGER_SECONDS
    while time.monotonic() < end and not all(step.in_ledger for step in steps):
        time.sleep(0.1)
        try:
            with closing(LedgerTail(database_path(state_dir))) as ledger:
                rows = {row["id"]: row for row in ledger.last(50)}
        except LedgerUnreadable:
            continue  # the control plane is still making it
        for step in steps:
            row = rows.get(step.call_id)
            if row is not None:
                step.in_ledger = True
                step.cost = dollars(row["cost"]) if row["cost"] is not None else ""


# --- the report


def _report(console: Console, url: str, steps: list[Step], state_dir: Path) -> None:
    """What happened, where to look, what to try next."""
    table = Table(title="What is in the ledger", title_justify="left")
    for name in ("call", "call id", "tokens", "cost, $", "ms", "first token"):
        table.add_column(name, overflow="fold")
    for step in steps:
        table.add_row(
            step.name if step.ok and step.in_ledger else f"[red]{step.name}[/]",
            step.call_id,
            f"{step.prompt_tokens} + {step.completion_tokens}",
            step.cost or "-",
            f"{step.milliseconds:.1f}",
            "-" if step.first_token_ms is None else f"{step.first_token_ms:.1f}",
        )
    console.print(table)
    headers = steps[0].headers
    if headers:
        grid = Table("response header", "value", title="Headers of the chat", title_justify="left")
        for name in sorted(headers):
            grid.add_row(name, headers[name] or "-")
        console.print(grid)
    console.print(f"metrics  {url}/metrics")
    console.print(f"models   {url}/v1/models")
    console.print(f"ledger   routeiq requests tail --state-dir {state_dir}\n", soft_wrap=True)
    # Without frames and without wrapping, so that they can be copied.
    for title, snippet in (("Try it with curl", _curl(url)), ("or from Python", _python(url))):
        console.rule(title, align="left", style="dim")
        console.print(snippet, style="green", markup=False, soft_wrap=True)
    console.rule(style="dim")


def _curl(url: str) -> str:
    return (
        f"curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\\n"
        f'  -d \'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Hello"}}]}}\''
    )


def _python(url: str) -> str:
    return (
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}/v1", api_key="not-needed")\n'
        f'answer = client.chat.completions.create(model="{MODEL}", messages=[{{"role": "user", "content": "Hello"}}])\n'
        "print(answer.choices[0].message.content)"
    )
