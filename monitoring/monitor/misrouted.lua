-- Returns how many of the newest tasks of some lists hold the text ARGV[1].
-- KEYS are the lists. Of each list, at most ARGV[2] tasks, or about ARGV[3] bytes, are looked at.
local found = 0
for _, list in ipairs(KEYS) do
    local bytes = 0
    for index = 0, ARGV[2] - 1 do
        local task = redis.call("LINDEX", list, index)
        if not task or bytes > tonumber(ARGV[3]) then
            break
        end
        bytes = bytes + #task
        if string.find(task, ARGV[1], 1, true) then
            found = found + 1
        end
    end
end
return found
