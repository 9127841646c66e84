"""The configuration `routeiq demo` serves: two embedded models, no network, no provider key."""

NAME = "built-in demo"
DEMO = b"""\
model_list:
  - model_name: demo
    litellm_params:
      model: demo/chat
    model_info:
      mode: chat
  - model_name: demo-embedding
    litellm_params:
      model: demo/embedding
    model_info:
      mode: embedding
"""
