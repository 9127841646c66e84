"""How counters that several machines share are kept in Redis.

    {<namespace>}:<subject>         one hash for each subject; the braces keep all of them in one slot of a cluster
        b<word>:<period>:<machine>  nano-dollars (or requests of a run) of a budget's period, as a machine counted them;
                                    what the period began with has no machine
        w<word>:<bucket>:<machine>  requests or tokens of five seconds
        g:<machine>                 in flight, and when it said so: "3:1763750000"
    {<namespace>}:<subject>:p       requests in flight of `strict` gateways, by the second they are forgotten in

Of `strict` gateways, which count in Redis itself, the machine is empty.

`<word>` is the place in a slot (`core.slots`); for what is counted by name it is 0.
"""

from __future__ import annotations

KEEP_SECONDS = 40 * 86_400
"""How long a subject nobody counts for is kept: over a month, since budgets begin from the ledger anyway."""

SYNC = """
redis.call('EXPIRE', KEYS[1], ARGV[1])
local i = 2
while i < #ARGV do
  local op, field, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if op == 's' then redis.call('HSETNX', KEYS[1], field, value)
  elseif op == 'v' then redis.call('HSET', KEYS[1], field, value)
  else redis.call('HDEL', KEYS[1], field) end
  i = i + 3
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])
"""
"""What one machine has counted of a subject in, what all have out. Arguments: seconds to keep it, then operations of
three: `s` field value (unless it is there), `v` field value, `d` field -."""

RESERVE = """
local tick, now, keep, tokens, id, gone = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]),
  ARGV[5], ARGV[6]
local function minute(key, word)
  local fields = {}
  for t = tick - 12, tick do fields[#fields + 1] = 'w' .. word .. ':' .. t .. ':' end
  local sum = 0
  for _, value in ipairs(redis.call('HMGET', key, unpack(fields))) do sum = sum + (tonumber(value) or 0) end
  return sum
end
local i = 7
for place = 1, #KEYS / 2 do
  local key, flying = KEYS[2 * place - 1], KEYS[2 * place]
  local rpm, tpm, parallel = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local count = tonumber(ARGV[i + 3])
  i = i + 4
  if parallel >= 0 then
    redis.call('ZREMRANGEBYSCORE', flying, '-inf', now)
    if redis.call('ZCARD', flying) >= parallel then return {place, 'parallel', '0'} end
  end
  if rpm >= 0 then
    local used = minute(key, '1')
    if used + 1 > rpm then return {place, 'requests', tostring(used)} end
  end
  if tpm >= 0 then
    local used = minute(key, '16')
    if used + tokens > tpm then return {place, 'tokens', tostring(used)} end
  end
  for budget = 1, count do
    local field, most, seed, amount = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3])
    i = i + 4
    redis.call('HSETNX', key, field, seed)
    local spent = tonumber(redis.call('HGET', key, field))
    if spent >= most or spent + amount > most then return {place, tostring(budget), string.format('%.0f', spent)} end
  end
end
i = 7
for place = 1, #KEYS / 2 do
  local key, flying = KEYS[2 * place - 1], KEYS[2 * place]
  local rpm, tpm, parallel = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local count = tonumber(ARGV[i + 3])
  i = i + 4
  if parallel >= 0 then
    redis.call('ZADD', flying, gone, id)
    redis.call('EXPIRE', flying, keep)
  end
  if rpm >= 0 then redis.call('HINCRBY', key, 'w1:' .. tick .. ':', 1) end
  if tpm >= 0 then redis.call('HINCRBY', key, 'w16:' .. tick .. ':', tokens) end
  for old = tick - 16, tick - 13 do redis.call('HDEL', key, 'w1:' .. old .. ':', 'w16:' .. old .. ':') end
  for budget = 1, count do
    redis.call('HINCRBY', key, ARGV[i], ARGV[i + 3])
    i = i + 4
  end
  redis.call('EXPIRE', key, keep)
end
return {0, '', '0'}
"""
"""A request from all subjects or from none. Keys: two of each subject. Arguments: bucket, now, seconds to keep, tokens,
the request's id, the second it is forgotten in; then for each subject rpm, tpm, parallel (-1 for none), how many
budgets, and of each field, most, seed, amount. Answers (0, "", "0"), or (which subject, what, how much was used)."""

SETTLE = """
local id, tick, tokens = ARGV[1], ARGV[2], ARGV[3]
local i = 4
for place = 1, #KEYS / 2 do
  local key, flying = KEYS[2 * place - 1], KEYS[2 * place]
  local tpm, count = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  i = i + 2
  redis.call('ZREM', flying, id)
  if tpm >= 0 and redis.call('HEXISTS', key, 'w16:' .. tick .. ':') == 1 then
    redis.call('HINCRBY', key, 'w16:' .. tick .. ':', tokens)
  end
  for budget = 1, count do
    if redis.call('HEXISTS', key, ARGV[i]) == 1 then redis.call('HINCRBY', key, ARGV[i], ARGV[i + 1]) end
    i = i + 2
  end
end
return 0
"""
"""What was used less what was reserved. Arguments: the request's id, the bucket it came in, tokens; then for each
subject whether it counts tokens (-1: not), how many budgets, and of each its field and how much."""
