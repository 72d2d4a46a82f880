-- Deletes or renames each key of KEYS whose type is not the type at the same index in ARGV. Returns how many.
local deleted = 0
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[i] then deleted = deleted + make_way(key) end
end
return deleted
