-- Writes ARGV[i + 1] under KEYS[i], with a time to live of ARGV[1] seconds.
-- One script for a batch costs Redis as much as a SET for each message, but costs redis-py 2 us a message
-- instead of 7 us.
for i, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1])
end
