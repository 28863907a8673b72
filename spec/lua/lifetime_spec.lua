-- timeout: 300
-- The ends of a pool in every order, with and without work in flight, and from everywhere.
local mp = require "moonpool"
local leaks = require "spec.support.leaks"
local script = require "spec.support.script"

local function identity(x) return x end
local function spin() while true do end end

local WORK = {
  ["no work"] = function() return {} end,
  ["work that ends"] = function(pool)
    return { pool:map_async(identity, mp.range(50)), pool:apply_async(identity, { 1 }) }
  end,
  ["work that does not end"] = function(pool)
    return { pool:apply_async(spin), pool:map_async(identity, mp.range(50)) }
  end,
}

local STEPS = { "close", "terminate", "join", "wait", "poll", "apply", "map", "collect" }

-- One step; the kind of its error, if it raises one.
local function step(pool, name)
  local call = {
    join = function() return pool:join(0.01) end,
    wait = function() return pool:wait(0.01) end,
    apply = function() return pool:apply_async(identity, { 2 }) end,
    map = function() return pool:map_async(identity, { 1, 2 }) end,
    collect = function() collectgarbage() end,
  }
  local ok, err = pcall(call[name] or pool[name], pool)
  return not ok and (err.kind or err) or nil, ok and err or nil
end

local KINDS = { closed = true, state = true }

-- Runs the steps, then ends the pool: every result is done, whatever it is.
local function run(work, steps)
  local pool = mp.Pool(2)
  local results = WORK[work](pool)
  for _, name in ipairs(steps) do
    local kind, result = step(pool, name)
    assert.is_true(kind == nil or KINDS[kind], tostring(kind))
    if type(result) == "table" then results[#results + 1] = result end
  end
  pool:terminate()
  assert.is_true(pool:join(30))
  for _, result in ipairs(results) do
    assert.is_true(result:ready())
    local ok, err = pcall(result.get, result)
    assert.is_true(ok or err.kind == "cancelled")
  end
  assert.is_true(pool:join())
  pool:close()
  pool:terminate()
end

describe("a pool ends in every order of steps,", function()
  for work in pairs(WORK) do
    it("with " .. work, function()
      local before = leaks.snapshot()
      for _, a in ipairs(STEPS) do
        for _, b in ipairs(STEPS) do
          run(work, { a, b })
          if a ~= b and (a == "close" or a == "terminate") then
            for _, c in ipairs { "close", "terminate", "join" } do run(work, { a, b, c }) end
          end
        end
      end
      assert.equal("", leaks.left(before))
    end)
  end
end)

describe("a pool is ended from", function()
  local PLACES = {
    callback = [[pool:apply_async(math.abs, { 1 }, function() pool:%s() end) pool:wait(5)]],
    error_callback = [[pool:apply_async(error, { 1 }, nil, function() pool:%s() end) pool:wait(5)]],
    ["an imap loop"] = [[for i in pool:imap(math.abs, mp.range(100)) do
      if i == 3 then pool:%s() break end end]],
    ["an input"] = [[pcall(pool.map, pool, math.abs, function() pool:%s() return nil end)]],
    on_callback_error = [[
      hook = function() pool:%s() end
      pool:apply_async(math.abs, { 1 }, function() error("mine") end) pcall(pool.wait, pool, 5)]],
    progress = [[pcall(pool.map, pool, math.abs, mp.range(10), { progress = function() pool:%s() end })]],
    ["a coroutine"] = [[coroutine.wrap(function() pool:%s() end)()]],
  }
  for place, code in pairs(PLACES) do
    for _, how in ipairs { "close", "terminate" } do
      it(place .. " by " .. how, function()
        local r = script.run(([[
          local hook
          local pool = mp.Pool { processes = 2, on_callback_error = function() if hook then hook() end end }
          ]] .. code .. [[

          print(pcall(pool.apply, pool, math.abs, { 1 }))
          pool:close()
          pcall(pool.join, pool)
          print(tostring(pool))
        ]]):format(how))
        assert.equal(0, r.code, r.errors)
        assert.truthy(r.output:find("false", 1, true))
        assert.truthy(r.output:find("Pool of 2 (joined)", 1, true), r.output .. r.errors)
        assert.is_true(script.left_nothing(r))
      end)
    end
  end
end)

describe("the end of a <close> pool's block", function()
  local WAYS = {
    ["its end"] = { "", "done 5" },
    ["break"] = { "for _ = 1, 2 do local p <close> = pool break end", "done 5" },
    ["goto"] = { "goto out", "done 5" },
    ["return"] = { "do return end", "done 5" },
    ["an error"] = { "error('x')", "cancelled" },
  }
  for way, case in pairs(WAYS) do
    it("by " .. way .. " finishes or cancels what was submitted", function()
      local out = script.output(([[
        local result
        pcall(function()
          local pool <close> = mp.Pool(1)
          result = pool:apply_async(function() mp.sleep(0.1) return 5 end)
          %s
          ::out::
        end)
        local ok, v = pcall(result.get, result)
        print(ok and "done " .. v or v.kind)
      ]]):format(case[1]))
      assert.equal(case[2] .. "\n", out)
    end)
  end
end)

describe("a collected pool", function()
  local function warnings(code)
    local r = script.run(code .. [[
      pool = nil
      collectgarbage()
      collectgarbage()
    ]])
    assert.equal(0, r.code)
    assert.is_true(script.left_nothing(r))
    return select(2, r.errors:gsub("Lua warning", ""))
  end

  it("warns once, if nobody has ended it", function()
    assert.equal(1, warnings "local pool = mp.Pool(1) pool:apply(math.abs, { 1 })")
  end)

  it("does not warn when it was closed and is done, or terminated, or joined", function()
    assert.equal(0, warnings "local pool = mp.Pool(1) pool:apply(math.abs, { 1 }) pool:close()")
    assert.equal(0, warnings "local pool = mp.Pool(1) pool:apply_async(math.abs, { 1 }) pool:terminate()")
    assert.equal(0, warnings "local pool = mp.Pool(1) pool:close() pool:join()")
  end)

  it("warns when it was closed and work is lost with it", function()
    assert.equal(1, warnings "local pool = mp.Pool(1) pool:apply_async(mp.sleep, { 100 }) pool:close()")
  end)
end)

it("a pool cannot be sent, and has nothing to poll once it was joined", function()
  local pool = mp.Pool(1)
  pool:apply(identity, { 1 })
  local ok, err = pcall(pool.apply, pool, function() return pool end)
  assert.same({ false, "encode" }, { ok, err.kind })
  assert.matches("^upvalue pool of f %(.-%): cannot send it: a pool belongs to the process that made it", err.message)
  pool:close()
  pool:join()
  assert.is_false(pool:poll(0))
  assert.is_false(pool:poll(1000))
  ok, err = pcall(pool.fileno, pool)
  assert.same({ false, "closed", "fileno: the pool is closed" }, { ok, err.kind, err.message })
end)

describe("several pools at once", function()
  it("go on while one is waited for, and give their results in any order", function()
    local pools, results = {}, {}
    for i = 1, 4 do
      pools[i] = mp.Pool(i)
      results[i] = pools[i]:map_async(identity, mp.range(i * 100))
    end
    for i = 4, 1, -1 do assert.equal(i * 100, results[i]:get().n) end
    local n = 0
    for i = 1, 4 do results[i] = pools[i]:apply_async(identity, { i }) end
    for r in mp.as_completed(results) do n = n + r:get() end
    assert.equal(10, n)
    for i = 1, 4 do
      pools[i]:close()
      assert.is_true(pools[i]:join(30))
    end
  end)
end)
