-- timeout: 300
-- Death at each named place of the data path, early and late.
local lfs = require "lfs"
local script = require "spec.support.script"

local SOURCE = [[
  local directory, most = arg[1], tonumber(arg[2])
  local function kills()
    local list = io.popen("ls " .. directory)
    local n = select(2, list:read("a"):gsub("\n", ""))
    list:close()
    return n
  end
  local function value(i)
    if i % 100 == 0 then return ("%d "):format(i):rep(1 << 20) end
    return i % 40 == 0 and ("%d "):format(i):rep(50000) or "value " .. i
  end
  local pool <close> = mp.Pool(3)
  local pids, failed, wrong = {}, 0, 0
  local function take(i, got, err)
    if err then
      failed = failed + 1
      if err.kind ~= "worker_lost" or err.index ~= i or pids[err.pid] then
        wrong = wrong + 1
        print(i, err)
      end
      pids[err.pid] = true
    elseif got ~= value(i) then
      wrong = wrong + 1
      print(i, got)
    end
  end
  local results = pool:map(value, mp.range(400), { on_error = "collect" })
  for i = 1, 400 do take(i, results[i], results.errors[i]) end
  local seen = 0
  for i, got, err in pool:imap_unordered(value, mp.range(300), { on_error = "collect" }) do
    seen = seen + 1
    take(i, got, err)
  end
  for i = 1, 30 do
    local r = pool:apply_async(value, { i })
    local ok, got = pcall(r.get, r)
    take(ok and i or 1, ok and got, not ok and got or nil)
  end
  print(results.n, seen, wrong, failed <= kills() * most, kills() > 0)
]]

-- Dies at the n-th passage of each process that comes there, `budget` times in all; each
-- death costs at most `most` items.
local function survives(place, action, n, budget, most)
  local directory = script.temporary()
  os.remove(directory)
  assert(lfs.mkdir(directory))
  local r = script.run(SOURCE, { args = { directory, most },
    under = ("env MOONPOOL_FAILPOINTS=%s/%d:%s@%d MOONPOOL_FAILPOINT_DIR=%s"):format(place, budget,
      action, n, directory) })
  for entry in lfs.dir(directory) do os.remove(directory .. "/" .. entry) end
  lfs.rmdir(directory)
  assert.equal("400\t300\t0\ttrue\ttrue\n", r.output, ("%s at %d\n%s"):format(place, n, r.errors))
  assert.equal(0, r.code)
  assert.is_true(script.left_nothing(r))
end

describe("death of a worker", function()
  for _, place in ipairs { "claim.before", "claim.after", "claim.recorded", "claim.noted", "item.begun",
    "result.before", "result.write", "result.published", "result.after", "batch.done" } do
    it("at " .. place .. " costs one item", function()
      for _, n in ipairs { 1, 2, 5, 15 } do survives(place, "kill", n, 4, 1) end
    end)
  end

  it("at spill.write costs one item", function()
    survives("spill.write", "kill", 1, 1, 1)
    survives("spill.write", "kill", 1, 3, 1)
  end)

  it("at worker.start costs none", function() survives("worker.start", "kill", 1, 2, 0) end)

  it("by other means costs one item, too", function()
    survives("item.begun", "segv", 3, 3, 1)
    survives("result.write", "exit", 3, 3, 1)
    survives("claim.after", "abort", 3, 3, 1)
  end)
end)

describe("death of the nursery", function()
  it("after a fork costs what was begun", function() survives("nursery.fork.after", "kill", 2, 2, 3) end)

  for _, place in ipairs { "nursery.bury", "nursery.log", "nursery.logged" } do
    it("at " .. place .. " costs what was begun", function()
      local directory = script.temporary()
      os.remove(directory)
      assert(lfs.mkdir(directory))
      local r = script.run([[
        local pool <close> = mp.Pool(3)
        local results = pool:map(function(i)
          if i % 50 == 0 then os.exit(1) end
          return i
        end, mp.range(400), { on_error = "collect" })
        local right = true
        for i = 1, 400 do right = right and (results[i] == i or results.errors[i].kind == "worker_lost") end
        print(right, results.failed <= 8 + 3 * 3)
        print(#pool:map(math.abs, mp.range(100)))
      ]], { under = ("env MOONPOOL_FAILPOINTS=%s/3:kill@1 MOONPOOL_FAILPOINT_DIR=%s"):format(place,
        directory) })
      local deaths = 0
      for entry in lfs.dir(directory) do
        if os.remove(directory .. "/" .. entry) then deaths = deaths + 1 end
      end
      lfs.rmdir(directory)
      assert.equal("true\ttrue\n100\n", r.output, r.errors)
      assert.is_true(deaths > 0)
      assert.is_true(script.left_nothing(r))
    end)
  end
end)

describe("a slow worker", function()
  it("anywhere delays the others by nothing but its own", function()
    for _, place in ipairs { "claim.after", "claim.recorded", "result.write", "result.published" } do
      assert.equal("1000\ttrue\n", script.output([[
        local pool <close> = mp.Pool(2)
        local results, right = pool:map(function(x) return -x end, mp.range(1000)), true
        for i = 1, 1000 do right = right and results[i] == -i end
        print(results.n, right)
      ]], { under = ("env MOONPOOL_FAILPOINTS=%s:delay=50@2"):format(place) }))
    end
  end)
end)
