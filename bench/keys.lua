-- POSTs the file $BENCH_BODY with the keys sk-bench-00000000 to $BENCH_KEYS in turn.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
local body, count, number = file:read("*a"), tonumber(os.getenv("BENCH_KEYS")), 0
file:close()
local headers = { ["Content-Type"] = "application/json" }

function request()
  headers["Authorization"] = string.format("Bearer sk-bench-%08d", number % count)
  number = number + 1
  return wrk.format("POST", "/v1/chat/completions", headers, body)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"duration_us":%d,"bad_status":%d,"socket_errors":%d,"timeouts":%d,',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write, e.timeout))
  io.write(string.format('"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
