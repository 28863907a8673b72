-- timeout: 120
-- Ctrl-C: SIGINT to the script and all its workers, as a terminal gives it.
local script = require "spec.support.script"

-- `interrupt()` sends it; the first item calls it, so that it comes in the midst of the
-- work, and once: a second one ends the process.
-- The script's first line is its whole frame, so that lines count from the body's first.
local FRAME = [[
  local host = mp.getpid()
  local function interrupt()
    io.popen("kill -INT -" .. host):close()
  end
  local function strike(i)
    if i == nil or i == 1 then interrupt() end
    while true do end
  end
  local pool = mp.Pool(2)
]]

local function interrupted(body, program)
  local r = script.run(FRAME:gsub("\n", " ") .. body, { program = program })
  assert.is_true(r.code ~= 0 or r.signal == 2, "went on")
  assert.matches("interrupted!", r.errors)
  assert.matches("stack traceback:", r.errors)
  -- That of the script, none of workers (a coroutine's is told beside its own).
  assert.equal(1, select(2, r.errors:gsub("%f[%a]stack traceback:", ""))
    - select(2, r.errors:gsub("coroutine stack traceback:", "")), r.errors)
  assert.is_nil(r.output:find("behind", 1, true), "went on")
  assert.is_true(script.left_nothing(r))
  return r
end

script.each_program(function(program)
  describe("Ctrl-C in " .. program .. " ends", function()
    it("map", function()
      local r = interrupted("\n\npool:map(strike, { 1, 2, 3, 4 })\nprint('behind')", program)
      assert.is_truthy(r.errors:find(r.path .. ":3: in main chunk", 1, true), r.errors)
    end)

    it("get", function()
      local r = interrupted("local r = pool:apply_async(strike)\nr:get()\nprint('behind')", program)
      assert.is_truthy(r.errors:find(r.path .. ":2: in main chunk", 1, true), r.errors)
    end)

    it("wait", function()
      interrupted("pool:apply_async(strike) pool:wait() print('behind')", program)
    end)

    it("join", function()
      interrupted("pool:apply_async(strike) pool:close() pool:join() print('behind')", program)
    end)

    it("imap", function()
      interrupted("for i in pool:imap(strike, { 1, 2, 3 }) do print('behind') end", program)
      interrupted("local n = 0 for i in pool:imap_unordered(strike, function() n = n + 1 " ..
        "return n end) do end " ..
        "print('behind')", program)
    end)

    it("a wait with a time limit", function()
      interrupted("local r = pool:apply_async(strike) r:wait(1000) print('behind')", program)
      interrupted("pool:apply_async(strike) pool:poll(1000) pool:poll(1000) print('behind')", program)
    end)

    it("sleep", function()
      interrupted("pool:apply_async(strike) mp.sleep(1000) print('behind')", program)
    end)

    it("a loop between two calls", function()
      interrupted("pool:apply_async(strike) while true do end", program)
    end)

    it("a pool's block, which is left by an error", function()
      interrupted("do local own <close> = mp.Pool(1) own:apply(strike) end print('behind')", program)
    end)

    it("the end of a pool's block", function()
      interrupted("do local own <close> = mp.Pool(1) own:apply_async(strike) end print('behind')",
        program)
    end)
  end)
end)

describe("Ctrl-C in a callback", function()
  it("ends moonpool's script", function()
    interrupted("pool:apply_async(math.abs, {1}, function() interrupt() while true do end end) " ..
      "pool:wait() print('behind')", "moonpool")
    interrupted("pool:apply_async(math.abs, {1}, function() interrupt() mp.sleep(1000) end) " ..
      "pool:wait() print('behind')", "moonpool")
  end)

  it("ends stock lua5.4's script", function()
    interrupted("pool:apply_async(math.abs, {1}, function() interrupt() while true do end end) " ..
      "pool:wait() print('behind')", "stock")
    interrupted("pool:apply_async(math.abs, {1}, function() interrupt() mp.sleep(1000) end) " ..
      "pool:wait() print('behind')", "stock")
  end)
end)

describe("Ctrl-C in a coroutine", function()
  it("ends moonpool's script in map, get and a loop", function()
    interrupted("coroutine.wrap(function() pool:map(strike, {1, 2}) end)() print('behind')",
      "moonpool")
    interrupted("print(coroutine.resume(coroutine.create(function() pool:apply(strike) end))) " ..
      "print('behind')", "moonpool")
    interrupted("coroutine.wrap(function() pool:apply_async(strike) while true do end end)() " ..
      "print('behind')", "moonpool")
  end)

  it("ends stock lua5.4's script in map and get", function()
    interrupted("coroutine.wrap(function() pool:map(strike, {1, 2}) end)() print('behind')", "stock")
    interrupted("coroutine.wrap(function() pool:apply(strike) end)() print('behind')", "stock")
    interrupted("coroutine.wrap(function() pool:apply_async(strike) mp.sleep(1000) end)() " ..
      "print('behind')", "stock")
  end)
end)

describe("an interrupt that the script catches", function()
  it("leaves a pool that goes on", function()
    local r = script.run([[
      local host = mp.getpid()
      local pool <close> = mp.Pool(2)
      local ok, err = pcall(pool.apply, pool, function()
        io.popen("kill -INT -" .. host):close()
        mp.sleep(0.3)
        return 7
      end)
      print(ok, err)
      print(#pool:map(math.abs, mp.range(100)))
      print(pool:wait())
    ]])
    assert.equal("", r.errors)
    assert.matches("^false\t.*interrupted!\n100\ntrue\n$", r.output)
  end)

  it("does not reach workers that ignore it", function()
    local said = script.output([[
      local host = mp.getpid()
      local pool <close> = mp.Pool(2)
      print(pool:apply(function()
        for child in io.lines(("/proc/%d/task/%d/children"):format(host, host), "n") do
          local workers = io.open(("/proc/%d/task/%d/children"):format(child, child)):read("a")
          os.execute("kill -INT " .. workers)
        end
        local n = 0
        for i = 1, 1000 do n = n + i end
        return n
      end))
    ]])
    assert.equal("500500\n", said)
  end)
end)
