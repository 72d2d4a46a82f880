"""The scripts of promises: each does at once what no crash may separate.

In all of them the first key is the sorted set of promises (:data:`tasks.promises.PROMISES`).
"""

from __future__ import annotations

from tasks.wrong_type import MAKE_WAY

#: ``worth(value)``: 0 for a promise that is pending, 1 for one that failed, 2 for an attribution, 3
#: for one with evidence: by the tag of :mod:`tasks.record`, which follows the id and a bracket.
#: ``held(key)``: the string under a key; nil: there is none.
_COMMON = """
local function worth(value)
  return ({['3'] = 1, ['1'] = 2, ['2'] = 3})[string.sub(value, 34, 34)] or 0
end
local function held(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
"""

#: See :func:`tasks.promises.promise`. The task goes first: where its list can't be written, nothing
#: is promised. A promise that was kept with an attribution stays as it is: only more may follow.
PROMISE = f"""{MAKE_WAY}{_COMMON}
local promises, list = KEYS[1], KEYS[2]
local kind = redis.call('TYPE', promises).ok
if kind ~= 'none' and kind ~= 'zset' then make_way(promises) end
if list then redis.call('LPUSH', list, ARGV[3]) end
local more = 0
for i = 4, #ARGV do
  if not redis.call('ZSCORE', promises, ARGV[i]) then more = more + 1 end
end
if more > 0 and redis.call('ZCARD', promises) + more > tonumber(ARGV[1]) then return 0 end
for i = 4, #ARGV do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value and worth(value) > 1 then redis.call('PERSIST', key) else redis.call('SET', key, '') end
  redis.call('ZADD', promises, 'GT', ARGV[2], ARGV[i])
end
return 1
"""

#: See :func:`tasks.promises.keep`. ARGV are pairs of id and value. Nothing is written over what
#: says more.
KEEP = f"""{_COMMON}
for i = 1, #ARGV, 2 do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value and worth(value) <= worth(ARGV[i + 1]) then
    redis.call('SET', key, ARGV[i + 1], 'KEEPTTL')
  end
end
"""

#: Gives the promises an end, ARGV[1], and no longer counts them. Pairs of id and value follow.
RELEASE = f"""{_COMMON}
for i = 2, #ARGV, 2 do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value then
    if value == '' then redis.call('SET', key, ARGV[i + 1]) end
    redis.call('EXPIREAT', key, math.floor(ARGV[1]))
    redis.pcall('ZREM', KEYS[1], ARGV[i])
  end
end
"""

#: Ends promises whose time was over at ARGV[1].
EXPIRE = f"""{MAKE_WAY}
local ended = redis.pcall('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
if ended.err then return make_way(KEYS[1]) end
for _, id in ipairs(ended) do
  redis.call('DEL', 'byline:promise:' .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ended
"""

#: Ends the pending promise of the id ARGV[1], under KEYS[2], whose task is in none of the other
#: keys: kombu's hash of what workers hold, and the lists of tasks. Returns whether it is lost. Each
#: task of the api says when it was sent, which was before its answer was promised. With many tasks
#: about, it is not looked for. ARGV[2] is for how long promises are kept, ARGV[3] when the latest
#: was made that may be lost, ARGV[4] what to keep instead, and ARGV[5] for how many seconds.
LOST = """
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
"""
