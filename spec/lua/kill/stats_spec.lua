-- timeout: 120
-- What stats says while workers are killed at random: every item is counted once, by what
-- became of it, whatever has happened to it on its way.
local script = require "spec.support.script"

local SOURCE = [[
  local killed = arg[1]
  local exit, fail = os.exit, error
  local function spin()
    local deadline = mp.monotonic() + 0.001
    while mp.monotonic() < deadline do end
  end
  local given, delivered, failures = 0, 0, 0
  local function source(n)
    local i = 0
    return function()
      if i < n then
        i, given = i + 1, given + 1
        return i
      end
    end
  end
  local pool = mp.Pool { processes = 4 }
  local killer = io.popen(("exec %s/spec/killer %d 15 2.5 %s"):format(os.getenv("MOONPOOL_BUILD"),
    mp.getpid(), killed))
  local odd, before = 0, pool:stats()
  local function look(done)
    local s = pool:stats()
    local seen = s.done + s.failed + s.cancelled
    if s.items ~= given or seen > given or seen < done then odd = odd + 1 end
    for _, name in ipairs { "tasks", "items", "done", "failed", "retried", "lost_workers",
      "bytes_out", "bytes_in" } do
      if math.type(s[name]) ~= "integer" or s[name] < before[name] then odd = odd + 1 end
    end
    before = s
  end
  local function count(results)
    failures = failures + results.failed
    delivered = delivered + results.n - results.failed
  end
  for round = 1, 4 do
    count(pool:map(function(i)
      spin()
      if i % 50 == 0 then fail("mine") end
      if i % 97 == 0 then exit(3) end
    end, source(500), { on_error = "collect", retries = round % 3, progress = look }))
    local n = 0
    for _ in pool:imap_unordered(function(i)
      spin()
      return i
    end, source(1000), { retries = 9 }) do
      n = n + 1
      if n == 200 then break end
    end
  end
  killer:close()
  local r = pool:apply_async(spin, {})
  given, delivered = given + 1, delivered + 1
  r:get()
  local kills = 0
  for _ in io.lines(killed) do kills = kills + 1 end
  pool:close()
  pool:join()
  local s = pool:stats()
  print(odd, s.items - given, s.items - s.done - s.failed - s.cancelled, s.failed - failures)
  print(kills > 10, s.lost_workers > 10, s.retried > 10, s.done - delivered >= 800,
    s.busy_seconds > 0, s.tasks > 10)
]]

describe("stats in a storm of kills", function()
  it("count every item once", function()
    local killed = script.temporary()
    local said = script.output(SOURCE, { args = { killed } })
    os.remove(killed)
    assert.equal("0\t0\t0\t0\ntrue\ttrue\ttrue\ttrue\ttrue\ttrue\n", said)
  end)
end)
