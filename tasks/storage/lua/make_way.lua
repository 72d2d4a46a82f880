-- make_way(key): removes a key that holds another type.
local function make_way(key)
  if string.sub(key, 1, 7) == 'byline:' then return redis.call('DEL', key) end
  redis.call('RENAME', key, 'byline:wrong_type:' .. key)
  return 1
end
