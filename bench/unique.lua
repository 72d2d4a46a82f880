-- wrk: one POST a message, each message unique: a passage from a file, and a number before it.
-- BENCH_MESSAGES names the file, a JSON string a line; BENCH_PATH is where to post.
local passages, path, count = {}, os.getenv("BENCH_PATH"), 0
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  for line in io.lines(os.getenv("BENCH_MESSAGES")) do
    passages[#passages + 1] = line:sub(2) -- without the opening quote
  end
  run = os.getenv("BENCH_RUN")
end

function request()
  count = count + 1
  local passage = passages[count % #passages + 1]
  local body = string.format('{"text":"%s.%d.%d %s}', run, number, count, passage)
  return wrk.format("POST", path, {["Content-Type"] = "application/json"}, body)
end

function done(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\n{"seconds": %f, "requests": %d, "failed": %d, "p50_ms": %f, "p95_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, summary.requests, failed,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
