"""The management API, as LiteLLM has it: one module a resource."""
