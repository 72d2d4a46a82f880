-- Moves tasks from the lists in the first half of KEYS to the lists in the second half, at most ARGV[1] from
-- each. Returns how many. The task that has waited longest goes first. Each task is taken and put by one
-- command, so that no crash can lose it.
local half, moved = #KEYS / 2, 0
for i = 1, half do
  for _ = 1, tonumber(ARGV[1]) do
    if not redis.call('LMOVE', KEYS[i], KEYS[half + i], 'RIGHT', 'LEFT') then break end
    moved = moved + 1
  end
end
return moved
