-- Deletes pending results that nobody fetched until the Unix time ARGV[1], at most 1,000. Returns how
-- many. KEYS[1] is the sorted set of pending results.
local ended = redis.pcall('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
if ended.err then return make_way(KEYS[1]) end
for _, id in ipairs(ended) do
  redis.call('DEL', 'byline:promise:' .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ended
