-- Makes way where KEYS hold another type than ARGV says, and returns how often.
local deleted = 0
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[i] then deleted = deleted + make_way(key) end
end
return deleted
