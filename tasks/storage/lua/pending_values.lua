-- worth(value): how complete the value of a pending result is: 0 if the result is still pending, 1 for a
-- failure, 2 for an attribution, 3 for an attribution with evidence. The function reads the tag that
-- tasks/storage/record.py writes after the id.
-- held(key): returns the string under a key; nil if there is none.
local function worth(value)
  return ({['3'] = 1, ['1'] = 2, ['2'] = 3})[string.sub(value, 34, 34)] or 0
end
local function held(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
