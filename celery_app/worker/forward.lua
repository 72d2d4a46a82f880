-- Moves tasks from the ends of the first half of KEYS to the beginnings of the second half: the one
-- that waits longest first. It takes and puts each in one command, so that none is ever between.
local half, moved = #KEYS / 2, 0
for i = 1, half do
  for _ = 1, tonumber(ARGV[1]) do
    if not redis.call('LMOVE', KEYS[i], KEYS[half + i], 'RIGHT', 'LEFT') then break end
    moved = moved + 1
  end
end
return moved
