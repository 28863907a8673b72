-- timeout: 180
-- Pools that change their workers while workers, nurseries and hosts are killed.
local script = require "spec.support.script"

-- What the scripts share: functions that travel with their items.
local COMMON = [[
  local function spin(time)
    local deadline = mp.monotonic() + time
    while mp.monotonic() < deadline do end
  end
  local function right(results, n)
    local good = results.n == n
    for i = 1, n do
      local err = results.errors and results.errors[i]
      good = good and (results[i] == i * 3 or (err and err.kind == "worker_lost"))
    end
    return good
  end
  local function nurseries(of)
    local pids = {}
    local list = io.open(("/proc/%d/task/%d/children"):format(of, of)):read "a"
    for pid in list:gmatch "%d+" do
      local name = io.open("/proc/" .. pid .. "/comm")
      if name and name:read "l" == "mp-nursery" then pids[#pids + 1] = tonumber(pid) end
      if name then name:close() end
    end
    return pids
  end
]]

local STORM = COMMON .. [[
  local pool <close> = mp.Pool(4)
  local killed = os.tmpname()
  local killer = io.popen(("exec %s/spec/killer %d 25 2 %s"):format(os.getenv("MOONPOOL_BUILD"),
    mp.getpid(), killed))
  local pending = {}
  local sizes = { 2, 6, 1, 8, 3, 4 }
  for round = 1, 40 do
    pending[round] = pool:map_async(function(i) spin(0.001) return i * 3 end, mp.range(40),
      { on_error = "collect" })
    pool:resize(sizes[round % 6 + 1])
    if round % 4 == 0 then pool:refresh() end
    pool:poll(0.05)
  end
  local good, failed = true, 0
  for _, r in ipairs(pending) do
    local results = r:get()
    good, failed = good and right(results, 40), failed + results.failed
  end
  killer:close()
  local kills = 0
  for _ in io.lines(killed, "n") do kills = kills + 1 end
  os.remove(killed)
  print(good, failed <= kills, kills > 10)
  print(right(pool:map(function(i) return i * 3 end, mp.range(100)), 100))
]]

-- In the middle of an everywhere one worker is killed, again and again.
local EVERYWHERE = COMMON .. [[
  local pool <close> = mp.Pool(3)
  local good, lost = true, 0
  for round = 1, 10 do
    local victim = pool:workers()[round % 3 + 1].pid
    local results = pool:everywhere(function(pid, marked)
      mp.marked = marked
      if mp.getpid() == pid then os.execute("kill -9 " .. pid) mp.sleep(100) end
      return marked
    end, { victim, round }, { on_error = "collect" })
    for i = 1, 3 do
      local err = results.errors[i]
      good = good and (results[i] == round or err.kind == "worker_lost" and err.pid == victim)
      lost = lost + (err and 1 or 0)
    end
    local marks = pool:map(function() return mp.marked end, mp.range(12), 1)
    for i = 1, 12 do good = good and marks[i] == round end
  end
  print(good, lost, pool:stats().lost_workers)
]]

local NURSERIES = COMMON .. [[
  local pool <close> = mp.Pool(2)
  pool:start()
  local good, most, lost = true, 0, 0
  for round = 1, 8 do
    pool:resize(2)
    pool:workers()
    pool:resize(5)
    pool:workers()
    local pids = nurseries(mp.getpid())
    most = math.max(most, #pids)
    local pending = pool:map_async(function(i) spin(0.002) return i * 3 end, mp.range(100),
      { on_error = "collect" })
    os.execute("kill -9 " .. pids[round % #pids + 1])
    local results = pending:get()
    good, lost = good and right(results, 100), lost + results.failed
  end
  print(good, most >= 2, lost <= 40)
  print(right(pool:map(function(i) return i * 3 end, mp.range(100)), 100))
]]

local LEAKS = [[
  local leaks = require "spec.support.leaks"
  local before, children = leaks.snapshot(), nil
  do
    local pool <close> = mp.Pool(2)
    for round = 1, 30 do
      local r = pool:map_async(function(i) return i end, mp.range(20), 1)
      pool:resize(round % 3 + 1)
      pool:refresh()
      r:get()
      pool:everywhere(function() return 1 end)
    end
    pool:refresh()
    local deadline = mp.monotonic() + 10
    repeat
      pool:poll(0.01)
      children = next(leaks.children())
    until not children or mp.monotonic() > deadline
    local fds = 0
    for _ in pairs(leaks.fds()) do fds = fds + 1 end
    print(children == nil, fds < 60)
  end
  print(leaks.left(before))
]]

local HOST = [[
  local pool = mp.Pool(2)
  pool:map_async(function() mp.sleep(1000) end, mp.range(2), 1)
  pool:poll(0.1)
  pool:resize(4)
  pool:workers()
  pool:refresh()
  pool:start()
  pool:workers()
  os.execute("kill -9 " .. mp.getpid())
]]

script.each_program(function(program)
  describe("generations of " .. program, function()
    it("lose no more than what is killed, growing and shrinking in a storm", function()
      assert.equal("true\ttrue\ttrue\ntrue\n", script.output(STORM, { program = program }))
    end)

    it("tell of workers that die in an everywhere, and the next ones do it", function()
      assert.equal("true\t10\t10\n", script.output(EVERYWHERE, { program = program }))
    end)

    it("are replaced one by one where nurseries are killed", function()
      assert.equal("true\ttrue\ttrue\ntrue\n", script.output(NURSERIES, { program = program }))
    end)

    it("leave no processes and no descriptors behind", function()
      assert.equal("true\ttrue\n\n", script.output(LEAKS, { program = program }))
    end)

    it("all end with their host", function()
      local r = script.run(HOST, { program = program })
      assert.equal(9, r.signal)
      assert.is_true(script.left_nothing(r))
    end)
  end)
end)
