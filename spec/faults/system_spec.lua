-- timeout: 300
-- The operating system refuses: processes, descriptors, memory, anything. The call says so, nothing
-- is left, and a run that has begun goes on.
local fault = require "spec.support.fault"

local SANITIZED = (os.getenv("MOONPOOL_SANITIZE") or "") ~= ""

describe("fork that fails", function()
  it("at the k-th worker raises in the call that starts them", function()
    for k = 1, 4 do
      fault.says("system\t11\ttrue\nsystem\n", [[
        account.pool(4, function(pool)
          local sleep = mp.sleep
          local ok, err = pcall(pool.map, pool, function() sleep(0.1) end, mp.range(20))
          print(err.kind, err.errno, tostring(err):find("fork: Resource temporarily", 1, true) ~= nil)
          print(select(2, pcall(pool.apply, pool, math.abs, { 1 })).kind)
        end)
      ]], { failpoints = ("nursery.fork.before:error@%d+"):format(k) })
    end
  end)

  it("at a replacement lets the run go on with fewer workers, and is tried again", function()
    local r = fault.says("2\t98\n2\n", [[
      account.pool(2, function(pool)
        pool:start()
        pool:everywhere(math.abs, { 1 })
        local results = pool:map(function(i)
          mp.sleep(0.002)
          if i == 10 or i == 50 then os.exit(1) end
          return i
        end, mp.range(100), { on_error = "collect", chunksize = 1 })
        print(results.failed, 100 - results.failed)
        print(#account.workers(pool))
        return 2
      end)
    ]], { failpoints = "nursery.fork.before/6:error@3+" })
    assert.equal(6, r.passed)
    assert.equal(1, select(2, r.errors:gsub("a worker cannot be started", "")), r.errors)
  end)

  it("at a replacement of the only worker is waited for", function()
    fault.says("worker_lost\n7\n", [[
      account.pool(1, function(pool)
        print(select(2, pcall(pool.apply, pool, os.exit, { 1 })).kind)
        print(pool:apply(math.abs, { -7 }))
        return 1
      end)
    ]], { failpoints = "nursery.fork.before/5:error@2+" })
  end)
end)

local WORK = [[
  print("begun")
  local before = require "spec.support.leaks".snapshot()
  local ok, err = pcall(function()
    local pool <close> = mp.Pool(2)
    local results = pool:map(function(i) return ("x"):rep(i * 2000) end, mp.range(60), { chunksize = 1 })
    for i = 1, 60 do assert(#results[i] == i * 2000) end
    results = pool:map(function(i)
      if i == 5 then os.exit(1) end
      return i
    end, mp.range(20), { on_error = "collect", chunksize = 1 })
    for i = 1, 20 do assert(results[i] == i or results.errors[i].kind == (i == 5 and "worker_lost" or "system"), i) end
  end)
  print(ok or err.kind, ok and "" or err)
  print(account.left(before))
]]

-- Whatever the refusal, the work is done or says what was refused, and nothing is left.
local function is_told(r, what)
  if not r.output:find("begun", 1, true) then return end -- it did not come to our code
  local told, rest = r.output:match("^begun\n(%w+)\t.*\n([^\n]*)\n$")
  assert.is_true(r.code == 0 and (told == "true" or told == "system") and rest == "",
    ("%s: ended with %s\n%s%s"):format(what, r.code or "signal " .. r.signal, r.output, r.errors))
  return told
end

describe("too few descriptors", function()
  it("are told with the errno, whatever their number, and none is lost", function()
    local told = {}
    for n = 8, 40 do
      local r = fault.run(WORK, { under = ([[sh -c 'ulimit -n %d; exec "$@"' sh]]):format(n) })
      local how = is_told(r, n .. " descriptors")
      if how == "system" then assert.matches("Too many open files", r.output) end
      if how then told[how] = true end
    end
    assert.same({ ["true"] = true, system = true }, told)
  end)

  it("at a new nursery are waited for", function()
    fault.says("50\n", [[
      account.pool(2, function(pool)
        local crash, pid = require "spec.crash", account.workers(pool)[1]
        local nursery, files, sleep = account.parent(pid), {}, mp.sleep
        local pending = pool:map_async(function(i)
          sleep(0.01)
          return i
        end, mp.range(50), { retries = 3 })
        repeat files[#files + 1] = io.open("/dev/null") until #files > 1000 or not io.open("/dev/null")
        pcall(io.popen, "true") -- nothing is left to be had
        crash.kill(nursery, 9)
        pending:wait(0.5)
        for _, file in ipairs(files) do file:close() end
        collectgarbage()
        print(pending:get().n)
      end)
    ]], { under = [[sh -c 'ulimit -n 64; exec "$@"' sh]] })
  end)
end)

describe("memory that cannot be had", function()
  it("for arguments is an error of the call, and the pool goes on", function()
    for n = 1, 6 do
      fault.says("true\n7\n", [[
        account.pool(1, function(pool)
          pool:apply(math.abs, { 1 })
          local ok, err = pcall(pool.apply, pool, string.len, { ("x"):rep(3 << 20) })
          print(ok and err == 3 << 20 or err.kind == "system")
          print(pool:apply(math.abs, { -7 }))
        end)
      ]], { failpoints = ("region.grow/1:error@%d"):format(n + 4) })
    end
  end)

  it("for a result is that item's failure, and the worker goes on", function()
    for n = 1, 3 do
      fault.says("true\n7\n", [[
        account.pool(1, function(pool)
          pool:apply(math.abs, { 1 })
          local rep = string.rep
          local ok, err = pcall(pool.apply, pool, function() return rep("x", 3 << 20) end)
          print(ok and #err == 3 << 20 or err.kind == "system" and err.index == 1)
          print(pool:apply(math.abs, { -7 }))
        end)
      ]], { failpoints = ("result.grow/1:error@%d"):format(n) })
    end
  end)

  it("as RLIMIT_FSIZE refuses it is told as EFBIG, and no SIGXFSZ comes", function()
    fault.says("system\ttrue\nsystem\ttrue\n7\n", [[
      account.pool(1, function(pool)
        local rep = string.rep
        local ok, err = pcall(pool.apply, pool, string.len, { ("x"):rep(3 << 20) })
        print(err.kind, tostring(err):find("File too large", 1, true) ~= nil)
        ok, err = pcall(pool.apply, pool, function() return rep("x", 3 << 20) end)
        print(err.kind, tostring(err):find("File too large", 1, true) ~= nil)
        print(pool:apply(math.abs, { -7 }))
        return 0
      end)
    ]], { under = [[sh -c 'ulimit -f 2000; exec "$@"' sh]] })
  end)

  it("for results that wait is told for those only", function()
    fault.says("40\ttrue\n", [[
      account.pool(2, function(pool)
        local rep = string.rep
        local pending = pool:map_async(function(i) return rep("x", 100000 * i) end, mp.range(40),
          { on_error = "collect", chunksize = 1 })
        mp.sleep(0.3)
        local results, right = pending:get(), true
        for i = 1, 40 do
          local err = results.errors[i]
          right = right and (err and err.kind == "system" or #(results[i] or "") == 100000 * i)
        end
        print(results.n, right)
      end)
    ]], { under = [[sh -c 'ulimit -f 4000; exec "$@"' sh]] })
  end)
end)

-- Each of the calls that a pool makes fails once, at its first, second, third ... time in each
-- process.
local CALLS = {
  "clone:EAGAIN", "memfd_create:ENFILE", "memfd_create:ENOMEM", "fallocate:ENOSPC", "ftruncate:ENOSPC",
  "mmap:ENOMEM", "pipe2:EMFILE", "eventfd2:EMFILE", "epoll_create1:EMFILE", "epoll_ctl:ENOMEM",
  "timerfd_create:EMFILE", "timerfd_settime:EINVAL", "signalfd4:EMFILE", "pidfd_open:EMFILE",
  "epoll_pwait:EINTR", "poll:EINTR", "waitid:EINTR", "wait4:EINTR", "fcntl:EMFILE",
  "madvise:ENOMEM", "mprotect:ENOMEM", "prctl:EINVAL", "dup2:EMFILE",
}

local function can_trace()
  return not SANITIZED and os.execute("strace -f -o /dev/null true >/dev/null 2>&1")
end

describe("a system call that fails", function()
  for _, call in ipairs(CALLS) do
    it("(" .. call .. ") is told or made up for", function()
      if not can_trace() then return pending("processes cannot be traced here") end
      local name, code = call:match("(.*):(.*)")
      for n = 1, 60 do
        local trace = os.tmpname()
        local r = fault.run(WORK, { under = ("strace -f -qq -o %s -e trace=%s -e inject=%s:error=%s:when=%d"):format(
          trace, name, name, code, n) })
        local file <close> = io.open(trace)
        local hits = select(2, file:read("a"):gsub("INJECTED", ""))
        os.remove(trace)
        if hits == 0 then break end
        is_told(r, ("%s at %d"):format(call, n))
      end
    end)
  end
end)
