"""What fills the placeholders of a provider's address, and what its dialect needs besides the request."""

from __future__ import annotations

import re

from routeiq.config.context import Context
from routeiq.config.credentials import google_document, google_source
from routeiq.config.report import Path
from routeiq.config.schema.model_list import LitellmParams
from routeiq.core.provider import ProviderSpec

DEFAULT_REGION = "us-west-2"
"""LiteLLM's, where nothing names one."""
DEFAULT_LOCATION = "us-central1"
"""LiteLLM's."""
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROJECT = re.compile(r"[A-Za-z0-9.:_-]+")
_PLACED = re.compile(r"((?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-[a-z]+){1,2}-\d)/(?=.)")
"""A region before a model, as LiteLLM writes it: `bedrock/us-east-1/anthropic.claude-v2:1`."""
_ARN = re.compile(r"(?:.*/)?arn:aws[a-z-]*:[a-z-]+:([a-z0-9-]+):.*")


def unplaced(spec: ProviderSpec, model: str) -> str:
    """The model without the region that LiteLLM lets stand before it."""
    return _PLACED.sub("", model, count=1) if spec.auth == "aws" and _PLACED.match(model) else model


def find_values(ctx: Context, spec: ProviderSpec, params: LitellmParams, model: str, path: Path) -> dict[str, str]:
    """The region of AWS, the project and location of Vertex AI, the region of watsonx; those that are known."""
    base = (spec.base_url or "") if params.api_base is None else ""
    if spec.auth == "aws" or "{aws_region_name}" in base:
        return {"aws_region_name": _aws_region(ctx, params, model, path)}
    if spec.auth == "google" or "{vertex_" in base:
        return _vertex(ctx, params, path)
    if spec.auth == "watsonx" and params.region_name is not None:
        return {"region_name": _checked(ctx, _REGION, params.region_name, (*path, "region_name"), "a region")}
    return {}


def find_options(ctx: Context, spec: ProviderSpec, params: LitellmParams) -> dict[str, str]:
    """`Deployment.options`: the catalog's quirks (flags as `true` and `false`, lists with commas), ids of watsonx,
    the model in a SageMaker endpoint's container.
    """
    out: dict[str, str] = {}
    for name, value in spec.quirks.items():
        if isinstance(value, list):
            out[name] = ",".join(value)
        else:
            out[name] = str(value).lower() if isinstance(value, bool) else value
    if spec.dialect.startswith("sagemaker") and params.hf_model_name is not None:
        out["served_model"] = params.hf_model_name
    if spec.auth == "watsonx":
        project = params.project_id or params.watsonx_project
        given = project or params.space_id
        found = ctx.first_set("WATSONX_PROJECT_ID", "WX_PROJECT_ID") if not given else None
        project = project or (found[1] if found else None)
        found = ctx.first_set("WATSONX_DEPLOYMENT_SPACE_ID", "WATSONX_SPACE_ID", "WX_SPACE_ID") if not given else None
        space = params.space_id or (found[1] if found else None)
        out |= {name: value for name, value in (("project_id", project), ("space_id", space)) if value}
    return out


def _aws_region(ctx: Context, params: LitellmParams, model: str, path: Path) -> str:
    named = params.aws_region_name or params.region_name
    if named is not None:
        where = "aws_region_name" if params.aws_region_name else "region_name"
        return _checked(ctx, _REGION, named, (*path, where), "a region")
    placed = _PLACED.match(model)
    if placed is not None:
        return placed[1]
    arn = _ARN.fullmatch(model)
    if arn is not None:
        return arn[1]
    found = ctx.first_set("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    if found is None:
        if not ctx.broken((*path, "aws_region_name")):
            ctx.warning(path, f"no AWS region is set; {DEFAULT_REGION} is used", "set aws_region_name or AWS_REGION")
        return DEFAULT_REGION
    return _checked(ctx, _REGION, found[1], path, "a region", f"the environment variable {found[0]} ")


def _vertex(ctx: Context, params: LitellmParams, path: Path) -> dict[str, str]:
    out = {"vertex_location": DEFAULT_LOCATION}
    location = params.vertex_location or params.region_name
    found = ctx.first_set("VERTEXAI_LOCATION", "VERTEX_LOCATION") if location is None else None
    if location is not None or found is not None:
        where = (*path, "vertex_location")
        source = f"the environment variable {found[0]} " if found else ""
        out["vertex_location"] = _checked(ctx, _REGION, location or (found or ("", ""))[1], where, "a location", source)
    found = None
    project = params.vertex_project
    if project is None:
        found = ctx.first_set("VERTEXAI_PROJECT", "VERTEX_PROJECT")
        project = found[1] if found else _project_of(ctx, params, path) or _env_project(ctx)
    if project is not None:
        source = f"the environment variable {found[0]} " if found else ""
        out["vertex_project"] = _checked(ctx, _PROJECT, project, (*path, "vertex_project"), "a project", source)
    return out


def _project_of(ctx: Context, params: LitellmParams, path: Path) -> str | None:
    """The project in the credentials, which service accounts' have."""
    source = google_source(ctx, params, path)
    if not source:
        return None
    text = source.get("credentials")
    if text is None:
        with open(source["file"], encoding="utf-8") as file:
            text = file.read()
    document = google_document(text) or {}
    found = document.get("project_id") or document.get("quota_project_id")
    return found if isinstance(found, str) and found else None


def _env_project(ctx: Context) -> str | None:
    found = ctx.first_set("GOOGLE_CLOUD_PROJECT")
    return found[1] if found else None


def _checked(ctx: Context, pattern: re.Pattern[str], value: str, path: Path, what: str, source: str = "") -> str:
    """A value that becomes part of an address; one that can't is an error."""
    if pattern.fullmatch(value) is None:
        ctx.error(path, f"{source}is not the name of {what}")
    return value
