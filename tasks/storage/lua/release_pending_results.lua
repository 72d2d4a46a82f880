-- Releases pending results that were fetched: they expire at the Unix time ARGV[1] and are not counted any
-- more. The rest of ARGV is pairs of id and value. A result that was still pending gets its value.
for i = 2, #ARGV, 2 do
  local key = 'byline:promise:' .. ARGV[i]
  local value = held(key)
  if value then
    if value == '' then redis.call('SET', key, ARGV[i + 1]) end
    redis.call('EXPIREAT', key, math.floor(ARGV[1]))
    redis.pcall('ZREM', KEYS[1], ARGV[i])
  end
end
