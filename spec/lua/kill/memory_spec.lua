-- timeout: 300
-- Memory that stays flat over a long run.
local script = require "spec.support.script"

-- Private memory in KiB of the script and, as a list, of its workers.
local MEASURE = [[
  local function private(pid)
    local file = io.open(("/proc/%d/smaps_rollup"):format(pid))
    local text = file and file:read("a") or ""
    if file then file:close() end
    local kib = 0
    for n in text:gmatch("Private_%a+:%s+(%d+) kB") do kib = kib + tonumber(n) end
    return kib
  end
  local function children(pid)
    local file = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
    local list = {}
    for child in file:lines("n") do list[#list + 1] = child end
    file:close()
    return list
  end
  -- Of the host, and the most of a worker; shared memory counts with nobody.
  local function measure()
    collectgarbage()
    collectgarbage()
    local most = 0
    for _, nursery in ipairs(children(mp.getpid())) do
      for _, worker in ipairs(children(nursery)) do most = math.max(most, private(worker)) end
    end
    return private(mp.getpid()), most
  end
  local function shared()
    local kib = 0
    for line in io.lines("/proc/self/smaps_rollup") do
      kib = kib + (tonumber(line:match("^Shared_%a+:%s+(%d+) kB")) or 0)
    end
    return kib
  end
  -- Garbage is no leak: a worker holds its collector back at first.
  local function tidy(pool)
    pool:map(function()
      collectgarbage()
      mp.sleep(0.05)
    end, mp.range(2), 1)
  end
  local early_host, early_worker, early_shared
  local function early(pool)
    tidy(pool)
    early_host, early_worker = measure()
    early_shared = shared()
  end
  local ALLOWANCE = 8192 -- KiB: what the allocator keeps back varies
  local function late(pool)
    tidy(pool)
    local host, worker = measure()
    assert(host > 100 and worker > 100)
    if host - early_host > ALLOWANCE then print("host", early_host, host) end
    if worker - early_worker > ALLOWANCE then print("worker", early_worker, worker) end
    if shared() - early_shared > ALLOWANCE then print("shared", early_shared, shared()) end
    print("over")
  end
]]

local function flat(body)
  assert.equal("over\n", script.output(MEASURE .. body))
end

-- Sanitizers keep what is freed.
if (os.getenv("MOONPOOL_SANITIZE") or "") ~= "" then return end

describe("memory stays flat", function()
  it("in imap_unordered over 1,000,000 items", function()
    flat([[
      local pool <close> = mp.Pool(2)
      local n = 0
      local function input()
        n = n + 1
        return n <= 1000000 and n or nil
      end
      local count, sum = 0, 0
      for _, v in pool:imap_unordered(function(x) return x + 1 end, input) do
        count = count + 1
        sum = sum + v
        if count == 100000 then early(pool) end
      end
      assert(count == 1000000 and sum == 500001500000)
      late(pool)
    ]])
  end)

  it("in imap over records, in order", function()
    flat([[
      local pool <close> = mp.Pool(2)
      local n = 0
      local function input()
        n = n + 1
        return n <= 200000 and { id = n, name = "item " .. n, tags = { "a", "b" } } or nil
      end
      for i, v in pool:imap(function(r) r.seen = true return r end, input) do
        assert(v.id == i)
        if i == 20000 then early(pool) end
      end
      late(pool)
    ]])
  end)

  it("in 100,000 apply_async in waves of 1,000 with results dropped", function()
    flat([[
      local pool <close> = mp.Pool(2)
      for wave = 1, 100 do
        for i = 1, 1000 do pool:apply_async(function(x) return { x, tostring(x) } end, { i }) end
        pool:wait()
        if wave == 10 then early(pool) end
      end
      late(pool)
    ]])
  end)

  it("in 100,000 apply_async of functions made anew", function()
    flat([[
      local pool <close> = mp.Pool(2)
      for wave = 1, 100 do
        for i = 1, 1000 do pool:apply_async(function() return i + wave end) end
        pool:wait()
        if wave == 10 then early(pool) end
      end
      late(pool)
    ]])
  end)

  it("in many maps, large and small", function()
    flat([[
      local pool <close> = mp.Pool(2)
      local big = ("x"):rep(1 << 18)
      for round = 1, 200 do
        pool:map(function(x) return x end, mp.range(1000))
        pool:map(function(s) return s .. "y" end, { big, big, big })
        pcall(pool.map, pool, function(x) error(x) end, mp.range(100))
        if round == 60 then early(pool) end
      end
      late(pool)
    ]])
  end)

  it("while workers die", function()
    flat([[
      local pool <close> = mp.Pool(2)
      for round = 1, 300 do
        pool:map(function(x) if x == 5 then os.exit(1) end return ("r"):rep(1000) end, mp.range(20),
          { on_error = "collect" })
        if round == 30 then early(pool) end
      end
      late(pool)
    ]])
  end)

  it("in iterators that are left", function()
    flat([[
      local pool <close> = mp.Pool(2)
      for round = 1, 2000 do
        local n = 0
        for i in pool:imap_unordered(function(x) return x end, function()
          n = n + 1
          return n .. ("x"):rep(1000)
        end) do
          if i > 20 then break end
        end
        if round == 200 then early(pool) end
      end
      late(pool)
    ]])
  end)
end)
