-- timeout: 180
-- An item that crashes, exits or raises at each step of its way, in pools of 1, 2, 5 and 13
-- workers, with nineteen others beside it.
local fault = require "spec.support.fault"

local SIZES = { 1, 2, 5, 13 }

local ACTIONS = {
  crash = 'require("spec.crash").segv()',
  exit = "os.exit(3)",
  raise = 'error("trap")',
}

-- What makes the 7th of twenty items the one that acts: of its argument, of the work.
local PLACES = {
  ["its argument is encoded"] = { argument = "setmetatable({}, { __reduce = act })" },
  ["its argument is decoded"] = {
    argument = "setmetatable({}, { __reduce = function() return function() act() end end })",
  },
  ["it runs"] = { work = "act()" },
  ["its result is encoded"] = { work = "return setmetatable({}, { __reduce = act })" },
  ["its result is decoded"] = {
    work = "return setmetatable({}, { __reduce = function() return function() act() end end })",
  },
  ["what it has left is collected"] = { work = "setmetatable({}, { __gc = act })", collects = "collectgarbage()" },
}

-- Prints how the 7th item fared; whether all others are right; whether the pool works.
local SOURCE = [[
  local function act() %s end
  local items = {}
  for i = 1, 20 do items[i] = i end
  items[7] = %s
  for _, size in ipairs { %s } do
    account.pool(size, function(pool)
      local ok, results = pcall(pool.map, pool, function(x)
        %s
        if x == 7 then %s end
        return x
      end, items, { on_error = "collect", chunksize = 2 })
      if not ok then
        print(results)
      else
        local errors, lost, wrong = results.errors or {}, 0, 0
        for i = 1, 20 do
          lost = lost + (errors[i] and errors[i].kind == "worker_lost" and 1 or 0)
          wrong = wrong + (i ~= 7 and results[i] ~= i and not errors[i] and 1 or 0)
        end
        print(errors[7] and errors[7].kind or "none", lost, wrong)
      end
      assert(pool:map(math.abs, mp.range(100))[100] == 100)
    end)
  end
]]

local function source(action, place, sizes)
  return SOURCE:format(ACTIONS[action], place.argument or "7", sizes, place.collects or "",
    place.work or "")
end

-- In a pool of each size the 7th item gets that error, and `lost` items are lost.
local function fares(action, where, kind, lost)
  it(("%s while %s"):format(action, where), function()
    fault.says(("%s\t%d\t0\n"):format(kind, lost):rep(#SIZES),
      source(action, PLACES[where], table.concat(SIZES, ", ")))
  end)
end

-- The host runs it: it ends so, and nothing is left.
local function ends(action, where, field, value)
  it(("%s while %s"):format(action, where), function()
    for _, size in ipairs(SIZES) do
      local r = fault.run(source(action, PLACES[where], size))
      assert.equal(value, r[field], r.errors)
      assert.equal("", r.output)
    end
  end)
end

describe("an item, in pools of all sizes, may", function()
  ends("crash", "its argument is encoded", "signal", 11)
  ends("exit", "its argument is encoded", "code", 3)

  it("raise while its argument is encoded", function()
    local r = fault.run(source("raise", PLACES["its argument is encoded"], table.concat(SIZES, ", ")))
    local _, n = r.output:gsub("trap\n", "")
    assert.equal(#SIZES, n, r.output .. r.errors)
    assert.equal(0, r.code)
  end)

  fares("crash", "its argument is decoded", "worker_lost", 1)
  fares("exit", "its argument is decoded", "worker_lost", 1)
  fares("raise", "its argument is decoded", "decode", 0)

  fares("crash", "it runs", "worker_lost", 1)
  fares("exit", "it runs", "worker_lost", 1)
  fares("raise", "it runs", "task", 0)

  fares("crash", "its result is encoded", "worker_lost", 1)
  fares("exit", "its result is encoded", "worker_lost", 1)
  fares("raise", "its result is encoded", "task", 0)

  ends("crash", "its result is decoded", "signal", 11)
  ends("exit", "its result is decoded", "code", 3)
  fares("raise", "its result is decoded", "decode", 0)

  -- Whoever runs there at the time is lost with the worker; nobody is where it is collected at
  -- the worker's end.
  for _, action in ipairs { "crash", "exit" } do
    it(action .. " while what it has left is collected", function()
      local r = fault.run(source(action, PLACES["what it has left is collected"], "1, 2, 5, 13"))
      assert.equal(0, r.code, r.errors)
      local n = 0
      for lost, wrong in r.output:gmatch("%S+\t(%d+)\t(%d+)\n") do
        assert.is_true(tonumber(lost) <= 1 and wrong == "0", r.output)
        n = n + 1
      end
      assert.equal(#SIZES, n, r.output)
    end)
  end
  fares("raise", "what it has left is collected", "none", 0)
end)
