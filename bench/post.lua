-- POSTs the file $BENCH_BODY with the header lines of $BENCH_HEADERS, over and over.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
for name, value in (os.getenv("BENCH_HEADERS") or ""):gmatch("([^:\n]+):%s*([^\n]*)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"duration_us":%d,"bad_status":%d,"socket_errors":%d,"timeouts":%d,',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write, e.timeout))
  io.write(string.format('"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
