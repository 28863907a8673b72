-- label: plain
-- Disks that are full, for a while or for good, by calls of the kernel that are made to fail.
local script = require "spec.support.script"

describe("a journal on a full disk", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)

  after_each(function() os.remove(path) end)

  local function run(call, when)
    local under = when and ("strace -f -o /dev/null -e trace=%s -e inject=%s:error=ENOSPC:when=%s"):format(
      call, call, when)
    return script.run([[
      local pool <close> = mp.Pool(2)
      local sleep = mp.sleep
      local ok, err = pcall(pool.map, pool, function(x) sleep(0.005) return ("x"):rep(x) end, mp.range(300),
        { journal = arg[1] })
      print(ok, ok and err.n or err.kind, not ok and err.errno == 28, not ok and #err.results)
    ]], { args = { path }, under = under })
  end

  for _, call in ipairs { "pwrite64", "fdatasync" } do
    it("goes on, and tries again: " .. call, function()
      local r = run(call, "2..3")
      assert.equal("true\t300\tfalse\tfalse\n", r.output, r.errors)
      assert.truthy(r.errors:find("No space left on device; trying again", 1, true))
      assert.equal(1, select(2, r.errors:gsub("trying again", "")))
      assert.equal("true\t300\tfalse\tfalse\n", run().output)
    end)

    it("tells in the end what it lacks, with all results: " .. call, function()
      local r = run(call, "2+")
      assert.equal("false\tsystem\ttrue\t300\n", r.output, r.errors)
      assert.equal("true\t300\tfalse\tfalse\n", run().output)
      assert.is_true(script.left_nothing(r))
    end)
  end

  it("is told at the end of a loop, and with what an apply has given", function()
    local under = "strace -f -o /dev/null -e trace=pwrite64 -e inject=pwrite64:error=ENOSPC"
    local r = script.run([[
      local pool <close> = mp.Pool(2)
      local n = 0
      local ok, err = pcall(function()
        for i, v in pool:imap(function(x) return x end, mp.range(30), { journal = arg[1] }) do n = n + v - i + 1 end
      end)
      print(n, ok, err.kind)
      ok, err = pcall(pool.apply, pool, function() return "computed", 2 end, {}, { journal = arg[1] })
      print(ok, err.kind, err.results[1], err.results[2])
      ok, err = pcall(pool.reduce, pool, function(x) return x end, math.max, { 5, 7 }, { journal = arg[1] })
      print(ok, err.kind, err.results[2])
    ]], { args = { path }, under = under })
    assert.equal("30\tfalse\tsystem\nfalse\tsystem\tcomputed\t2\nfalse\tsystem\t7\n", r.output, r.errors)
  end)

  it("tells that somebody has taken it away", function()
    for _, command in ipairs { "rm %s", "mv %s %s.moved", "truncate -s 20 %s", "rm %s; touch %s" } do
      local r = script.run([[
        local pool <close> = mp.Pool(1)
        local path, command = arg[1], arg[2]
        local sleep, run = mp.sleep, os.execute
        local ok, err = pcall(pool.map, pool, function(x)
          if x == 50 then run(command) end
          sleep(0.005)
          return x
        end, mp.range(100), { journal = path })
        print(ok, err.kind, #err.results)
      ]], { args = { path, (command:gsub("%%s", path)) } })
      assert.equal("false\tsystem\t100\n", r.output, command .. r.errors)
      os.remove(path)
      os.remove(path .. ".moved")
    end
  end)

  it("is no journal where it cannot be made", function()
    local r = script.run([[
      local pool <close> = mp.Pool(2)
      local ok, err = pcall(pool.map, pool, tostring, { 1 }, { journal = "/proc/none/x" })
      print(ok, err.kind, pool:map(tostring, { 1 })[1])
    ]])
    assert.equal("false\tsystem\t1\n", r.output, r.errors)
  end)
end)
