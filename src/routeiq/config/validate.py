"""From the tree of the files to validated sections: every mistake is reported, what is left is still checked.

    files ──► tree ──► known but not served: warned about, cut ──► references ──► pydantic, section by section

A section with a mistake is validated again without the settings that are wrong, so that later checks see the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from routeiq.config import longtail, references
from routeiq.config.known import Known, load_known
from routeiq.config.named import put_credentials
from routeiq.config.report import Path, Report, did_you_mean
from routeiq.config.schema.a2a import AgentParams, AgentSettings
from routeiq.config.schema.general import GeneralSettings
from routeiq.config.schema.litellm import LitellmSettings
from routeiq.config.schema.mcp import McpServerSettings
from routeiq.config.schema.model_list import LitellmParams, ModelEntry
from routeiq.config.schema.root import SECTIONS, Config
from routeiq.config.schema.routeiq import RouteiqSettings
from routeiq.config.schema.router import RetryPolicy, RouterSettings
from routeiq.config.source import Node
from routeiq.core.provider import ProviderSpec

M = TypeVar("M", bound=BaseModel)


def validate(
    root: Node, environ: Mapping[str, str], providers: Mapping[str, ProviderSpec], report: Report
) -> tuple[Config, dict[str, str]]:
    """The configuration and the environment its deployments see. Changes `root`: references are resolved in it."""
    known = load_known()
    _cut(root, (), SECTIONS, known.top_level.__contains__, report)
    put_credentials(root, report)
    gathered = longtail.gather(root, providers, frozenset(names_of(LitellmParams)), known.is_param)
    for path, model, is_known in _litellm_sections(root, known):
        _cut(root, path, names_of(model), is_known, report)
    longtail.put(root, gathered)
    _warn_shown_only(root, known, report)
    effective = references.effective_environment(root, environ, report)
    references.resolve(root, effective, report)
    config = Config(
        models=_models(root, report),
        router=_section(RouterSettings, root, ("router_settings",), report) or RouterSettings(),
        litellm=_section(LitellmSettings, root, ("litellm_settings",), report) or LitellmSettings(),
        general=_section(GeneralSettings, root, ("general_settings",), report) or GeneralSettings(),
        routeiq=_section(RouteiqSettings, root, ("routeiq",), report) or RouteiqSettings(),
        mcp_servers=_mcp_servers(root, report),
        agents=_agents(root, report),
    )
    return config, effective


def names_of(model: type[BaseModel]) -> set[str]:
    """Every name a section accepts, aliases included. Fields with `init=False` are nobody's to write."""
    names: set[str] = set()
    for name, info in model.model_fields.items():
        if info.init is False:
            continue
        names.add(name)
        choices = getattr(info.validation_alias, "choices", ())
        names.update(choice for choice in choices if isinstance(choice, str))
    return names


def _litellm_sections(root: Node, known: Known) -> list[tuple[Path, type[BaseModel], Callable[[str], bool]]]:
    """The sections in LiteLLM's words, with what LiteLLM knows there."""
    models = root.get(("model_list",))
    count = len(models.value) if models is not None and isinstance(models.value, list) else 0
    servers = _names_below(root, "mcp_servers")
    return [
        (("router_settings",), RouterSettings, known.router_settings.__contains__),
        (("router_settings", "retry_policy"), RetryPolicy, known.retry_policy.__contains__),
        (("litellm_settings",), LitellmSettings, known.litellm_settings.__contains__),
        (("general_settings",), GeneralSettings, known.general_settings.__contains__),
        *((("mcp_servers", name), McpServerSettings, known.mcp_servers.__contains__) for name in servers),
        *((path, AgentSettings, known.agents.__contains__) for path in _agent_paths(root)),
        *(((*path, "litellm_params"), AgentParams, known.is_agent_param) for path in _agent_paths(root)),
        *((("model_list", index, "litellm_params"), LitellmParams, known.is_param) for index in range(count)),
    ]


def _cut(root: Node, path: Path, served: Collection[str], is_known: Callable[[str], bool], report: Report) -> None:
    """Take out what is not served, with a warning where LiteLLM knows it and an error where nobody does."""
    node = root.get(path)
    if node is None or not isinstance(node.value, dict):
        return
    for name in [name for name in node.value if name not in served]:
        mark = node.keys.get(name, node.mark)
        if is_known(name):
            message = f"LiteLLM setting {name} is known but not served yet; it has no effect"
            report.warning(mark, (*path, name), message)
        else:
            report.error(mark, (*path, name), "is not a known setting", did_you_mean(name, served))
        del node.value[name]


def _names_below(root: Node, section: str) -> tuple[str, ...]:
    node = root.get((section,))
    return tuple(node.value) if node is not None and isinstance(node.value, dict) else ()


