-- Asks the questions of a file in turn, a body a line; says what was found as a line of JSON.

local questions, turn = {}, 0

function init(args)
  for body in io.lines(args[1]) do
    questions[#questions + 1] = wrk.format("POST", nil, { ["content-type"] = "application/json" }, body)
  end
end

function request()
  turn = turn % #questions + 1
  return questions[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"seconds":%f,"answers":%d,"p50_us":%d,"p99_us":%d,"errors":%d}\n',
    summary.duration / 1e6, summary.requests, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
