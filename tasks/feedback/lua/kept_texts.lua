-- Functions on the kept texts: a hash of records by message id, and a sorted set of the ids by the Unix time
-- until which each is kept. The hash's field 'bytes' has the sum of the records' sizes.
--
-- A record is a JSON array: the time, the true author, the model version, and the text.

-- Memory in bytes that a record takes beside its own bytes: its id in hash and sorted set, and their tables.
local BESIDE = 240

-- mend_types(hash, ends): deletes each of the two keys that holds a wrong type.
local function mend_types(hash, ends)
  for key, kind in pairs({[hash] = 'hash', [ends] = 'zset'}) do
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
  end
end

-- size(hash): returns the sum of the records' sizes. The sum is computed if it is missing or no number.
local function size(hash)
  local bytes = tonumber(redis.call('HGET', hash, 'bytes') or '')
  if bytes then return bytes end
  bytes = 0
  for _, value in ipairs(redis.call('HVALS', hash)) do bytes = bytes + #value + BESIDE end
  return bytes
end

-- drop(hash, ends, id): deletes a record.
local function drop(hash, ends, id)
  local value = redis.call('HGET', hash, id)
  redis.call('ZREM', ends, id)
  if not value then return end
  local left = size(hash) - #value - BESIDE
  redis.call('HDEL', hash, id)
  redis.call('HSET', hash, 'bytes', left)
  if redis.call('HLEN', hash) == 1 then redis.call('DEL', hash) end
end

-- put(hash, ends, id, until_s, author, version, text): writes a record in the place of an earlier one.
local function put(hash, ends, id, until_s, author, version, text)
  drop(hash, ends, id)
  local encode = cjson.encode
  local value = string.format('[%s,%s,%s,%s]', until_s, encode(author), encode(version), encode(text))
  redis.call('HSET', hash, 'bytes', size(hash) + #value + BESIDE, id, value)
  redis.call('ZADD', ends, until_s, id)
end
