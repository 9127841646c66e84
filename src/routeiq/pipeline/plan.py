"""A Snapshot made ready for one worker: groups with live targets, names resolved, meters found.

Built once a revision; a request keeps the plan it began with.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from routeiq.core.errors import BadRequest
from routeiq.core.exchange import Exchange
from routeiq.core.money import Prices
from routeiq.core.snapshot import CHAT, COMPLETION, EMBEDDING, MODEL_MARK, RERANK, Deployment, Group, Snapshot
from routeiq.core.text import printable
from routeiq.governance.accounts import Purse
from routeiq.ledger.event import LineTemplate
from routeiq.pipeline.meters import GroupMeters
from routeiq.pipeline.ranking import LiveAuto, Ranker
from routeiq.providers.translate.adapt import adaptation
from routeiq.providers.translate.registry import PENDING
from routeiq.routing.balance import Pick, strategy
from routeiq.routing.target import Target
from routeiq.transport.pool import Address, Origin

if TYPE_CHECKING:
    from routeiq.governance.keys import Caller
    from routeiq.pipeline.services import Services

Stage = Callable[[Exchange], bool]
"""A step of the journey: does its part and returns False, or takes the exchange away and returns True."""

_LOCAL = frozenset((CHAT, COMPLETION, EMBEDDING))
LONGTAIL_PATIENCE = 5.0
"""Seconds that a request waits for the process with LiteLLM's SDK to listen: a start takes it about one."""
_RESOLVED = 4096
"""Wildcard matches remembered."""


def counts_more(snapshot: Snapshot) -> bool:
    """Whether requests may count for others than their key's owners."""
    return bool(
        snapshot.gateway or snapshot.tags or snapshot.end_users or snapshot.runs is not None or snapshot.policies
    )


class Route:
    """A target with everything about it that does not change between requests."""

    __slots__ = (
        "adapt",
        "answer_seconds",
        "attempts",
        "dialect",
        "framed",
        "heads",
        "idle_seconds",
        "label",
        "lines",
        "local",
        "model_json",
        "operations",
        "origin",
        "pending",
        "plain_headers",
        "static_headers",
        "stream_seconds",
        "target",
        "total_seconds",
        "wildcard",
    )

    def __init__(self, target: Target, group: Group, snapshot: Snapshot, services: Services) -> None:
        spec = target.spec
        self.target = target
        self.label = spec.id
        self.lines: dict[tuple[Caller, str], LineTemplate] = {}
        """Templates of the Journal by caller and endpoint."""
        self.wildcard = "*" in spec.model
        self.model_json = msgspec.json.encode(spec.model)
        self.heads = spec.heads
        self.local = spec.kind != "http"
        """Answered in this process, in OpenAI's words whatever the provider's are."""
        self.dialect = "openai" if self.local else spec.dialect
        self.adapt = adaptation(spec)
        """What its own dialect's requests have to be changed by; `None` for nearly all."""
        self.framed = spec.options.get("framing") == "eventstream"
        """Whether events of a stream come wrapped in AWS's frames."""
        self.pending = PENDING.get(self.dialect)
        """Tells an answer that is not ready; `None` for nearly all, which answer when they are."""
        self.operations = _LOCAL if self.local else frozenset(spec.heads)
        """What a client's own bytes serve for. Who reranks in OpenAI's style has words of his own for it."""
        if self.dialect == "openai":
            self.operations -= {RERANK}
        timeouts = snapshot.timeouts
        self.idle_seconds = timeouts.idle
        self.total_seconds = timeouts.total
        self.answer_seconds = min(spec.timeout or timeouts.first_byte, timeouts.total)
        self.stream_seconds = min(spec.stream_timeout or spec.timeout or timeouts.first_byte, timeouts.total)
        self.origin: Origin | None = None
        if spec.kind == "http" and spec.via == "longtail" and services.longtail:
            self.origin = services.pool.origin(Address(path=services.longtail, patience=LONGTAIL_PATIENCE))
        elif spec.kind == "http" and spec.via == "direct":
            self.origin = services.pool.origin(
                Address(spec.scheme, spec.host, spec.port, spec.verify_tls, spec.ca_file)
            )
        self.attempts = services.meters.attempt(spec.id)
        self.plain_headers = (
            f"x-litellm-model-id: {printable(spec.id)}\r\n"
            f"x-litellm-model-group: {printable(group.name)}\r\n"
            f"x-litellm-model-api-base: {printable(spec.api_base)}\r\n"
            f"x-routeiq-deployment: {printable(spec.id)}\r\n"
            f"x-routeiq-provider: {printable(spec.provider)}\r\n"
            f"x-routeiq-revision: {printable(snapshot.revision)}\r\n"
        ).encode()
        """What is told about it with every answer."""
        self.static_headers = self.plain_headers + f"x-routeiq-strategy: {printable(group.strategy)}\r\n".encode()

    def head(self, operation: str, exchange: Exchange) -> bytes:
        """The request head for an operation. Raises `BadRequest` when the deployment has no such operation."""
        head = self.heads.get(operation + "_stream") if exchange.stream else None
        if head is None:
            head = self.heads.get(operation)
            if head is None:
                raise BadRequest(
                    f"The model '{exchange.public_model}' does not serve {exchange.endpoint} requests.",
                    param="model",
                    code="unsupported_endpoint",
                )
        if self.wildcard:
            head = head.replace(MODEL_MARK, quote(exchange.upstream_model, safe="").encode())
        return head


