-- Ends the pending promise of the id ARGV[1], under KEYS[2], whose task is in none of the other
-- keys: kombu's hash of what workers hold, and the lists of tasks. Returns whether it is lost. Each
-- task of the api says when it was sent, which was before its answer was promised. With many tasks
-- about, it is not looked for. ARGV[2] is for how long promises are kept, ARGV[3] when the latest
-- was made that may be lost, ARGV[4] what to keep instead, and ARGV[5] for how many seconds.
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
