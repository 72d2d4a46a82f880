-- Writes ARGV[i + 1] under KEYS[i], for ARGV[1] seconds.
-- One command for a batch: a SET for each message costs Redis about as much, but redis-py 7 us
-- instead of 2.
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1])
end