def _warn_shown_only(root: Node, known: Known, report: Report) -> None:
    models = root.get(("model_list",))
    if models is None or not isinstance(models.value, list):
        return
    for index in range(len(models.value)):
        info = root.get(("model_list", index, "model_info"))
        if info is None or not isinstance(info.value, dict):
            continue
        for name in info.value:
            if name in known.model_info:
                message = f"LiteLLM setting {name} is known but not served yet; it is only shown by /v1/model/info"
                report.warning(info.keys.get(name, info.mark), ("model_list", index, "model_info", name), message)


def _models(root: Node, report: Report) -> tuple[tuple[int, ModelEntry], ...]:
    node = root.get(("model_list",))
    if node is None or node.value is None:
        return ()
    if not isinstance(node.value, list):
        report.error(node.mark, ("model_list",), "must be a list")
        return ()
    entries = ((i, _section(ModelEntry, root, ("model_list", i), report)) for i in range(len(node.value)))
    return tuple((index, entry) for index, entry in entries if entry is not None)


def _mcp_servers(root: Node, report: Report) -> tuple[tuple[str, McpServerSettings], ...]:
    node = root.get(("mcp_servers",))
    if node is not None and node.value is not None and not isinstance(node.value, dict):
        report.error(node.mark, ("mcp_servers",), "must be a map of servers by name")
    names = _names_below(root, "mcp_servers")
    entries = ((name, _section(McpServerSettings, root, ("mcp_servers", name), report)) for name in names)
    return tuple((name, entry) for name, entry in entries if entry is not None)


def _agent_paths(root: Node) -> list[Path]:
    """Where agents stand. LiteLLM reads `agent_list` where there are no `agents`."""
    section = "agents" if root.get(("agents",)) is not None else "agent_list"
    node = root.get((section,))
    return [(section, index) for index in range(len(node.value))] if node and isinstance(node.value, list) else []


def _agents(root: Node, report: Report) -> tuple[tuple[Path, AgentSettings], ...]:
    for section in ("agents", "agent_list"):
        node = root.get((section,))
        if node is not None and node.value is not None and not isinstance(node.value, list):
            report.error(node.mark, (section,), "must be a list of agents")
    entries = ((path, _section(AgentSettings, root, path, report)) for path in _agent_paths(root))
    return tuple((path, entry) for path, entry in entries if entry is not None)


def _section(model: type[M], root: Node, path: Path, report: Report) -> M | None:
    """One section as its model, less what is wrong in it; `None` when it is absent or nothing can be kept."""
    node = root.get(path)
    if node is None or (node.value is None and len(path) == 1):
        return None
    data = node.plain()
    if not isinstance(data, dict):
        report.error(node.mark, path, "must be a map")
        return None
    data = _without_nulls(data)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    for detail in details:
        _tell(detail, model, root, path, report)
        _remove(data, detail["loc"])
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _without_nulls(data: Any) -> Any:
    """A setting left empty is a setting left out."""
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_nulls(value) for value in data]
    return data


def _remove(data: Any, loc: tuple[int | str, ...]) -> None:
    """Take the innermost named setting of an error out of the data."""
    holder, name = None, None
    for part in loc:
        if isinstance(data, dict) and part in data:
            holder, name, data = data, part, data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            break
    if holder is not None:
        del holder[name]


def _tell(detail: ErrorDetails, model: type[BaseModel], root: Node, base: Path, report: Report) -> None:
    """One pydantic error in our words, at its place. Pydantic's locations also name union members: those are cut."""
    path = base
    missing = detail["type"] == "missing"
    loc = detail["loc"]
    for index, part in enumerate(loc):
        if root.get((*path, part)) is not None or (missing and index == len(loc) - 1):
            path = (*path, part)
    hint = ""
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("should", "must")
    if missing:
        message = "is required"
    elif detail["type"] == "extra_forbidden":
        message = "is not a known setting"
        hint = did_you_mean(str(loc[-1]), _names_at(model, loc[:-1]))
    elif detail["type"] == "string_type":
        message = "must be text"
        hint = "put it in quotes"
    report.error(root.mark_of(path), path, message[0].lower() + message[1:], hint)


def _names_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """The names the nested model at a location accepts."""
    current: Any = model
    for part in loc:
        if not isinstance(part, str) or not (isinstance(current, type) and issubclass(current, BaseModel)):
            continue
        info = current.model_fields.get(part)
        if info is None:
            continue
        current = _inner_model(info.annotation)
    return names_of(current) if isinstance(current, type) and issubclass(current, BaseModel) else set()


def _inner_model(annotation: Any) -> Any:
    """The model in `list[Model]`, `dict[str, Model]` or `Model | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
