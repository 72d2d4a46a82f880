-- Takes tasks off the ends of lists, and records them as unacknowledged, as kombu does.
--
-- KEYS: the lists, in the order in which to take tasks; then kombu's hash and index of
-- unacknowledged tasks.
-- ARGV: the Unix time; how many tasks to take at most; for each list 1 if its consumer acknowledges
-- tasks, or 0; then the delivery tags of acknowledged tasks, which are deleted.
-- Returns for each task its list, the task and its delivery tag. A task whose consumer does not
-- acknowledge is not recorded, and its tag is empty.
--
-- A task is recorded under its own delivery tag, with the queue that it was sent to. If the worker dies,
-- the task returns to that queue. If the tag can't be used, or another task has the tag, the script makes
-- a tag. If the queue is not known, the script records the queue that the task was taken from. The script
-- does both for a task that cjson can't read, such as a task with half of a surrogate pair: Python may
-- be able to read that task.
--
-- The script records a task before it takes it. A Redis without memory refuses to record it, and the
-- task stays, until the script is sent again with the flag allow-oom. A script that first deletes
-- tags is not refused.
local unacked, index = KEYS[#KEYS - 1], KEYS[#KEYS]
local now, max_claimed = ARGV[1], 3 * ARGV[2]
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
  while #claimed < max_claimed do
    local task = redis.pcall('LINDEX', list, -1)
    if type(task) == 'table' and #claimed == 0 then return task end
    if type(task) ~= 'string' then break end
    -- The name of a list ends with kombu's separator and the priority.
    queue = queue or string.gsub(list, '\6\22%d+$', '')
    local tag = ARGV[2 + i] == '1' and note(queue, task) or ''
    redis.call('RPOP', list)
    claimed[#claimed + 1] = list
    claimed[#claimed + 1] = task
    claimed[#claimed + 1] = tag
  end
end
return claimed
