"""Teaches this worker's strategies what users thought of earlier choices, whichever worker or machine made them.

A strategy that is new here, after a start or with another artifact, is taught everything there is first.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
from base64 import b64decode

import msgspec

from routeiq.core.lessons import PATH, Lesson, decode_all
from routeiq.pipeline.plan import Plan
from routeiq.pipeline.ranking import LiveAuto
from routeiq.pipeline.services import Services
from routeiq.process.ask import ask
from routeiq.routing.strategy import Feedback, Query, Strategy
from routeiq.transport.pool import Origin

SECONDS = 1.0
"""Between two questions."""
ANSWER_SECONDS = 5.0
OVERLAP = 20
"""Numbers are given before transactions commit: so many before the newest are looked at again."""
log = logging.getLogger("routeiq.routing")


class Pupil:
    """One strategy, and what it has been taught."""

    __slots__ = ("heard", "newest", "strategy")

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.newest = 0
        self.heard: set[int] = set()

    def news(self, lessons: list[Lesson]) -> list[Lesson]:
        """Those it has not had; they count as had."""
        new = [lesson for lesson in lessons if lesson.seq not in self.heard]
        self.newest = max([self.newest, *(lesson.seq for lesson in new)])
        self.heard = {seq for seq in (*self.heard, *(each.seq for each in new)) if seq > self.newest - OVERLAP}
        return new


class Lessons:
    """Asks the control plane for what is new, about once a second, where a strategy learns."""

    def __init__(self, services: Services, control: Origin) -> None:
        self._services = services
        self._control = control
        self._pupils: dict[str, Pupil] = {}
        self._autos: dict[str, LiveAuto] = {}
        self._aliases: dict[str, str] = {}
        self._asked_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    def adopt(self, plan: Plan) -> None:
        """Teach the strategies of this plan from now on; those that stay know what they know."""
        learning = {name: auto for name, auto in plan.auto_models.items() if getattr(auto.strategy, "learns", False)}
        pupils = {}
        for name, auto in learning.items():
            before = self._pupils.get(name)
            pupils[name] = before if before is not None and before.strategy is auto.strategy else Pupil(auto.strategy)
        self._autos, self._pupils = learning, pupils
        self._aliases = plan.snapshot.aliases

    def tick(self, now: float) -> None:
        """Ask when it is time; `now` is monotonic."""
        if self._pupils and now >= self._asked_at + SECONDS and (self._asking is None or self._asking.done()):
            self._asked_at = now
            self._asking = self._services.start(self._ask())

    async def _ask(self) -> None:
        while True:
            after = min((pupil.newest for pupil in self._pupils.values()), default=0) - OVERLAP
            try:
                status, body = await ask(self._control, f"{PATH}?after={max(after, -1)}", ANSWER_SECONDS)
                lessons = decode_all(body) if status == 200 else []
            except (OSError, msgspec.DecodeError) as error:
                log.debug("what was learned elsewhere can't be asked for: %s", error)
                return
            taught = [self._teach(name, pupil, lessons) for name, pupil in self._pupils.items()]
            if not any(taught):
                return

    def _teach(self, name: str, pupil: Pupil, lessons: list[Lesson]) -> bool:
        """Whether there was something new in it."""
        new = pupil.news(lessons)
        auto = self._autos[name]
        for lesson in new:
            candidate = auto.by_name.get(lesson.model)
            if self._aliases.get(lesson.auto, lesson.auto) != name or candidate is None:
                continue
            try:
                memento = b64decode(lesson.memento)
            except binascii.Error:
                memento = b""
            query = Query(prompt="", tokens=lesson.tokens, user=lesson.user, cache={})
            feedback = Feedback(candidate=candidate, query=query, quality=lesson.score, at=lesson.at, memento=memento)
            try:
                pupil.strategy.update(feedback)
            except Exception:
                log.exception("the strategy %s could not learn", pupil.strategy.name)
        return bool(new)
