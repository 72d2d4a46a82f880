-- worth(value): how much the value of a pending result says: 0 where it is still pending, 1 for a failure,
-- 2 for an attribution, 3 for an attribution with evidence. It reads the tag that tasks/storage/record.py
-- writes, which follows the id and a bracket.
-- held(key): the string under a key; nil where there is none.
local function worth(value)
  return ({['3'] = 1, ['1'] = 2, ['2'] = 3})[string.sub(value, 34, 34)] or 0
end
local function held(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
