-- Queues a task, and adds the pending results of its messages. Returns 1; 0 if the results exceed the limit.
-- KEYS: the sorted set of pending results, and the task's list, if there is a task.
-- ARGV: the largest number of pending results, the Unix time until which these are kept, the task, ids.
-- The task is queued first: if that fails, no pending result is added. A pending result that already has an
-- attribution keeps that attribution until a new attribution is stored.
local pending, list = KEYS[1], KEYS[2]
local kind = redis.call('TYPE', pending).ok
if kind ~= 'none' and kind ~= 'zset' then make_way(pending) end
if list then redis.call('LPUSH', list, ARGV[3]) end
local more = 0
for i = 4, #ARGV do
  if not redis.call('ZSCORE', pending, ARGV[i]) then more = more + 1 end
end
if more > 0 and redis.call('ZCARD', pending) + more > tonumber(ARGV[1]) then return 0 end
for i = 4, #ARGV do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value and worth(value) > 1 then redis.call('PERSIST', key) else redis.call('SET', key, '') end
  redis.call('ZADD', pending, 'GT', ARGV[2], ARGV[i])
end
return 1
