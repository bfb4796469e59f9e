-- Asks with the bodies of a file, one a line, in turns; BODIES names the file, TOLD where the outcome goes, and
-- DELAY_MS how long each connection rests between two requests.

local prepared, at = {}, 0
local rest = tonumber(os.getenv("DELAY_MS") or "0")

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  for body in io.lines(os.getenv("BODIES")) do
    prepared[#prepared + 1] = wrk.format(nil, nil, nil, body)
  end
end

function request()
  at = at % #prepared + 1
  return prepared[at]
end

if rest > 0 then
  function delay()
    return math.random(0, 2 * rest)
  end
end

function done(summary, latency, requests)
  local told, errors = assert(io.open(os.getenv("TOLD"), "w")), summary.errors
  told:write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "failed": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
  told:close()
end
