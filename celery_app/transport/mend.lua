-- Repairs the queue's keys where another program or a person has changed them. Otherwise tasks would
-- never be delivered again.
--
-- KEYS: kombu's hash, index and mutex of unacknowledged tasks; then lists of tasks.
-- ARGV: the Unix time.
-- A key that holds a wrong type is deleted or renamed, by make_way. A mutex that does not expire is
-- deleted. A task that is missing in the index, or has a time there more than a day ahead, gets the
-- present time.
local now = tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local wanted = ({'hash', 'zset', 'string'})[i] or 'list'
  if kind ~= 'none' and kind ~= wanted then make_way(key) end
end
if redis.call('TTL', KEYS[3]) == -1 then redis.call('DEL', KEYS[3]) end
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now + 86400, '+inf')) do
  redis.call('ZADD', KEYS[2], now, tag)
end
if redis.call('HLEN', KEYS[1]) > redis.call('ZCARD', KEYS[2]) then
  for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
    redis.call('ZADD', KEYS[2], 'NX', now, tag)
  end
end
