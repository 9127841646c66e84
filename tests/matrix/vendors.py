"""Every provider of the matrix: how the gateway is configured for it, and what it speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matrix.wires.anthropic import AnthropicWire, InvokeAnthropicWire, VertexAnthropicWire
from matrix.wires.bedrock import BedrockWire
from matrix.wires.cohere import CohereWire
from matrix.wires.faked import OLLAMA, REPLICATE, SAGEMAKER, SAGEMAKER_TEXT, WATSONX
from matrix.wires.gemini import GeminiWire
from matrix.wires.openai import OpenAIWire
from matrix.wires.responses import Either, ResponsesWire
from matrix.wires.wire import Wire

KEY = "sk-provider-0123456789"
TOOLLESS = {
    "tools": "'tools' can't be served by this model",
    "parallel tools": "'tools' can't be served by this model",
    "structured output": "'response_format' can't be served by this model",
}
VERTEX = "/v1/projects/p/locations/us-central1"


@dataclass
class Vendor:
    """A provider. `refused` is what it can't do: words of the error, by scene."""

    wire: Wire
    model: str
    params: Callable[[str], dict[str, Any]]
    """`litellm_params` besides the model, given the server's URL."""
    refused: dict[str, str] = field(default_factory=dict)


def _at(path: str = "", **more: Any) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"api_base": url + path, "api_key": KEY, **more}


def _aws(url: str) -> dict[str, Any]:
    return {
        "aws_bedrock_runtime_endpoint": url,
        "aws_region_name": "us-east-1",
        "aws_access_key_id": "AKIDEXAMPLE",
        "aws_secret_access_key": "secret",
    }


def _sagemaker(url: str) -> dict[str, Any]:
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "aws-secret-0123456789"}
    return {"api_base": url, "aws_region_name": "eu-central-1", **keys}


def _local(*others: str) -> Wire:
    """A server that speaks OpenAI's language and shows its thoughts, and has other APIs."""
    chat = OpenAIWire(thinks_aloud=True)
    wires: dict[str, Wire] = {"responses": ResponsesWire(), "messages": AnthropicWire(versioned=False)}
    return Either(completions=chat, **{name: wires[name] for name in others}) if others else chat


VENDORS: dict[str, Vendor] = {
    "openai": Vendor(Either(completions=OpenAIWire(), responses=ResponsesWire()), "openai/gpt-5.1", _at("/v1")),
    "azure": Vendor(
        OpenAIWire("/openai/deployments/gpt-5.1/chat/completions"),
        "azure/gpt-5.1",
        _at(api_version="2025-04-01-preview"),
    ),
    "azure_ai": Vendor(OpenAIWire(), "azure_ai/grok-3", _at("/models")),
    "anthropic": Vendor(AnthropicWire(), "anthropic/claude-sonnet-4-5", _at()),
    "vertex_ai claude": Vendor(VertexAnthropicWire(), "vertex_ai/claude-sonnet-4-5", _at(VERTEX)),
    "bedrock claude": Vendor(InvokeAnthropicWire(), "bedrock/invoke/anthropic.claude-sonnet-4-5-20250929-v1:0", _aws),
    "gemini": Vendor(GeminiWire("/v1beta/models/"), "gemini/gemini-2.5-flash", _at("/v1beta")),
    "vertex_ai": Vendor(GeminiWire(f"{VERTEX}/publishers/google/models/"), "vertex_ai/gemini-2.5-flash", _at(VERTEX)),
    "bedrock": Vendor(BedrockWire(), "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0", _aws),
    "cohere": Vendor(CohereWire(), "cohere/command-a-reasoning-08-2025", _at()),
    "mistral": Vendor(_local(), "mistral/magistral-medium-latest", _at("/v1")),
    "databricks": Vendor(_local(), "databricks/databricks-claude-sonnet-4", _at("/serving-endpoints")),
    "deepseek": Vendor(_local(), "deepseek/deepseek-reasoner", _at()),
    "groq": Vendor(_local("responses"), "groq/openai/gpt-oss-20b", _at("/openai/v1")),
    "vllm": Vendor(_local("responses", "messages"), "hosted_vllm/qwen3", _at("/v1")),
    "llama.cpp": Vendor(_local(), "llama_cpp/qwen3", _at("/v1")),
    "sglang": Vendor(_local(), "sglang/qwen3", _at("/v1")),
    "lm_studio": Vendor(_local("responses"), "lm_studio/qwen3", _at("/v1")),
    "llamafile": Vendor(_local(), "llamafile/qwen3", _at("/v1")),
    "ollama": Vendor(OLLAMA, "ollama_chat/llama3", lambda url: {"api_base": url}),
    "watsonx": Vendor(
        WATSONX, "watsonx/ibm/granite", lambda url: {"api_base": url, "token": "t0ken", "project_id": "p-1"}
    ),
    "sagemaker_chat": Vendor(SAGEMAKER, "sagemaker_chat/my-endpoint", _sagemaker),
    "sagemaker": Vendor(
        SAGEMAKER_TEXT,
        "sagemaker/my-endpoint",
        _sagemaker,
        {**TOOLLESS, "image": "This model takes no images."},
    ),
    "replicate": Vendor(
        REPLICATE,
        "replicate/meta/meta-llama-3-70b-instruct",
        lambda url: {"api_base": f"{url}/v1", "api_key": "r8_key"},
        TOOLLESS,
    ),
    "tgi": Vendor(_local(), "huggingface/tgi", _at("/v1")),
}
