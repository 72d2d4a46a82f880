-- worth(value): 0 for a promise that is pending, 1 for one that failed, 2 for an attribution, 3
-- for one with evidence: by the tag of tasks/storage/record.py, which follows the id and a bracket.
-- held(key): the string under a key; nil: there is none.
local function worth(value)
  return ({['3'] = 1, ['1'] = 2, ['2'] = 3})[string.sub(value, 34, 34)] or 0
end
local function held(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end
