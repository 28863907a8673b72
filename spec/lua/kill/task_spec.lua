-- timeout: 300
-- What items have saved when their worker dies: what an attempt finds is never older than what the
-- one before had saved, as it has written down itself behind each save.
local lfs = require "lfs"
local script = require "spec.support.script"

local TOOLS = [[
  local directory, killed = arg[1], arg[2]
  local function die() os.execute("kill -9 " .. mp.getpid()) end
  -- The last number that item i has written down.
  local function noted(i)
    local file <close> = io.open(directory .. "/" .. i)
    local text = file and file:read("a") or ""
    return tonumber(text:match("(%d+)\n$") or 0)
  end
  local function padding(i, n) return ("%d "):format(n):rep(i % 25 == 0 and 300000 or i % 5 == 0 and 30000 or i % 7) end
  -- Counts to `last` in a state, across attempts; how often it found one that cannot be.
  local function count(i, last, pause)
    local t = mp.task()
    local s, wrong = t:saved() or { n = 0, wrong = 0 }, 0
    local before = noted(i)
    wrong = s.wrong
    if s.n < before or s.n > before + 1 or (s.n > 0 and (s.i ~= i or s.text ~= padding(i, s.n))) then
      wrong = wrong + 1
    end
    local file <close> = assert(io.open(directory .. "/" .. i, "a"))
    file:setvbuf("no")
    file:write(s.n .. "\n") -- at once, or not at all
    for n = s.n + 1, last do
      t:save { n = n, i = i, text = padding(i, n), wrong = wrong }
      file:write(n .. "\n")
      if pause then mp.sleep(pause) end
    end
    return { t:saved().n, wrong, t.attempt }
  end
  local function check(results, n, last)
    local wrong, attempts = 0, 0
    for i = 1, n do
      local r = results[i]
      if r[1] ~= last or r[2] ~= 0 then wrong = wrong + 1 end
      attempts = attempts + r[3]
    end
    return wrong, attempts
  end
]]

local function with_directory(f)
  local directory, killed = script.temporary(), script.temporary()
  os.remove(directory)
  assert(lfs.mkdir(directory))
  f(directory, killed)
  for entry in lfs.dir(directory) do os.remove(directory .. "/" .. entry) end
  lfs.rmdir(directory)
  os.remove(killed)
end

local function says(expected, body, under)
  with_directory(function(directory, killed)
    local r = script.run(TOOLS .. body, { args = { directory, killed },
      under = under and ("env MOONPOOL_FAILPOINT_DIR=%s MOONPOOL_FAILPOINTS=%s"):format(directory, under) })
    assert.equal(expected, r.output, r.errors)
    assert.equal(0, r.code)
    assert.is_true(script.left_nothing(r))
  end)
end

