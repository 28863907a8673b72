-- What a running worker answers that is asked where it is.
local script = require "spec.support.script"

local says = script.says [[
local where = debug.getregistry()["moonpool.require"] "moonpool.inspect".where

local pool <close> = mp.Pool(2)
local flag, there = mp.Event(), mp.Event()

-- The pid of the worker that runs the item.
local function busy(item)
  while true do
    for _, worker in ipairs(pool:workers()) do
      if worker.state == "busy" and worker.item == (item or 1) then return worker.pid end
    end
    mp.sleep(0.005)
  end
end
]]

describe("where", function()
  it("gives the stack of a worker, which goes on", function()
    says("true	true	true\n1	2	3	done\n", [[
      local function inner()
        local n = 0
        there:set()
        while not flag:is_set() do n = n + 1 end
      end
      local function outer() inner() return 1, 2, 3, "done" end
      local result = pool:apply_async(outer)
      there:wait()
      local stack
      for _ = 1, 50 do -- it may be in a C function's call of Lua just then
        stack = where(busy())
        if stack:find("inner") then break end
      end
      print(stack:find("^stack traceback:\n") ~= nil, stack:find("inner") ~= nil,
        stack:find("in function <", 1, true) ~= nil)
      flag:set()
      print(result:get())
    ]])
  end)

  it("gives that of the coroutine that runs", function()
    says("true\nyes\n", [[
      local result = pool:apply_async(function()
        return coroutine.wrap(function()
          local function within()
            there:set()
            while not flag:is_set() do end
          end
          within()
          return "yes"
        end)()
      end)
      there:wait()
      local stack = where(busy())
      print(stack:find("within", 1, true) ~= nil)
      flag:set()
      print(result:get())
    ]])
  end)

  it("answers any number of times, also while it sleeps", function()
    says("100\nslept\n", [[
      local result = pool:apply_async(function()
        local from = mp.monotonic()
        mp.sleep(1)
        return mp.monotonic() - from >= 1 and "slept" or "woken"
      end)
      local pid, n = busy(), 0
      for _ = 1, 100 do n = n + (where(pid) and 1 or 0) end
      print(n)
      print(result:get())
    ]])
  end)

  it("says when a worker does not answer", function()
    says("nil	no answer within 0.2 seconds; it is in a C function, or has a hook of its own\n" ..
      "true	exit	0\nnil	idle\nnil	foreign\ntrue\n", [[
      local result = pool:apply_async(os.execute, { "sleep 1" })
      local pid = busy()
      local stack, why
      repeat stack, why = where(pid, 0.2) until not stack -- not yet there
      print(stack, why)
      print(result:get())
      stack, why = where(pid)
      print(stack, why:match("idle$"))
      print(nil, select(2, where(mp.getpid())):find("no worker of this program's pools", 1, true) and "foreign")
      local ok = pcall(where, "x")
      print(not ok)
    ]])
  end)

  it("says when the worker is stopped", function()
    says("nil	stopped\ntrue\n", [[
      local result = pool:apply_async(function() there:set() while not flag:is_set() do end return true end)
      there:wait()
      local pid = busy()
      os.execute("kill -STOP " .. pid)
      local stack, why
      repeat stack, why = where(pid, 30) until not stack -- the signal is on its way
      print(stack, why:match("stopped$"))
      os.execute("kill -CONT " .. pid)
      flag:set()
      print(result:get())
    ]])
  end)

  it("says when the worker has died meanwhile", function()
    says("nil	ended\nworker_lost\n", [[
      local result = pool:apply_async(function()
        os.execute("sleep 0.3; kill -9 $PPID")
      end)
      local pid = busy()
      local stack, why
      repeat stack, why = where(pid, 30) until not stack -- not yet there
      print(nil, why:match("ended$"))
      print(select(2, pcall(result.get, result)).kind)
    ]])
  end)

  it("harms neither time limits, nor cancels, nor what is printed", function()
    says("timeout\ncancelled\ntrue\n500500\n", [[
      local function spin() while true do end end
      local limited = pool:apply_async(spin, {}, { timeout = 0.4 })
      local pid = busy()
      for _ = 1, 50 do where(pid, 0.05) end
      print(select(2, pcall(limited.get, limited)).kind)
      local cancelled = pool:apply_async(spin)
      pid = busy()
      where(pid)
      cancelled:cancel()
      where(pid, 0.1)
      print(select(2, pcall(cancelled.get, cancelled)).kind)
      local result = pool:map_async(function(i)
        for _ = 1, 2000 do math.sin(i) end
        return i
      end, mp.range(1000))
      local answers = 0
      while not result:ready() do
        for _, worker in ipairs(pool:workers()) do
          answers = answers + (where(worker.pid, 0.05) and 1 or 0)
        end
      end
      print(answers >= 0)
      local sum = 0
      for _, v in ipairs(result:get()) do sum = sum + v end
      print(sum)
    ]])
  end)

  it("leaves a hook of the task's own alone", function()
    says("true	nil\n", [[
      local result = pool:apply_async(function()
        local n = 0
        debug.sethook(function() n = n + 1 end, "", 1000)
        there:set()
        while not flag:is_set() do end
        return n > 0 and debug.gethook() ~= nil
      end)
      there:wait()
      local stack = where(busy(), 0.3)
      flag:set()
      print(result:get(), stack)
    ]])
  end)
end)
