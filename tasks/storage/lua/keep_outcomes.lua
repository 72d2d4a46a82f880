-- Stores the outcomes of pending results, and drops other outcomes. ARGV are pairs of id and value. A stored
-- value of higher worth() is not replaced.
for i = 1, #ARGV, 2 do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value and worth(value) <= worth(ARGV[i + 1]) then
    redis.call('SET', key, ARGV[i + 1], 'KEEPTTL')
  end
end
