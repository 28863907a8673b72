-- timeout: 120
-- Lines whose print has returned, while workers are killed at random: each is given to the
-- pool's output once, whole, in order, with its item. A task notes in a file what it has
-- printed, so that what is missing can be told from what was never said.
local script = require "spec.support.script"

local SOURCE = [[
  local items, path, killed = tonumber(arg[1]), arg[2], arg[3]
  local open, rep, pid, write = io.open, string.rep, mp.getpid, io.write
  local got, order, torn, double = {}, {}, 0, 0
  local function hear(line, index, worker)
    local item, k, process, size, tail = line:match("^(%d+) (%d+) (%d+) (%d+) (x*)$")
    local name = item and item .. " " .. k .. " " .. process
    if not name or #tail ~= tonumber(size) or (index or 0) ~= tonumber(item) then
      torn = torn + 1
      return
    end
    double = double + (got[name] and 1 or 0)
    got[name] = true
    local last = order[process] or { "0", "0" }
    if k ~= (item == last[1] and ("%d"):format(last[2] + 1) or "1") then torn = torn + 1 end
    order[process] = { item, k }
  end
  local function say(i, k, size, said)
    print(("%d %d %d %d %s"):format(i, k, pid(), size, rep("x", size)))
    said:write(("%d %d %d\n"):format(i, k, pid()))
  end
  local function work(i)
    local said = open(path, "a")
    said:setvbuf("no")
    for k = 1, 3 do say(i, k, i % 7 * 10, said) end
    if i % 40 == 2 then say(i, 4, 1500000, said) end
    said:close()
    return i
  end
  local pool = mp.Pool { processes = 4, output = hear, initializer = function()
    local said = open(path, "a")
    say(0, 1, 5, said)
    said:close()
  end }
  local killer = io.popen(("exec %s/spec/killer %d 15 60 %s"):format(os.getenv("MOONPOOL_BUILD"),
    mp.getpid(), killed))
  local results = pool:map(work, mp.range(items), { on_error = "collect", chunksize = 5 })
  local kills = 0
  for _ in io.lines(killed) do kills = kills + 1 end
  pool:close()
  pool:join()
  local said, lost, unsaid = {}, 0, 0
  for name in io.lines(path) do
    said[name] = true
    lost = lost + (got[name] and 0 or 1)
  end
  for name in pairs(got) do unsaid = unsaid + (said[name] and 0 or 1) end
  print(kills > 10, results.failed <= kills, lost, torn, double, results.n - items)
  os.exit(0)
]]

describe("output in a storm of kills", function()
  it("loses and tears no line that was printed", function()
    local path, killed = script.temporary(), script.temporary()
    local r = script.run(SOURCE, { args = { 6000, path, killed } })
    os.remove(path)
    os.remove(killed)
    assert.equal("true\ttrue\t0\t0\t0\t0\n", r.output, r.errors)
  end)
end)
