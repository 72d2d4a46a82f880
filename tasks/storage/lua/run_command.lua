-- Runs the command whose name and arguments are ARGV.
return redis.call(unpack(ARGV))