describe("a saved state", function()
  it("is there when the worker dies at the next instruction, and at any before", function()
    for _, at in ipairs { "state.saved", "state.encoded", "result.write", "result.published" } do
      for _, n in ipairs { 1, 2, 7 } do
        says("0\ttrue\n", [[
          local pool <close> = mp.Pool(2)
          local wrong, attempts = check(pool:map(function(i) return count(i, 20) end, mp.range(12),
            { retries = 20, chunksize = 3 }), 12, 20)
          print(wrong, attempts > 12)
        ]], ("%s/9:kill@%d"):format(at, n))
      end
    end
  end)

  it("that had no room in the ring's last page is there all the same", function()
    says("0\ttrue\n", [[
      local pool <close> = mp.Pool(2)
      local wrong, attempts = check(pool:map(function(i) return count(25 * i, 30) end, mp.range(4),
        { retries = 20 }), 4, 30)
      print(wrong, attempts > 4)
    ]], "spill.write/6:kill@3")
  end)

  it("survives kills at random, in any form of call", function()
    says("0\t0\ttrue\n", [[
      local pool <close> = mp.Pool(3)
      local killer = io.popen(("exec %s/spec/killer %d 25 4 %s"):format(os.getenv("MOONPOOL_BUILD"),
        mp.getpid(), killed))
      local wrong, attempts = check(pool:map(function(i) return count(i, 60, 0.001) end, mp.range(60),
        { retries = 1000 }), 60, 60)
      local streamed = {}
      for i, v in pool:imap_unordered(function(i) return count(i + 100, 30, 0.001) end, mp.range(60),
        { retries = 1000, duplicate = false }) do
        streamed[i] = v
      end
      local late, more = check(streamed, 60, 30)
      killer:close()
      print(wrong, late, attempts + more > 125)
    ]])
  end)

  it("survives kills while the host is busy elsewhere", function()
    says("0\ttrue\n", [[
      local pool <close> = mp.Pool(3)
      local pending = pool:map_async(function(i) return count(5 * i, 400) end, mp.range(6),
        { retries = 1000 })
      local killer = io.popen(("exec %s/spec/killer %d 60 3 %s"):format(os.getenv("MOONPOOL_BUILD"),
        mp.getpid(), killed))
      os.execute("sleep 1.5")
      local wrong, attempts = check(pending:get(), 6, 400)
      killer:close()
      print(wrong, attempts > 6)
    ]])
  end)

  it("survives the nursery", function()
    says("0\ttrue\n", [[
      local pool <close> = mp.Pool(2)
      local pending = pool:map_async(function(i) return count(i, 300, 0.001) end, mp.range(4),
        { retries = 100 })
      for _ = 1, 4 do
        pool:wait(0.1)
        local nursery = io.open(("/proc/%d/stat"):format(pool:workers()[1].pid)):read("a"):match("%) %a (%d+)")
        os.execute("kill -9 " .. nursery)
      end
      local wrong, attempts = check(pending:get(), 4, 300)
      print(wrong, attempts > 4)
    ]])
  end)

  it("survives time limits, those that kill too", function()
    says("0\ttrue\n0\ttrue\n", [[
      local pool <close> = mp.Pool(2)
      local function run(f)
        local wrong, attempts = check(pool:map(f, mp.range(2), { retries = 100, timeout = 0.3 }), 2, 40)
        print(wrong, attempts > 2)
      end
      run(function(i) return count(i, 40, 0.02) end)
      run(function(i)
        if (mp.task():saved() or { n = 0 }).n < 5 then
          local t = mp.task()
          t:save { n = t.attempt * 3, i = i + 100, text = padding(i + 100, t.attempt * 3), wrong = 0 }
          io.open(directory .. "/" .. i + 100, "a"):write(t.attempt * 3 .. "\n"):close()
          os.execute("sleep 5")
        end
        return count(i + 100, 40)
      end)
    ]])
  end)

  it("finds memory again, or its item fails and no other", function()
    for n = 1, 4 do
      with_directory(function(directory)
        local r = script.run([[
          local pool <close> = mp.Pool(1)
          local meta = { __reduce = function(self)
            local ok, err = pcall(function() mp.task():save(("s"):rep(300000)) end)
            if not ok and err.kind ~= "system" then error(err) end
            return function() return "made" end
          end }
          local good = true
          for _ = 1, 4 do
            local ok, a, b, c = pcall(pool.apply, pool, function()
              return ("h"):rep(500000), setmetatable({}, meta), ("t"):rep(500000)
            end)
            if ok then
              good = good and a == ("h"):rep(500000) and b == "made" and c == ("t"):rep(500000)
            else
              good = good and a.kind == "system"
            end
          end
          print(good, pool:apply(function() return mp.task():saved() end))
        ]], { under = ("env MOONPOOL_FAILPOINT_DIR=%s MOONPOOL_FAILPOINTS=result.grow:error@%d"):format(
          directory, n) })
        assert.equal("true\tnil\n", r.output, r.errors)
        assert.is_true(script.left_nothing(r))
      end)
    end
  end)
end)
