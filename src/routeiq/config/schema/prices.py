"""Prices of one deployment, in LiteLLM's words: https://docs.litellm.ai/docs/proxy/custom_pricing

US dollars per token, image, second, query or request. A name with `_above_200k_tokens` is for requests whose prompt is
longer than that; one with `_batches`, `_flex` or `_priority` for what the provider serves in that tier.
"""

from __future__ import annotations

from routeiq.config.schema.types import Amount, Section


class SearchPrices(Section):
    """`search_context_cost_per_query`: dollars for a web search, by how much of it the model is shown."""

    search_context_size_low: Amount | None = None
    search_context_size_medium: Amount | None = None
    search_context_size_high: Amount | None = None


class PriceFields(Section):
    """They win over the price table."""

    input_cost_per_token: Amount | None = None
    output_cost_per_token: Amount | None = None
    cache_read_input_token_cost: Amount | None = None
    cache_creation_input_token_cost: Amount | None = None
    cache_creation_input_token_cost_above_1hr: Amount | None = None
    output_cost_per_reasoning_token: Amount | None = None
    input_cost_per_audio_token: Amount | None = None
    output_cost_per_audio_token: Amount | None = None
    cache_read_input_audio_token_cost: Amount | None = None
    input_cost_per_image_token: Amount | None = None
    output_cost_per_image_token: Amount | None = None
    cache_read_input_image_token_cost: Amount | None = None
    input_cost_per_image: Amount | None = None
    output_cost_per_image: Amount | None = None
    input_cost_per_request: Amount | None = None
    input_cost_per_query: Amount | None = None
    input_cost_per_second: Amount | None = None
    output_cost_per_second: Amount | None = None
    search_context_cost_per_query: SearchPrices | None = None

    input_cost_per_token_above_128k_tokens: Amount | None = None
    output_cost_per_token_above_128k_tokens: Amount | None = None
    cache_read_input_token_cost_above_128k_tokens: Amount | None = None
    cache_creation_input_token_cost_above_128k_tokens: Amount | None = None
    input_cost_per_token_above_200k_tokens: Amount | None = None
    output_cost_per_token_above_200k_tokens: Amount | None = None
    cache_read_input_token_cost_above_200k_tokens: Amount | None = None
    cache_creation_input_token_cost_above_200k_tokens: Amount | None = None
    cache_creation_input_token_cost_above_1hr_above_200k_tokens: Amount | None = None
    input_cost_per_token_above_256k_tokens: Amount | None = None
    output_cost_per_token_above_256k_tokens: Amount | None = None
    cache_read_input_token_cost_above_256k_tokens: Amount | None = None
    cache_creation_input_token_cost_above_256k_tokens: Amount | None = None
    input_cost_per_token_above_272k_tokens: Amount | None = None
    output_cost_per_token_above_272k_tokens: Amount | None = None
    cache_read_input_token_cost_above_272k_tokens: Amount | None = None
    cache_creation_input_token_cost_above_272k_tokens: Amount | None = None

    input_cost_per_token_batches: Amount | None = None
    output_cost_per_token_batches: Amount | None = None
    input_cost_per_token_flex: Amount | None = None
    output_cost_per_token_flex: Amount | None = None
    cache_read_input_token_cost_flex: Amount | None = None
    input_cost_per_token_priority: Amount | None = None
    output_cost_per_token_priority: Amount | None = None
    cache_read_input_token_cost_priority: Amount | None = None
    input_cost_per_token_above_200k_tokens_priority: Amount | None = None
    output_cost_per_token_above_200k_tokens_priority: Amount | None = None
    cache_read_input_token_cost_above_200k_tokens_priority: Amount | None = None
    input_cost_per_token_above_272k_tokens_priority: Amount | None = None
    output_cost_per_token_above_272k_tokens_priority: Amount | None = None
    cache_read_input_token_cost_above_272k_tokens_priority: Amount | None = None
