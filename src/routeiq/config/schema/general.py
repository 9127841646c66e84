"""`general_settings`: the server's own."""

from __future__ import annotations

from routeiq.config.schema.types import Amount, Flag, Name, Positive, PositiveSeconds, Section, Text


class GeneralSettings(Section):
    """`general_settings`."""

    master_key: Text | None = None
    database_url: Text | None = None
    dangerously_permit_weak_or_unset_master_key: Flag = False
    dangerously_allow_mock_testing_request_params: Flag = False
    store_model_in_db: Flag = False
    apply_user_budget_to_team_keys: Flag = False
    litellm_key_header_name: Name | None = None
    max_in_flight_requests_per_worker: Positive | None = None
    max_parallel_requests: Positive | None = None
    global_max_parallel_requests: Positive | None = None
    user_header_name: Name | None = None
    alerting: list[Name] | None = None
    store_prompts_in_spend_logs: Flag = False
    maximum_spend_logs_retention_period: PositiveSeconds | None = None
    maximum_spend_logs_retention_interval: PositiveSeconds | None = None
    max_request_size_mb: Amount | None = None
