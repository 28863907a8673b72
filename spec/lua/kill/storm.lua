-- kill -9 of a random worker every 20 ms, for a while, during a map.
local script = require "spec.support.script"
local assert = require "luassert"

local storm = {}

local SOURCE = [[
  local items, seconds, busy, killed = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), arg[4]
  local function spin(time)
    local deadline = mp.monotonic() + time
    while mp.monotonic() < deadline do end
  end
  local function work(i)
    spin(0.001)
    return { -i, mp.getpid(), mp.monotonic() }
  end
  local pool <close> = mp.Pool(4)
  local killer = io.popen(("exec %s/spec/killer %d 20 %g %s"):format(os.getenv("MOONPOOL_BUILD"),
    mp.getpid(), seconds, killed))
  local pending = pool:map_async(work, mp.range(items), { on_error = "collect" })
  spin(busy)
  local began = mp.monotonic()
  local results = pending:get()
  killer:close()
  local kills, told, done, wrong, count = {}, {}, 0, 0, 0
  local early, workers = {}, 0
  for pid in io.lines(killed, "n") do
    if not kills[pid] then count = count + 1 end
    kills[pid] = true
  end
  for i = 1, items do
    local err = results.errors[i]
    if not err then
      local value, pid, finished = table.unpack(results[i])
      done = done + (value == -i and 1 or 0)
      if finished < began and not early[pid] then
        early[pid] = true
        workers = workers + 1
      end
    elseif err.kind ~= "worker_lost" or not kills[err.pid] or told[err.pid] or results[i] ~= nil then
      wrong = wrong + 1
      print(err)
    else
      told[err.pid] = true
    end
  end
  print(results.failed <= count, count > 10, done + results.failed - items, wrong)
  -- Replacements, too, had done their share before the host came back to the pool.
  if busy > 0 then print(workers > 4) end
  local again = pool:map(function(i) return i + 1 end, mp.range(1000))
  local complete = again.n == 1000
  for i = 1, 1000 do complete = complete and again[i] == i + 1 end
  print(complete)
]]

--- Asserts what is to hold of a storm of `seconds` over so many items of 1 ms, while the
--- host calls nothing of Moonpool for its first `busy` seconds.
function storm.check(items, seconds, busy, program)
  local killed = script.temporary()
  local said = script.output(SOURCE, { program = program, args = { items, seconds, busy, killed } })
  os.remove(killed)
  assert.equal("true\ttrue\t0\t0\n" .. (busy > 0 and "true\n" or "") .. "true\n", said)
end

return storm
