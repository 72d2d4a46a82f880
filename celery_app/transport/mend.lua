-- What only a hand can have done to KEYS, the hash, the index and the mutex of what is
-- unacknowledged, and lists of tasks, keeps tasks from being delivered for ever: a key that holds
-- another type, a task that is not in the index or is there for a distant future, a mutex that does
-- not expire. Each is put right; ARGV[1] is the time.
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
