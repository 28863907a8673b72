-- timeout: 120
-- label: plain
-- Too little memory in a worker: an error of the task where Lua can say so, else a lost worker; the
-- host is safe either way. (Single allocations: see allocation_spec.)
local fault = require "spec.support.fault"

local HUNGRY_MAP = [[
  local results = pool:map(function(i)
    if i == 5 then
      local hoard
      while true do hoard = { hoard, ("x"):rep(100000) .. i } end
    end
    return i
  end, mp.range(20), ]]

local HUNGRY = HUNGRY_MAP .. [[{ on_error = "collect" })
  local err = results.errors[5]
  print(results.failed, err.kind, results[20])
]]

describe("a task that takes all memory", function()
  it("fails as a task where memory_limit says no", function()
    fault.says("1\ttask\t20\n", ([[
      account.pool({ processes = 2, memory_limit = 64 << 20 }, function(pool) %s end)
    ]]):format(HUNGRY))
  end)

  it("fails as a task where RLIMIT_DATA or RLIMIT_AS of the whole script says no", function()
    for _, limit in ipairs { "-d 300000", "-v 1000000" } do
      fault.says("1\ttask\t20\n", ("account.pool(2, function(pool) %s end)"):format(HUNGRY),
        { under = ([[sh -c 'ulimit %s; exec "$@"' sh]]):format(limit) })
    end
  end)

  it("is lost where the kernel kills its worker for it, as it tells by SIGKILL", function()
    -- What the OOM killer does, seen from the nursery.
    fault.says("worker_lost\t9\ttrue\t19\n", [[
      account.pool(2, function(pool)
        local results = pool:map(function(i)
          if i == 5 then os.execute("kill -9 $PPID") end
          return i
        end, mp.range(20), { on_error = "collect", chunksize = 1 })
        local err = results.errors[5]
        print(err.kind, err.signal, tostring(err):find("SIGKILL", 1, true) ~= nil, 20 - results.failed)
        return 1
      end)
    ]])
  end)
end)

describe("a worker in a memory control group that is full", function()
  -- Both versions of the interface; one in which a limit can be set will do.
  local GROUPS = {
    { path = "/sys/fs/cgroup/memory/moonpool-spec", limit = "memory.limit_in_bytes" },
    { path = "/sys/fs/cgroup/moonpool-spec", limit = "memory.max" },
  }

  local function find_group()
    for _, group in ipairs(GROUPS) do
      if os.execute(("mkdir %s 2>/dev/null"):format(group.path)) then
        if os.execute(("sh -c 'test -f %s/%s && echo 200M >%s/%s' 2>/dev/null"):format(group.path,
          group.limit, group.path, group.limit)) then
          return group
        end
        os.execute(("rmdir %s 2>/dev/null"):format(group.path))
      end
    end
  end

  it("is killed alone, and its item is lost", function()
    local group = find_group()
    if not group then return pending("no memory control groups here") end
    local ok, err = pcall(fault.says, "1\tworker_lost\t9\t20\n", ([[
      account.pool(2, function(pool)
        pool:everywhere(function()
          local file <close> = io.open("%s/cgroup.procs", "w")
          file:write(mp.getpid())
        end)
        %s{ on_error = "collect", timeout = 30 })
        local lost = results.errors[5]
        print(results.failed, lost.kind, lost.signal, results[20])
        return 1
      end)
    ]]):format(group.path, HUNGRY_MAP))
    os.execute("rmdir " .. group.path)
    assert(ok, err)
  end)
end)
