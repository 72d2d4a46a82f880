-- A leaky bucket by Redis's own clock, in whole numbers below 2^53, which Lua's are exact for.
-- KEYS[1] holds the rate, what is owed, and when that was so, in microseconds. What is owed is paid
-- off at the rate ARGV[1]. Lets ARGV[2] messages through unless more than a second's worth, or
-- these messages alone, would then be owed. Returns the microseconds to wait, 0: let through. Any
-- other value, one of another rate, or one from the future counts as nothing owed.

-- A rate is in thousandths of a message a second. So much is then one message, and what a key earns
-- in a microsecond is its rate.
local MESSAGE = 1000000000
-- Microseconds of its rate that a key may use at once.
local BURST_US = 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rate, cost = tonumber(ARGV[1]), ARGV[2] * MESSAGE
local owed, kept = 0, redis.pcall('GET', KEYS[1])
if type(kept) == 'string' then
  local kept_rate, kept_owed, at = string.match(kept, '^(%d+) (%d+) (%d+)$')
  if tonumber(kept_rate) == rate and tonumber(at) <= now then
    owed = math.max(0, kept_owed - (now - at) * rate)
  end
end
local excess = owed + cost - math.max(BURST_US * rate, cost)
if excess > 0 then return math.ceil(excess / rate) end
owed = owed + cost
redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', rate, owed, now),
  'PX', math.ceil(owed / rate / 1000) + 1)
return 0
