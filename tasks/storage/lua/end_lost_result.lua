-- Ends a pending result if its task is lost. Returns 1 if so, otherwise 0.
-- KEYS: the sorted set of pending results, the pending result's key, kombu's hash of the tasks that
-- workers hold, and the lists of all queues.
-- ARGV: the id, the seconds for which pending results are kept, the Unix time before which the pending
-- result must have been added, the value to store instead, and the seconds for which to store that value.
-- A task is not lost while the hash or a list may have it. The script goes by times: each task of the api
-- has the time when it was sent, which is before its pending result was added. With more than 64 tasks, the
-- script does not search, and the task does not count as lost.
local made = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0) - ARGV[2]
if redis.call('GET', KEYS[2]) ~= '' or made > tonumber(ARGV[3]) then return 0 end
local left = 64
local function may_hold_it(key, count, all, ...)
  left = left - redis.call(count, key)
  if left < 0 then return true end
  for _, task in ipairs(redis.call(all, key, ...)) do
    local sent = string.match(task, '"byline_sent": ?([%d.]+)')
    if sent and tonumber(sent) <= made + 1 then return true end
  end
end
if may_hold_it(KEYS[3], 'HLEN', 'HVALS') then return 0 end
for i = 4, #KEYS do
  if may_hold_it(KEYS[i], 'LLEN', 'LRANGE', 0, -1) then return 0 end
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
return 1
