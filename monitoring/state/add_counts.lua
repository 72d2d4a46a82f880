-- Adds counts to a slice of a window, and records that the model version has answered.
--
-- KEYS[1]  the slice: a hash that maps a field to its count
-- KEYS[2]  optional: the sorted set of versions by the time of their last answer
-- ARGV[1]  seconds until the slice expires
-- ARGV[2]  the version
-- ARGV[3]  the present time, in seconds since 1970
-- ARGV[4] and following: pairs of a field and the number to add
--
-- A key of another type is deleted first. A value that is no number is overwritten.
local function make_way(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
make_way(KEYS[1], 'hash')
for i = 4, #ARGV, 2 do
  if type(redis.pcall('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])) ~= 'number' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
if KEYS[2] then
  make_way(KEYS[2], 'zset')
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
end
