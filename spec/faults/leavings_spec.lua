-- timeout: 120
-- What a task leaves behind in its worker: the next one works; signals, hooks, standard output and
-- its item's time are set right, the rest is kept.
local fault = require "spec.support.fault"

local function says(expected, body, options)
  fault.says(expected, ("account.pool(1, function(pool) %s end)"):format(body), options)
end

describe("a task that leaves", function()
  it("a coroutine half-way harms nobody, and may go on in the next", function()
    says("1\t2\t7\n", [[
      local function step()
        half_way = half_way or coroutine.wrap(function()
          for i = 1, math.huge do coroutine.yield(i) end
        end)
        return half_way()
      end
      print(pool:apply(step), pool:apply(step), pool:apply(math.abs, { -7 }))
      return 0
    ]])
  end)

  it("a coroutine half-way in pcall, a for and a close harms nobody", function()
    says("100\n", [[
      pool:apply(function()
        local co = coroutine.create(function()
          local x <close> = setmetatable({}, { __close = function() end })
          for i in function() return 1 end do pcall(coroutine.yield, i) end
        end)
        coroutine.resume(co)
      end)
      print(pool:map(math.abs, mp.range(100)).n)
      return 0
    ]])
  end)

  it("an open file keeps it", function()
    says("written\n", [[
      local path = os.tmpname()
      pool:apply(function()
        leftover = io.open(path, "w")
        leftover:write("writ")
      end)
      pool:apply(function()
        leftover:write("ten")
        leftover:close()
      end)
      local file <close> = io.open(path)
      print(file:read("a"))
      os.remove(path)
      return 0
    ]])
  end)

  it("a hook finds it gone", function()
    says("nil\t100\n", [[
      pool:apply(function() debug.sethook(function() error("hook") end, "", 1000) end)
      print(pool:apply(function() return (debug.gethook()) end), pool:map(math.abs, mp.range(100)).n)
      return 0
    ]])
  end)

  it("a changed locale keeps it", function()
    says("1.5\t1.5\n", [[
      pool:apply(function() os.setlocale("C") end)
      print(pool:apply(function() return 1.5 end), pool:apply(tostring, { 1.5 }))
      return 0
    ]])
  end)

  it("a changed directory keeps it", function()
    says("/\t100\n", [[
      pool:apply(function() require "lfs".chdir("/") end)
      print(pool:apply(function() return (require "lfs".currentdir()) end), pool:map(math.abs, mp.range(100)).n)
      return 0
    ]])
  end)

  it("a changed signal mask and a timer finds them reset", function()
    says("0\tfalse\n", [[
      pool:apply(function()
        require "spec.signals".block()
        require "spec.signals".alarm(1000)
      end)
      print(pool:apply(function() return require "spec.signals".blocked() end),
        pool:apply(function() return require "spec.signals".running() end))
      return 0
    ]])
  end)

  it("globals, changed libraries and a stopped collector keeps them", function()
    says("5\tmine\tfalse\t100\n", [[
      pool:apply(function()
        left_global = 5
        string.mine = "mine"
        collectgarbage("stop")
      end)
      print(pool:apply(function() return left_global end), pool:apply(function() return string.mine end),
        pool:apply(function() return collectgarbage("isrunning") end), pool:map(math.abs, mp.range(100)).n)
      return 0
    ]])
  end)

  it("broken globals harms itself only, for functions that use them", function()
    says("task\t100\n", [[
      pool:apply(function() string.format = nil print = nil error = nil pcall = nil end)
      local ok, err = pcall(pool.apply, pool, function() return string.format("%d", 1) end)
      print(err.kind, pool:map(math.abs, mp.range(100)).n)
      return 0
    ]])
  end)

  it("standard output closed, as far as Lua closes it, lets the next ones print", function()
    says("one\nsee\ttrue\n", [[
      pool:apply(function() io.stdout:close() end)
      pool:apply(print, { "one" })
      print("see", (pcall(pool.apply, pool, function() return 1 end)))
      return 0
    ]])
  end)

  it("another output file as the default keeps it", function()
    says("100\n", [[
      local path = os.tmpname()
      pool:apply(function() io.output(path) io.write("there") io.output():flush() end)
      local n = pool:map(math.abs, mp.range(100)).n
      local file = io.open(path)
      assert(file:read("a") == "there")
      file:close()
      os.remove(path)
      print(n)
      return 0
    ]])
  end)

  it("the descriptors 0, 1 and 2 closed lets the next ones work", function()
    says("100\ttrue\n", [[
      pool:apply(function() for fd = 0, 2 do require "spec.crash".close(fd) end end)
      local results = pool:map(math.abs, mp.range(100))
      print(results.n, pool:apply(function() return ("x"):rep(3000000) end) == ("x"):rep(3000000))
      return 0
    ]])
  end)
end)

describe("standard output that is", function()
  local PRINTS = [[
    account.pool(2, function(pool)
      local results = pool:map(function(i)
        local ok = io.write(("x"):rep(10000), i, "\n") and io.stdout:flush()
        return ok and "written" or "refused"
      end, mp.range(50), { on_error = "collect" })
      local file = io.open(arg[1], "w")
      file:write(results.n, " ", results.failed, " ", results[50], " ", pool:map(math.abs, mp.range(10)).n)
      file:close()
      return 0
    end)
  ]]

  local function writes(under, expected)
    local path = os.tmpname()
    local r = fault.run(PRINTS, { args = { path }, under = under })
    local file <close> = io.open(path)
    local said = file:read("a")
    os.remove(path)
    assert.equal(0, r.code, r.errors)
    assert.equal(expected, said)
  end

  it("a broken pipe kills nobody; the write is refused", function()
    writes([[bash -c '"$@" | true; exit ${PIPESTATUS[0]}' bash]], "50 0 refused 10")
  end)

  it("closed kills nobody; the write is refused", function()
    writes([[sh -c 'exec "$@" >&-' sh]], "50 0 refused 10")
  end)

  it("full kills nobody; the write is refused", function()
    writes([[sh -c 'exec "$@" >/dev/full' sh]], "50 0 refused 10")
  end)
end)

describe("a clock that jumps", function()
  it("is read for dates that are told alone: nothing else asks for it", function()
    local clocks = "CLOCK_REALTIME|gettimeofday|[^_a-z]time\\(NULL|TIME_UTC|os\\.time|os\\.date"
    local sources = io.popen("grep -rnE '" .. clocks .. "' src lua --include=*.c --include=*.h --include=*.lua")
    local found = {}
    for line in sources:lines() do found[#found + 1] = line:match("^([^:]*):") end
    sources:close()
    table.sort(found)
    assert.same({ "lua/moonpool/commands/journal.lua", "lua/moonpool/commands/top.lua",
      "src/base/clock.c" }, found)
    -- Nor does what the C library waits with: only clocks of ours, and no timed lock.
    local waits = io.popen([[grep -rnE 'pthread_(mutex|cond)_timed|sem_timedwait|FUTEX_CLOCK_REALTIME' src]])
    assert.equal("", waits:read("a"))
    waits:close()
  end)
end)
