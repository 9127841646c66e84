"""Models that use the gateway's MCP tools: their calls are run here, and they are asked again, until they answer.

    list ──► ask ─┬─ calls ──► run them over the process with MCP ──► ask …
                  ├─ calls the client has to approve, or to run itself ──► the client
                  └─ an answer ──► the client

Every time a model is asked, that is a request in Chat Completions under the caller's key, with its limits, its cost and
its Event; every call is one of the process with MCP. The request itself leaves an Event without cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from routeiq.core.errors import BadRequest, GatewayError, UpstreamError, UpstreamTimeout
from routeiq.core.exchange import Exchange
from routeiq.core.mcp import Mcp
from routeiq.core.snapshot import CHAT, RESPONSES, Snapshot
from routeiq.core.usage import Usage
from routeiq.pipeline import answer as heads
from routeiq.pipeline import settle
from routeiq.pipeline.asking import Asking, Question
from routeiq.pipeline.attribute import attribute
from routeiq.pipeline.mcp_request import Wanted, wanted, without
from routeiq.pipeline.mcp_tools import McpTools, Result, failure
from routeiq.pipeline.tool_showing import ChatShowing, ResponsesShowing, Showing
from routeiq.pipeline.waiting import failure as told_failure
from routeiq.providers.translate.chat import (
    Answer,
    Chat,
    Choice,
    Delta,
    Ended,
    Finished,
    Message,
    Started,
    ToolCall,
    ToolDelta,
    ToolResult,
    ToolStarted,
    Used,
)
from routeiq.providers.translate.codec import Context, Fit
from routeiq.providers.translate.collect import Collector
from routeiq.providers.translate.openai.answer import write_answer
from routeiq.providers.translate.openai.provider import OpenAIProvider
from routeiq.providers.translate.registry import CHAT_CLIENTS
from routeiq.providers.translate.responses import mcp as items
from routeiq.providers.translate.responses import wire as responses
from routeiq.providers.translate.whole import told

if TYPE_CHECKING:
    from routeiq.pipeline.plan import Plan, Stage

_openai = OpenAIProvider()
_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, Any]).decode
_NO_MORE = "There can be no more calls in this request."


def stage(snapshot: Snapshot) -> Stage | None:
    """Only where there are MCP servers."""
    return loop if snapshot.mcp is not None else None


def loop(exchange: Exchange) -> bool:
    """Take the requests that ask for the gateway's tools."""
    found = wanted(exchange)
    if not found:
        return False
    plan: Plan = exchange.plan
    mcp = plan.snapshot.mcp
    assert mcp is not None
    if not mcp.calls:
        raise GatewayError(
            "Tools can't be called: the gateway's operator has not switched tool calls on.",
            status=501, type="invalid_request_error", code="tool_invocation_disabled",
        )  # fmt: skip
    if exchange.endpoint == RESPONSES and exchange.peek.previous_response_id:
        raise BadRequest(
            "The earlier response is kept by its provider, and the gateway's tools can't go on from there: send the "
            "whole conversation as input.",
            param="previous_response_id", code="unsupported_parameter",
        )  # fmt: skip
    made = exchange.attempt = ToolLoop(exchange, mcp, found)
    made.task = plan.services.start(made.perform())
    return True


