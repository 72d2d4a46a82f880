-- Runs the command that ARGV is.
return redis.call(unpack(ARGV))
