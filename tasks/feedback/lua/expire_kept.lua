-- Deletes at most ARGV[2] records whose time is before the Unix time ARGV[1]. Returns the number of records.
--
-- KEYS[1]  the hash of the kept texts
-- KEYS[2]  the sorted set of the kept texts
mend_types(KEYS[1], KEYS[2])
local records = redis.call('HLEN', KEYS[1]) - redis.call('HEXISTS', KEYS[1], 'bytes')
if redis.call('ZCARD', KEYS[2]) ~= records then
  -- One of the keys was damaged. A record without a readable time would be kept for ever, so it ends now.
  redis.call('DEL', KEYS[2])
  for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
    local until_s = string.match(redis.call('HGET', KEYS[1], id), '^%[(%d+%.?%d*),')
    if id ~= 'bytes' then redis.call('ZADD', KEYS[2], until_s or 0, id) end
  end
end
local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ended) do drop(KEYS[1], KEYS[2], id) end
return #ended
