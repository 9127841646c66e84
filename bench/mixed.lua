-- Of 20 requests: 15 answered, 2 streamed, 1 for an unknown model, 1 with one of 10,000 unknown keys, 1 that is no JSON.
local function slurp(name)
  local file = assert(io.open(os.getenv(name), "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local headers = { ["Content-Type"] = "application/json" }
for name, value in (os.getenv("BENCH_HEADERS") or ""):gmatch("([^:\n]+):%s*([^\n]*)") do
  headers[name] = value
end
local good, stream, count = slurp("BENCH_BODY"), slurp("BENCH_STREAM_BODY"), 0
local path = "/v1/chat/completions"

function request()
  count = count + 1
  local turn = count % 20
  if turn == 3 or turn == 13 then return wrk.format("POST", path, headers, stream) end
  if turn == 5 then return wrk.format("POST", path, headers, '{"model":"no-such-model","messages":[]}') end
  if turn == 10 then
    local stranger = { ["Content-Type"] = "application/json" }
    stranger["Authorization"] = "Bearer sk-stranger-" .. math.random(10000)
    return wrk.format("POST", path, stranger, good)
  end
  if turn == 15 then return wrk.format("POST", path, headers, '{"model": "bench", "messages": [') end
  return wrk.format("POST", path, headers, good)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"duration_us":%d,"bad_status":%d,"socket_errors":%d,"timeouts":%d,',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write, e.timeout))
  io.write(string.format('"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
