-- make_way(key): deletes a key that holds a wrong type. A key that may be another application's is
-- renamed instead. Returns 1.
local function make_way(key)
  if string.sub(key, 1, 7) == 'byline:' then return redis.call('DEL', key) end
  redis.call('RENAME', key, 'byline:wrong_type:' .. key)
  return 1
end
