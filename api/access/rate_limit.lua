-- A leaky bucket. All numbers are whole and below 2^53, where Lua's numbers are exact.
--
-- KEYS[1]: holds "rate debt time". The debt is the work of the messages that the key has sent and
--   not paid off. The time is when the debt had this value, in microseconds of the Redis clock.
-- ARGV[1]: the rate, in thousandths of a message a second. The debt shrinks at this rate.
-- ARGV[2]: the number of messages that the client sends now.
-- Returns 0 and adds the messages to the debt, if the new debt is no more than a second's worth, or
-- no more than these messages alone. Otherwise returns the microseconds to wait.
-- A stored value counts as no debt if it can't be read, has another rate, or is from the future.

-- Units of debt in one message. A key with the rate 1 pays off one unit in a microsecond.
local MESSAGE = 1000000000
-- Microseconds of its rate that a key may use at once: one second.
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
