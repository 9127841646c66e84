"""`import routeiq` and LiteLLM's SDK: in the program itself, in a process of its own for the test."""

from __future__ import annotations

import subprocess
import sys

from snowflake import KEY, Snowflake

from support.gateway import environment

PROGRAM = """
import asyncio, os, sys, routeiq
before = dict(os.environ)
base, key = sys.argv[1:]
reach = dict(model="snowflake/llama3.1-70b", api_base=base, api_key=key, account_id="abc", num_retries=0)
say = lambda text: [{"role": "user", "content": text}]
made = routeiq.completion(messages=say("hi"), **reach)
assert made.choices[0].message.content == "Hello", made
chunks = routeiq.completion(messages=say("hi"), stream=True, **reach)
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
assert asyncio.run(routeiq.acompletion(messages=say("hi"), **reach)).usage.prompt_tokens == 7
assert routeiq.embedding(input=["a"], **reach).data[0].embedding == [0.5, -1.0]
try:
    routeiq.completion(messages=say("limit"), **reach)
except routeiq.RateLimitError as error:
    assert "longtail-secret" not in str(error)
else:
    raise AssertionError("no error")
added = set(os.environ) - set(before)
assert not [name for name in added if name.startswith("LITELLM")], added
print("well")
"""


def test_the_library_calls_it_without_a_process(vendor: Snowflake) -> None:
    words = [sys.executable, "-c", PROGRAM, vendor.base, KEY]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "well\n", done.stderr
    assert "longtail-secret" not in done.stderr
