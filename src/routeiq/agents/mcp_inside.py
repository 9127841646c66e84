"""Tools for models: what workers ask on behalf of the callers whose models may use them. No client reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from routeiq.agents.callers import caller_of
from routeiq.agents.mcp_rest import RestTurn, told
from routeiq.agents.places import place_of
from routeiq.agents.responder import Responder
from routeiq.core.mcp import INSIDE_CALL, INSIDE_TOOLS, InsideAnswer, InsideQuestion
from routeiq.mcp.gateway import Gateway
from routeiq.mcp.wire import McpError
from routeiq.process.heads import Request

if TYPE_CHECKING:
    from routeiq.agents.server import Agents, Handler

_decode = msgspec.json.Decoder(InsideQuestion).decode
_encode = msgspec.json.Encoder().encode


class InsideFace:
    """`agents.server.Face` of the tool loop."""

    def __init__(self, agents: Agents, gateway: Gateway) -> None:
        self._agents = agents
        self._gateway = gateway

    def find(self, request: Request) -> Handler | None:
        """Two paths."""
        path = request.path.decode("latin-1")
        return self._serve if path in (INSIDE_TOOLS, INSIDE_CALL) else None

    async def _serve(self, request: Request, responder: Responder) -> None:
        agents, gateway = self._agents, self._gateway
        caller = await caller_of(agents.services, agents.snapshot.auth, request.fields)
        question = _decode(request.body)
        turn = RestTurn(caller, place_of(gateway.registry, question.place.encode(), request.fields), request.fields)
        turn.approved = True  # models are not let call what has to be asked for
        try:
            answer = InsideAnswer()
            if request.path.decode() == INSIDE_TOOLS:
                view = await gateway.view(turn)
                answer.tools = [*gateway.tools(view, turn)]
            else:
                answer.result = await gateway.call(turn, {"name": question.name, "arguments": question.arguments})
                answer.cost = turn.cost
        except McpError as error:
            raise told(error) from None
        responder.respond(200, _encode(answer))

    # a face has these

    def adopt(self, snapshot: Any) -> None:
        """The gateway has taken it."""

    def tidy(self, now: float) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is open."""