class LiveGroup:
    """A group with its routes in tiers: those of the lowest `order` first."""

    __slots__ = (
        "by_target",
        "meters",
        "name_json",
        "pick",
        "priced",
        "ranker",
        "routes",
        "single",
        "spec",
        "tiers",
    )

    def __init__(
        self, spec: Group, routes: list[Route], meters: GroupMeters, pick: Pick, ranker: Ranker | None = None
    ) -> None:
        self.spec = spec
        self.routes = routes
        self.meters = meters
        self.pick = pick
        self.ranker = ranker
        """Ranks its deployments by what is asked; `None` where `pick` balances them."""
        self.name_json = msgspec.json.encode(spec.name)
        orders = sorted({route.target.spec.order for route in routes})
        self.tiers = [[route.target for route in routes if route.target.spec.order == order] for order in orders]
        self.by_target = {id(route.target): route for route in routes}
        self.single = routes[0] if len(routes) == 1 else None
        prices = [route.target.spec.prices for route in routes if not route.wildcard]
        self.priced: list[Prices] | None = None
        """Each price there is, once; `None` where a deployment has none, or it depends on the model asked for."""
        if len(prices) == len(routes) and None not in prices:
            self.priced = [price for place, price in enumerate(prices) if price and price not in prices[:place]]

    def of(self, routes: list[Route], spec: Group | None = None) -> LiveGroup:
        """The same with some of its routes only."""
        return LiveGroup(spec or self.spec, routes, self.meters, self.pick, self.ranker)


