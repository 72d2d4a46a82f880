-- Puts another author in the place of the one that was given for a message before.
--
-- KEYS[1]  the author
-- KEYS[2]  the trace: a list of the authors that were given before, the oldest first
-- KEYS[3]  the slice of a window in which the label was counted: a hash
-- ARGV[1]  the author that is in KEYS[1]; if another is there, nothing is changed
-- ARGV[2]  the new author
-- ARGV[3]  what to add to the slice's count of labels that the model had right: -1, 0 or 1
-- ARGV[4]  the number of authors that the trace keeps
--
-- Returns 1 if the author was put there. Label and trace expire when the label would have expired.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
local found = redis.call('TYPE', KEYS[2]).ok
if found ~= 'list' and found ~= 'none' then redis.call('DEL', KEYS[2]) end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], -ARGV[4], -1)
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
-- If the slice has no labels, the slice in which the label was counted has expired.
if redis.call('TYPE', KEYS[3]).ok == 'hash' and redis.call('HEXISTS', KEYS[3], 'labels') == 1 then
  redis.pcall('HINCRBY', KEYS[3], 'right', ARGV[3])
end
return 1
