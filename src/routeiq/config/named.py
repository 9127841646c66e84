"""`credential_list`: credentials that deployments name with `litellm_credential_name` instead of holding them.

What a deployment says itself wins: https://docs.litellm.ai/docs/proxy/ui_credentials
"""

from __future__ import annotations

from collections.abc import Mapping

from routeiq.config.report import Path, Report, did_you_mean
from routeiq.config.source import Node

SECTION = "credential_list"
NAMED = "litellm_credential_name"
_FIELDS = ("credential_name", "credential_values", "credential_info")


def put_credentials(root: Node, report: Report) -> None:
    """Put the values of the credentials that are named into the parameters of the deployments that name them."""
    known = _credentials(root, report)
    models = root.get(("model_list",))
    for index in range(len(models.value) if models is not None and isinstance(models.value, list) else 0):
        where: Path = ("model_list", index, "litellm_params")
        params = root.get(where)
        if params is None or not isinstance(params.value, dict) or NAMED not in params.value:
            continue
        mark = params.keys.get(NAMED, params.mark)
        name = params.value.pop(NAMED).value
        if name is None:
            continue
        values = known.get(name) if isinstance(name, str) else None
        if values is None:
            hint = did_you_mean(str(name), known)
            report.error(mark, (*where, NAMED), f"no credential is called {name}", hint)
            params.value.setdefault("api_key", Node(None, mark, broken=True))  # so that nobody misses it as well
            continue
        assert isinstance(values.value, dict)
        for key, value in values.value.items():
            own = params.value.get(key)
            if own is None or own.value is None:
                params.value[key] = value
                params.keys[key] = mark


def _credentials(root: Node, report: Report) -> Mapping[str, Node]:
    """The values by name; entries with a mistake are left out."""
    found: dict[str, Node] = {}
    section = root.get((SECTION,))
    if section is None or section.value is None:
        return found
    if not isinstance(section.value, list):
        report.error(section.mark, (SECTION,), "must be a list")
        return found
    for index, node in enumerate(section.value):
        path: Path = (SECTION, index)
        if not isinstance(node.value, dict):
            report.error(node.mark, path, "must be a map")
            continue
        for name in node.value:
            if name not in _FIELDS:
                hint = did_you_mean(name, _FIELDS)
                report.error(node.keys.get(name, node.mark), (*path, name), "is not a known setting", hint)
        named, values = node.get(("credential_name",)), node.get(("credential_values",))
        if named is None or not isinstance(named.value, str) or not named.value:
            report.error(node.mark, (*path, "credential_name"), "is required")
        elif values is None or not isinstance(values.value, dict):
            report.error(node.mark, (*path, "credential_values"), "must be a map of parameters")
        elif named.value in found:
            report.error(named.mark, (*path, "credential_name"), f"another credential is called {named.value} as well")
        else:
            found[named.value] = values
    return found
