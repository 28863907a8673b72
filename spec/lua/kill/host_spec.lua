-- timeout: 120
-- SIGKILL of the host: whatever its workers are doing, none is left.
local script = require "spec.support.script"

-- Starts work in n workers, waits until all have begun it, notes the pids of nursery and
-- workers in the file arg[1], and is killed.
local FRAME = [[
  local notes = arg[1]
  local host = mp.getpid()
  local function begin()
    local file = io.open(notes, "a")
    file:write(mp.getpid(), "\n")
    file:close()
  end
  local function lines()
    local n = 0
    for _ in io.lines(notes) do n = n + 1 end
    return n
  end
  local function start(n, work)
    local pool = mp.Pool(n)
    for _ = 1, n do pool:apply_async(work) end
    while lines() < n do mp.sleep(0.005) end
    return pool
  end
  local function note_nursery()
    local file = io.open(notes, "a")
    for child in io.lines(("/proc/%d/task/%d/children"):format(host, host), "n") do
      file:write(child, "\n")
    end
    file:close()
  end
  local function die()
    note_nursery()
    os.execute("kill -9 " .. host)
    while true do end
  end
]]

local function dies_alone(body, program, workers)
  local notes = script.temporary()
  local r = script.run((FRAME .. body):gsub("\n", " "), { program = program, args = { notes } })
  local pids = {}
  for line in io.lines(notes) do pids[#pids + 1] = tonumber(line) end
  os.remove(notes)
  assert.equal(9, r.signal, r.output .. r.errors)
  -- Each worker and the nursery.
  assert.equal(workers + 1, #pids)
  assert.is_true(script.gone(pids, 10))
  assert.is_true(script.left_nothing(r))
end

script.each_program(function(program)
  describe("SIGKILL of " .. program .. " ends workers", function()
    it("that run for ever", function()
      dies_alone([[
        start(3, function() begin() while true do end end)
        die()
      ]], program, 3)
    end)

    it("that are idle", function()
      dies_alone([[
        local pool = start(3, function() begin() mp.sleep(0.05) end)
        pool:wait()
        mp.sleep(0.05)
        die()
      ]], program, 3)
    end)

    it("that sleep", function()
      dies_alone([[
        start(3, function() begin() mp.sleep(1000) end)
        die()
      ]], program, 3)
    end)

    it("that are stopped", function()
      dies_alone([[
        start(3, function() begin() while true do end end)
        for pid in io.lines(notes) do os.execute("kill -STOP " .. pid) end
        die()
      ]], program, 3)
    end)

    it("that wait for a program", function()
      dies_alone([[
        start(2, function()
          begin()
          os.execute("while kill -0 " .. host .. " 2>/dev/null; do sleep 0.02; done")
          while true do end
        end)
        die()
      ]], program, 2)
    end)

    it("that read from a pipe", function()
      dies_alone([[
        start(2, function()
          begin()
          io.popen("while kill -0 " .. host .. " 2>/dev/null; do sleep 0.02; done"):read("a")
          while true do end
        end)
        die()
      ]], program, 2)
    end)

    it("that match a pattern without end", function()
      dies_alone([[
        start(2, function()
          begin()
          string.find(("a"):rep(20000), ".-.-.-.-.-.-b")
          while true do end
        end)
        die()
      ]], program, 2)
    end)

    it("of several pools, and of pools within workers", function()
      dies_alone([[
        start(1, function() begin() while true do end end)
        local pool = mp.Pool(1)
        pool:apply_async(function()
          begin()
          mp.Pool(1):apply(function() begin() while true do end end)
        end)
        while lines() < 3 do mp.sleep(0.005) end
        die()
      ]], program, 4)
    end)
  end)
end)

describe("SIGKILL of the nursery", function()
  it("costs the begun items and ends its workers; the rest runs elsewhere", function()
    local said = script.output([[
      local host = mp.getpid()
      local pool <close> = mp.Pool(2)
      local pids = {}
      local r = pool:map_async(function(i)
        mp.sleep(0.2)
        return i
      end, mp.range(8), { on_error = "collect", chunksize = 1 })
      mp.sleep(0.1)
      for child in io.lines(("/proc/%d/task/%d/children"):format(host, host), "n") do
        os.execute("kill -9 " .. child)
      end
      local results = r:get()
      local done = 0
      for i = 1, 8 do
        if results[i] == i then done = done + 1
        elseif results.errors[i].kind ~= "worker_lost" then print(results.errors[i]) end
      end
      print(done + results.failed, results.failed <= 2)
      print(#pool:map(math.abs, mp.range(100)))
    ]])
    assert.equal("8\ttrue\n100\n", said)
  end)

  it("is noticed by a host that waits for nothing else", function()
    local said = script.output([[
      local host = mp.getpid()
      local pool <close> = mp.Pool(1)
      local r = pool:apply_async(mp.sleep, { 1000 })
      mp.sleep(0.1)
      for child in io.lines(("/proc/%d/task/%d/children"):format(host, host), "n") do
        os.execute("kill -9 " .. child)
      end
      local ok, err = pcall(r.get, r)
      print(ok, err.kind)
    ]])
    assert.equal("false\tworker_lost\n", said)
  end)
end)
