-- Deletes records that have not changed. ARGV are pairs of an id and its record. Returns the number of deleted
-- records.
--
-- KEYS[1]  the hash of the kept texts
-- KEYS[2]  the sorted set of the kept texts
local erased = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    drop(KEYS[1], KEYS[2], ARGV[i])
    erased = erased + 1
  end
end
return erased
