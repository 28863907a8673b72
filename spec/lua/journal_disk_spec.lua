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

  it("is no journal where it cannot be made", function()
    local r = script.run([[
      local pool <close> = mp.Pool(2)
      local ok, err = pcall(pool.map, pool, tostring, { 1 }, { journal = "/proc/none/x" })
      print(ok, err.kind, pool:map(tostring, { 1 })[1])
    ]])
    assert.equal("false\tsystem\t1\n", r.output, r.errors)
  end)
end)