class Plan:
    """One revision as a worker serves it."""

    def __init__(
        self,
        snapshot: Snapshot,
        services: Services,
        stages: tuple[Stage, ...],
        resume: Callable[[Exchange], None],
    ) -> None:
        self.snapshot = snapshot
        self.services = services
        self.stages = stages
        self.resume = resume
        """Takes an exchange on from its stage, after it was taken away."""
        book = services.limits
        book.zone = snapshot.auth.timezone
        book.share(snapshot.shared is not None)
        self.gateway = book.account(snapshot.gateway) if snapshot.gateway is not None else None
        self.tags = {name: book.account(subject) for name, subject in snapshot.tags.items()}
        self.limits_more = counts_more(snapshot)
        """Whether requests may count for others than their key's owners."""
        self.groups: dict[str, LiveGroup] = {}
        """All of them; requests find theirs by `resolve`, or in `team_models`."""
        self._resolved: dict[str, LiveGroup | None] = {}
        self._strategies = services.strategies.adopt(snapshot)
        self._public: dict[str, LiveGroup] = {}
        self.team_models: dict[tuple[str, str], LiveGroup] = {}
        """By team and public name."""
        for group in snapshot.groups.values():
            live = self.groups[group.name] = self._live(group)
            if group.team:
                self.team_models[group.team, group.public] = live
            else:
                self._public[group.name] = live
        self.auto_models: dict[str, LiveAuto] = {}
        self.auto_models |= {
            name: LiveAuto(self, auto, self._strategies[f"auto:{name}"]) for name, auto in snapshot.auto_models.items()
        }

    def resolve(self, model: str) -> LiveGroup | None:
        """The group that serves a requested name: by name, alias, or wildcard."""
        group = self._public.get(model)
        if group is not None:
            return group
        if model in self._resolved:
            return self._resolved[model]
        alias = self.snapshot.aliases.get(model)
        if (alias or model) in self.auto_models:
            group = None  # of which a wildcard may not know
        else:
            group = self._public.get(alias or model) or self._wildcard(alias or model)
        if len(self._resolved) >= _RESOLVED:
            self._resolved.clear()
        self._resolved[model] = group
        return group

    def auto(self, model: str) -> LiveAuto | None:
        """The auto model of a requested name, or of what that is an alias of."""
        return self.auto_models.get(self.snapshot.aliases.get(model, model))

    def find(self, deployment: str) -> Route | None:
        """The route to a deployment by id. Not for the hot path."""
        routes = (route for group in self.groups.values() for route in group.routes)
        return next((route for route in routes if route.label == deployment), None)

    def listed(self) -> list[str]:
        """Public names in the configuration's order, aliases after them; hidden ones are left out."""
        names = [*self.auto_models]
        names += [group.name for group in self.snapshot.groups.values() if not group.hidden]
        hidden = self.snapshot.hidden_aliases
        names += [alias for alias in self.snapshot.aliases if alias not in hidden and alias not in self.groups]
        return names

    def usable(self, caller: Caller, name: str) -> bool:
        """Whether a key may ask for a public name; for an auto model where it may use one that is chosen from."""
        auto = self.auto(name)
        if auto is None:
            return caller.may_use(name)
        return any(caller.may_use_through(candidate.name, auto.spec.name) for candidate in auto.candidates)

    def behind(self, name: str) -> list[str]:
        """The public names that a wildcard group is known to stand for: the priced models of its providers."""
        prefix, _, suffix = name.partition("*")
        found = []
        for route in self.groups[name].routes:
            spec = route.target.spec
            before, _, after = spec.model.partition("*")
            found += [
                prefix + model[len(before) : len(model) - len(after)] + suffix
                for model in self.snapshot.prices.get(spec.provider, ())
                if _captures(before, after, model)
            ]
        return found

    def upstream_model(self, route: Route, requested: str) -> tuple[str, bytes]:
        """The provider's name for the model, plain and as a JSON string."""
        if not route.wildcard:
            return route.target.spec.model, route.model_json
        requested = self.snapshot.aliases.get(requested, requested)
        matched = self._match(requested)
        model = route.target.spec.model.replace("*", matched if matched is not None else requested, 1)
        return model, msgspec.json.encode(model)

    def prices(self, spec: Deployment, model: str) -> Prices | None:
        """The deployment's prices; for a wildcard those of the model it was asked for."""
        if spec.prices is not None or "*" not in spec.model:
            return spec.prices
        return self.snapshot.prices.get(spec.provider, {}).get(model)

    def _wildcard(self, model: str) -> LiveGroup | None:
        for wildcard in self.snapshot.wildcards:
            if _captures(wildcard.prefix, wildcard.suffix, model):
                return self._public.get(wildcard.group)
        return None

    def _match(self, model: str) -> str | None:
        for wildcard in self.snapshot.wildcards:
            if _captures(wildcard.prefix, wildcard.suffix, model):
                return model[len(wildcard.prefix) : len(model) - len(wildcard.suffix)]
        return None

    def _live(self, group: Group) -> LiveGroup:
        services, snapshot = self.services, self.snapshot
        replaceable = bool(len(group.deployments) > 1 or group.fallbacks)
        routes = []
        for position in group.deployments:
            spec = snapshot.deployments[position]
            prefix = f"limit:deployment:{spec.id}:"
            target = Target(
                spec,
                services.health(spec.id),
                snapshot.resilience,
                replaceable,
                rpm=services.limits.allowance(prefix + "rpm", spec.rpm) if spec.rpm is not None else None,
                tpm=services.limits.allowance(prefix + "tpm", spec.tpm) if spec.tpm is not None else None,
                purses=self._purses(spec),
            )
            routes.append(Route(target, group, snapshot, services))
        ranking = self._strategies.get(f"group:{group.name}")
        ranker = Ranker(ranking, routes) if ranking is not None else None
        balance = "simple-shuffle" if ranker is not None else group.strategy
        pick = strategy(balance, random.Random(services.rng.random()))  # noqa: S311 - balancing, not secrets
        return LiveGroup(group, routes, services.meters.group(group.name), pick, ranker)

    def _purses(self, spec: Deployment) -> tuple[Purse, ...]:
        book = self.services.limits
        found = []
        if spec.budget is not None:
            found.append(book.purse("deployment", spec.id, spec.budget))
        of_provider = self.snapshot.providers.get(spec.provider)
        if of_provider is not None:
            found.append(book.purse("provider", spec.provider, of_provider))
        return tuple(found)


def _captures(prefix: str, suffix: str, model: str) -> bool:
    return len(model) >= len(prefix) + len(suffix) and model.startswith(prefix) and model.endswith(suffix)