class ToolLoop:
    """One loop under way; the exchange's `attempt`, so that it ends when the client goes away."""

    relayed = 0

    def __init__(self, exchange: Exchange, mcp: Mcp, asked: list[Wanted]) -> None:
        self._exchange = exchange
        self._limits = mcp.loop
        self._wanted = asked
        self._tools = McpTools(exchange, mcp)
        self._asking = Asking(exchange)
        self._cost = 0
        """Of calls, nano-dollars."""
        self._left: int | None = None
        """Calls that may still be made."""
        self._chat = Chat(messages=[])
        self._showing: Showing
        self._early: list[bytes] = []
        """What is shown once a model has begun to answer."""
        self._indexes = 0
        """Calls of the client's own functions that were shown."""
        self.task: asyncio.Task[None] | None = None

    def drop(self) -> None:
        """The client is gone."""
        if self.task is not None:
            self.task.cancel()
        self._asking.drop()

    def pause(self) -> None:
        """The client reads slower than it is sent to."""
        self._asking.pause()

    def resume(self) -> None:
        """It has caught up."""
        self._asking.resume()

    async def perform(self) -> None:
        """All of it, to the end of the client's answer."""
        exchange = self._exchange
        seconds: float = exchange.plan.snapshot.timeouts.total
        try:
            async with asyncio.timeout(seconds):
                finished = await self._run()
            if not exchange.settled:
                self._finish(finished)
        except TimeoutError:
            status: int = exchange.plan.snapshot.timeout_status
            self._refuse(UpstreamTimeout(f"There was no answer after {seconds:g} seconds.", status=status))
        except Exception as error:
            self._refuse(told_failure(exchange, error))

    # the rounds

    async def _run(self) -> Finished:
        """How the last answer ended."""
        await self._tools.list(self._wanted)
        request = self._read()
        exchange = self._exchange
        started = Started(id=exchange.call_id, model=exchange.model, created=exchange.at // 1_000_000)
        self._write(self._showing.writer.write(started) + self._showing.listed(self._tools))
        if exchange.endpoint == RESPONSES:
            await self._translate(request)
        for rounds in range(self._limits.rounds + 1):
            if rounds == self._limits.rounds or self._left == 0:
                request["tool_choice"] = "none"
            choice = await self._ask(request)
            calls = [block for block in choice.content if isinstance(block, ToolCall)]
            own = [call for call in calls if call.name in self._tools.by_function]
            run = [call for call in own if not self._tools.by_function[call.name].asks]
            waiting = [call for call in own if self._tools.by_function[call.name].asks]
            others = len(calls) - len(own) + len(waiting)
            if not run or (others and not self._showing.folds) or request.get("tool_choice") == "none":
                self._write(self._showing.waiting(waiting, self._tools))
                return Finished(reason="stop" if choice.finish == "tool_calls" and not others else choice.finish)
            if self._is_spent():
                return Finished(reason="length")
            results = await self._call(run, [None] * len(run))
            self._write(self._showing.waiting(waiting, self._tools))
            if others:
                return Finished(reason=choice.finish)
            if self._is_spent():
                return Finished(reason="length")
            request["messages"] += [_said(choice), *self._results(run, results)]
            if request.get("tool_choice") not in (None, "none"):
                request["tool_choice"] = "auto"  # it has been followed, and would be for ever
        raise AssertionError("the last round has no calls")

    def _is_spent(self) -> bool:
        most = self._limits.cost
        return most is not None and self._asking.cost + self._cost >= most

    async def _call(self, calls: Sequence[ToolCall], approvals: Sequence[str | None]) -> list[Result]:
        """Run them beside each other, and show that."""
        self._write(self._showing.calling(calls, self._tools, approvals))
        allowed = len(calls) if self._left is None else min(self._left, len(calls))
        if self._left is not None:
            self._left -= allowed
        found = [self._tools.call(self._tools.by_function[call.name], call.arguments) for call in calls[:allowed]]
        results = [*await asyncio.gather(*found), *(failure(_NO_MORE) for _ in calls[allowed:])]
        self._cost += sum(result.cost for result in results)
        self._write(self._showing.called(results))
        return results

    async def _translate(self, request: dict[str, Any]) -> None:
        """A request of Responses in Chat Completions, once what the client has approved was run."""
        tools, results, failed = self._tools, {}, set()
        asked = [
            (one, ToolCall(id=one.id, name=name, arguments=one.arguments))
            for one in items.approved(self._chat.messages)
            if (name := tools.function_of(one.label, one.name)) in tools.by_function
        ]
        if asked:
            found = await self._call([call for _, call in asked], [one.id for one, _ in asked])
            for (one, _), result in zip(asked, found, strict=True):
                results[one.id] = result.content
                if result.failed:
                    failed.add(one.id)
        chat = msgspec.structs.replace(
            self._chat,
            messages=items.unfolded(self._chat.messages, tools.function_of, results, frozenset(failed)),
            tools=[*self._chat.tools, *(tool.neutral() for tool in tools.by_function.values())],
        )
        request |= _openai.members(chat, Context(provider="openai", model=self._exchange.model), Fit("openai"))

    # the model's side

    def _read(self) -> dict[str, Any]:
        """The request to begin with, as an object; still empty in Responses, where calls may have to be run first."""
        exchange, tools = self._exchange, self._tools
        body, members = without(exchange.body, {tool.name: name for name, tool in tools.by_function.items()})
        self._chat = CHAT_CLIENTS[exchange.endpoint].read(body)
        self._chat.thread = exchange.thread
        if (self._chat.n or 1) > 1:
            raise BadRequest("'n' must be 1 with MCP tools.", param="n", code="unsupported_parameter")
        for tool in self._chat.tools:
            if tool.name in tools.by_function:
                raise BadRequest(
                    f"The function {tool.name!r} is called like an MCP tool: give it another name.", param="tools"
                )
        if exchange.endpoint == CHAT:
            self._showing = ChatShowing(self._chat, exchange.model, stream=exchange.stream)
            request = _decode_members(body)
            definitions = [tool.definition() for tool in tools.by_function.values()]
            if definitions:
                request["tools"] = [*(request.get("tools") or ()), *definitions]
            return request
        if isinstance(self._chat.origin, responses.Origin):
            self._chat.origin.settings |= {name: members[name] for name in ("tools", "tool_choice") if name in members}
        self._showing = ResponsesShowing(self._chat, exchange.model, stream=exchange.stream)
        self._left = msgspec.json.decode(members.get("max_tool_calls", Raw(b"null")), type=int | None)
        return {}

    async def _ask(self, request: dict[str, Any]) -> Choice:
        """Ask the model once; what it says is shown as it comes."""
        exchange = self._exchange
        plan: Plan = exchange.plan
        asked = {**request, "stream": exchange.stream}
        asked.pop("stream_options", None)
        if exchange.stream:
            asked["stream_options"] = {"include_usage": True}
        else:
            del asked["stream"]
        hearing = _Hearing(self, self._chat)
        question = Question(hearing.feed if exchange.stream else None)
        inner = self._asking.make(question, _encode(asked), exchange.model)
        inner.stream = exchange.stream
        if inner.auto is None:
            inner.group = exchange.group
        inner.stage = plan.stages.index(attribute) + 1
        hearing.exchange = inner
        body = await self._asking.run(inner, question)
        if hearing.error is not None:
            raise hearing.error
        if not exchange.stream:
            try:
                hearing.take(told(_openai.read(body, self._chat)))
            except msgspec.DecodeError as error:
                raise UpstreamError(f"The answer can't be read: {error}", status=502) from None
        choice = hearing.collector.choice()
        if not exchange.stream:
            blocks = choice.content
            self._showing.answered(
                [block for block in blocks if not (isinstance(block, ToolCall) and self._is_ours(block.name))]
            )
        return choice

    def _is_ours(self, name: str) -> bool:
        """Whether a call is not the client's to see as a function's."""
        tool = self._tools.by_function.get(name)
        return tool is not None and (self._showing.folds or not tool.asks)

    def _results(self, calls: Sequence[ToolCall], results: Sequence[Result]) -> list[dict[str, Any]]:
        """Messages with what came of calls."""
        blocks = [
            ToolResult(id=call.id, name=call.name, content=list(result.content), failed=result.failed)
            for call, result in zip(calls, results, strict=True)
        ]
        chat = Chat(messages=[Message(role="tool", content=[block]) for block in blocks])
        context = Context(provider="openai", model=self._exchange.model)
        messages: list[dict[str, Any]] = _openai.members(chat, context, Fit("openai", tolerant=True))["messages"]
        return messages

    # the client's side

    def heard(self, deltas: Sequence[Delta], hidden: set[int], indexes: dict[int, int]) -> None:
        """Show the pieces of a model's answer, but for the calls that are run here and for its end."""
        out = b""
        for delta in deltas:
            if isinstance(delta, (Finished, Used, Ended)):
                continue
            if isinstance(delta, Started):
                if not self._exchange.began:
                    self._begin()
                continue
            if isinstance(delta, ToolStarted) and self._is_ours(delta.name):
                hidden.add(delta.index)
            elif isinstance(delta, ToolStarted):
                indexes[delta.index] = self._indexes
                self._indexes += 1
            if isinstance(delta, (ToolStarted, ToolDelta)):
                if delta.index in hidden or delta.index not in indexes:
                    continue
                delta = msgspec.structs.replace(delta, index=indexes[delta.index])
            out += self._showing.delta(delta)
        self._write(out)

    def _begin(self) -> None:
        exchange = self._exchange
        exchange.client.begin(exchange, heads.played_head(exchange, None))
        exchange.began = True
        early, self._early = b"".join(self._early), []
        self._write(early)

    def _write(self, data: bytes) -> None:
        exchange = self._exchange
        if not exchange.stream or exchange.settled or not data:
            return
        if exchange.began:
            exchange.client.write(exchange, data)
        else:
            self._early.append(data)

    def _finish(self, finished: Finished) -> None:
        """Everything that can go wrong comes before the exchange is settled."""
        exchange = self._exchange
        usage = self._asking.usage
        if exchange.stream:
            writer = self._showing.writer
            body = b"".join(writer.write(last) for last in (finished, Used(usage=usage), Ended()))
        else:
            answer = Answer(
                id=exchange.call_id, model=exchange.model, created=exchange.at // 1_000_000, usage=usage,
                choices=[Choice(content=self._showing.blocks, finish=finished.reason)],
            )  # fmt: skip
            body = CHAT_CLIENTS[exchange.endpoint].write(answer, self._chat)
        exchange.usage, exchange.cost = Usage(0, 0), 0  # the Events of requests and calls have what was used
        settle.settle(exchange, 200, exchange.plan.services.now())
        if exchange.stream:
            exchange.client.end(exchange, body)
        else:
            head = heads.played_head(exchange, self._asking.cost + self._cost)
            exchange.client.respond(exchange, head, body)

    def _refuse(self, error: GatewayError) -> None:
        exchange = self._exchange
        if exchange.settled:
            return
        if not exchange.began:
            settle.refuse(exchange, error)
            return
        exchange.error = error
        settle.settle(exchange, 200, exchange.plan.services.now())
        exchange.client.end(exchange, self._showing.writer.fail(error))


class _Hearing:
    """One answer of a model, as it comes."""

    def __init__(self, tools: ToolLoop, chat: Chat) -> None:
        self._loop = tools
        self._reader = _openai.reader(chat)
        self._hidden: set[int] = set()
        self._indexes: dict[int, int] = {}
        self.collector = Collector()
        self.exchange: Exchange | None = None
        self.error: GatewayError | None = None

    def feed(self, data: bytes) -> None:
        """A piece of its stream."""
        if self.error is not None:
            return
        try:
            self.take(self._reader.feed(data))
        except UpstreamError as error:
            self.error = error
        except Exception as error:
            assert self.exchange is not None
            self.error = told_failure(self.exchange, error)

    def take(self, deltas: Sequence[Delta]) -> None:
        """The same as pieces."""
        for delta in deltas:
            self.collector.add(delta)
        if self.exchange is not None and self.exchange.stream:
            self._loop.heard(deltas, self._hidden, self._indexes)


def _said(choice: Choice) -> dict[str, Any]:
    """The message that a client would send back for an answer."""
    answer = _decode_members(write_answer(Answer(choices=[choice])))
    message: dict[str, Any] = answer["choices"][0]["message"]
    return {name: value for name, value in message.items() if value is not None or name == "content"}
