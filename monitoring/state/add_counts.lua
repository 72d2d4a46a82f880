-- Adds ARGV[4] and on, pairs of field and number, to the hash KEYS[1], which then lasts ARGV[1]
-- seconds; and notes ARGV[2] in the sorted set KEYS[2], where there is one, with the time ARGV[3].
-- What is there and is no hash, number or sorted set makes way.
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
