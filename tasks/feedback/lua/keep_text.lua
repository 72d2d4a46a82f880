-- Keeps the text of a message with feedback, under the author that is recorded as the true author. If the text
-- is kept already, its author is replaced.
--
-- KEYS[1]  the message's true author
-- KEYS[2]  the message's text, while the text waits for feedback
-- KEYS[3]  the hash of the kept texts
-- KEYS[4]  the sorted set of the kept texts
-- ARGV[1]  the message id
-- ARGV[2]  the model version
-- ARGV[3]  the Unix time until which the text is kept
-- ARGV[4]  the largest sum of the records' sizes in bytes; the records that end first make way
--
-- Returns what was done, and the number of records that made way.
mend_types(KEYS[3], KEYS[4])
local author, text = unpack(redis.call('MGET', KEYS[1], KEYS[2]))
if not author then return {'unchanged', 0} end
local known = redis.call('HGET', KEYS[3], ARGV[1])
local readable, record = pcall(cjson.decode, known or '')
if text then
  put(KEYS[3], KEYS[4], ARGV[1], ARGV[3], author, ARGV[2], text)
  redis.call('DEL', KEYS[2])
elseif not known then
  return {'no_text', 0}
elseif not readable or type(record) ~= 'table' or type(record[4]) ~= 'string' then
  return {'no_text', 0}
elseif record[2] == author then
  return {'unchanged', 0}
else
  put(KEYS[3], KEYS[4], ARGV[1], redis.call('ZSCORE', KEYS[4], ARGV[1]) or ARGV[3], author, ARGV[2], record[4])
end
local dropped = 0
while size(KEYS[3]) > tonumber(ARGV[4]) do
  local first = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if not first then break end
  drop(KEYS[3], KEYS[4], first)
  dropped = dropped + 1
end
return {known and 'corrected' or 'kept', dropped}
