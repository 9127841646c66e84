"""Callers and what limits them: a key, and the subjects its requests count for.

    key ── its user ── the user's membership of the team ── team ── organization      (and shares of single models)

Each of them is a `Subject` with limits of its own; a request is let through when all of them have room.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from routeiq.core.routing import Wishes

PROXY_ADMIN = "proxy_admin"
PROXY_ADMIN_VIEWER = "proxy_admin_viewer"
ORG_ADMIN = "org_admin"
INTERNAL_USER = "internal_user"
INTERNAL_USER_VIEWER = "internal_user_viewer"
TEAM = "team"
CUSTOMER = "customer"
ROLES = (PROXY_ADMIN, PROXY_ADMIN_VIEWER, ORG_ADMIN, INTERNAL_USER, INTERNAL_USER_VIEWER, TEAM, CUSTOMER)
"""LiteLLM's names: https://docs.litellm.ai/docs/proxy/access_control"""


UNLIMITED = 2**62
"""Nano-dollars nobody spends: four and a half billion dollars. Nor does anybody count so far."""


class BudgetLimit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be spent in one period. Money in nano-dollars."""

    amount: int
    duration: str = ""
    """`30s`, `5m`, `2h`, `1d`, `7d`, `30d`, `1mo`: periods by the calendar (`core.periods`); empty is one for ever."""
    soft: int = 0
    """Over this much somebody is told, and nothing is refused; 0 is never."""
    extra: int = 0
    """A temporary increase, until `extra_until` (Unix seconds)."""
    extra_until: float = 0.0


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody or something requests count for. Limits of `None` are no limits."""

    kind: str
    """`key`, `user`, `member` (a user in a team), `team`, `organization`, `workspace`, `end_user`, `tag`, `run`,
    `policy`."""
    id: str
    """Of a member: `<team_id>/<user_id>`."""
    share: str = ""
    """Of the subject's requests only those for this public model or pattern are counted; empty counts all."""
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    budgets: tuple[BudgetLimit, ...] = ()
    counts: str = ""
    """Of a policy: what its budget counts, of `cost`, `requests`, `tokens`; empty is nano-dollars."""
    began: float = 0.0
    """Of a run: when its first request came, Unix seconds."""
    slot: int = -1
    """Where workers count for it in `subjects.bin`, and under which lease; -1 where nothing is counted."""
    lease: int = 0

    @property
    def name(self) -> str:
        """Unique, whatever an id has in it: `team:abc`, `key/gpt-4o:<digest>`."""
        return f"{self.kind}/{quote(self.share, safe='*')}:{self.id}" if self.share else f"{self.kind}:{self.id}"

    @property
    def limited(self) -> bool:
        """Whether there is anything to look at before a request."""
        return not (self.rpm is None and self.tpm is None and self.max_parallel_requests is None and not self.budgets)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a key may not be used, whatever it asks."""

    message: str
    code: str
    """`team_blocked`, `organization_blocked`, …"""


class ModelRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Public names or patterns (`gpt-*`) one of the owners of a key may use; a request needs the leave of all rules."""

    kind: str
    """Whose rule it is: `key`, `user`, `team`, `organization`, `workspace`."""
    models: tuple[str, ...]
    denied: tuple[str, ...] = ()
    """The same for what may not be used, whatever `models` say."""


class ObjectPermission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which MCP servers, tools and agents one of the owners of a key may reach: LiteLLM's `object_permission`.

    https://docs.litellm.ai/docs/mcp_control
    """

    kind: str = ""
    """Whose it is: `key`, `team`, `organization`; empty where it is kept."""
    mcp_servers: tuple[str, ...] = ()
    """Ids or names of servers; `all-proxy-mcpservers` are all, in a key `all-team-mcpservers` what its team has."""
    mcp_access_groups: tuple[str, ...] = ()
    mcp_tool_permissions: dict[str, tuple[str, ...]] = {}
    """By server the tools that may be used there; a server that is not named has all of its tools."""
    mcp_toolsets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    agent_access_groups: tuple[str, ...] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`router_settings` of a key or of its team, instead of the gateway's.

    https://docs.litellm.ai/docs/proxy/keys_teams_router_settings
    """

    model_group_alias: dict[str, str] = {}
    fallbacks: dict[str, tuple[str, ...]] = {}
    """By public name, `*` for all others. A name the key may not use is passed over."""
    context_window_fallbacks: dict[str, tuple[str, ...]] = {}
    content_policy_fallbacks: dict[str, tuple[str, ...]] = {}
    num_retries: int | None = None
    timeout: float | None = None
    """Seconds an answer may take, a streamed one to begin."""
    wishes: Wishes | None = None
    """About the models that auto models choose."""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A caller: what a key digest resolves to."""

    id: str
    """Lower-case hex SHA-256 of the key."""
    asked: str = ""
    """The digest that was asked for, where it is that of an older key which works as this one for a while."""
    name: str = ""
    admin: bool = False
    """May manage everything: the master key, admin keys, and keys of a `proxy_admin`."""
    role: str = ""
    """Of its user, one of `ROLES`; empty for a key without a user."""
    rules: tuple[ModelRule, ...] = ()
    """None allow all models."""
    permissions: tuple[ObjectPermission, ...] = ()
    """Of the key, its team and its organization, as far as they say something: a server, tool or agent needs the leave
    of all of them, and where none says anything nothing is allowed."""
    expires: float | None = None
    """Unix seconds."""
    blocked: bool = False
    refused: Refusal | None = None
    aliases: dict[str, str] = {}
    """Public names by what is asked for instead of them."""
    routing: Routing | None = None
    calls: bool = True
    """Whether it may call models, tools and agents: a key of type `management` may not."""
    routes: tuple[str, ...] = ()
    """`allowed_routes` of the management API: paths, `/key/*`, or LiteLLM's groups; empty is what its role may."""
    tags: tuple[str, ...] = ()
    user_id: str = ""
    team_id: str = ""
    organization_id: str = ""
    subjects: tuple[Subject, ...] = ()
    """What its requests count for, itself first; more than one subject of a kind where single models have limits."""

    @property
    def digest(self) -> str:
        """Of the key that is held by who calls."""
        return self.asked or self.id


class EndUser(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A customer of a key's owner: the `user` a request names."""

    id: str
    blocked: bool = False
    subjects: tuple[Subject, ...] = ()
    rules: tuple[ModelRule, ...] = ()
