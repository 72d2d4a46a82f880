-- Takes tasks from the ends of KEYS, the first list first; the last two keys are kombu's hash and
-- index of what is unacknowledged. Returns the list, the task and its delivery tag of each.
-- A task goes back to the queue that it was sent to, or else that it was taken from. Where its tag
-- is of no use, or another task has it, it is noted under a tag made here. So is a task that cjson
-- can't read, such as one with half of a surrogate pair: Python may read it.
-- It writes before it takes: a Redis that has no memory left refuses, and the task stays until the
-- script is sent again as one that needs none. Unless it has something to forget first: then it
-- takes as before.
-- ARGV[3] and on say, with a 1 for each list, whether its consumer will acknowledge at all; what is
-- not acknowledged is not noted, and has an empty tag here. The delivery tags behind them were
-- acknowledged.
local unacked, index = KEYS[#KEYS - 1], KEYS[#KEYS]
local now, most = ARGV[1], 3 * ARGV[2]
local claimed = {}
for i = #KEYS + 1, #ARGV do
  redis.call('HDEL', unacked, ARGV[i])
  redis.call('ZREM', index, ARGV[i])
end
local function read(task)
  local properties = cjson.decode(task).properties
  local info = properties.delivery_info
  return properties.delivery_tag, info.exchange == '' and info.routing_key
end
local function note(queue, task)
  local known, tag, route = pcall(read, task)
  if not known then tag, route = '', '' end
  if type(route) ~= 'string' or route == '' or string.sub(queue, 1, #route) ~= route then
    route = queue
  end
  local entry = '[' .. task .. ',"",' .. cjson.encode(route) .. ']'
  if type(tag) ~= 'string' or tag == '' or redis.call('HSETNX', unacked, tag, entry) == 0 then
    local time = redis.call('TIME')
    tag = 'byline-tag:' .. redis.sha1hex(time[1] .. '.' .. time[2] .. '.' .. #claimed .. task)
    redis.call('HSET', unacked, tag, entry)
  end
  redis.call('ZADD', index, now, tag)
  return tag
end
for i = 1, #KEYS - 2 do
  local list, queue = KEYS[i], nil
  while #claimed < most do
    local task = redis.pcall('LINDEX', list, -1)
    if type(task) == 'table' and #claimed == 0 then return task end
    if type(task) ~= 'string' then break end
    -- What ends the name of a list is kombu's separator, and the priority.
    queue = queue or string.gsub(list, '\6\22%d+$', '')
    local tag = ARGV[2 + i] == '1' and note(queue, task) or ''
    redis.call('RPOP', list)
    claimed[#claimed + 1] = list
    claimed[#claimed + 1] = task
    claimed[#claimed + 1] = tag
  end
end
return claimed
