-- timeout: 120
-- What mp.run has started ends with its item, and with whoever waits for it.
local script = require "spec.support.script"

-- The program is a shell with two children, all of which note their pids in the file arg[1].
local FRAME = [[
  local notes = arg[1]
  local tree = ("(echo $$ >> %s; sleep 1000) & sh -c 'echo $$ >> %s; sleep 1000' & echo $$ >> %s; wait")
    :format(notes, notes, notes)
  local all_noted = ("while [ $(wc -l < %s) -lt 3 ]; do sleep 0.01; done"):format(notes)
  local function lines()
    local n = 0
    local file = io.open(notes)
    for _ in file:lines() do n = n + 1 end
    file:close()
    return n
  end
  local function until_noted(n)
    while lines() < n do mp.sleep(0.005) end
  end
  local function live()
    local n = 0
    for pid in io.lines(notes) do
      local file = io.open("/proc/" .. pid .. "/stat")
      if file then
        local stat = file:read("a") or ") X"
        if not stat:find("%) [ZX]") then n = n + 1 end
        file:close()
      end
    end
    return n
  end
  local function soon_none()
    for _ = 1, 400 do
      if live() == 0 then return true end
      mp.sleep(0.005)
    end
    return false
  end
]]

local function run(body)
  local notes = script.temporary()
  local r = script.run((FRAME .. body):gsub("\n", " "), { args = { notes } })
  r.pids = {}
  for line in io.lines(notes) do r.pids[#r.pids + 1] = tonumber(line) end
  os.remove(notes)
  return r
end

local function ends_all(body, expected)
  local r = run(body)
  if expected then assert.equal(expected, r.output, r.errors) end
  assert.is_true(#r.pids >= 2)
  assert.is_true(script.gone(r.pids, 10))
  assert.is_true(script.left_nothing(r))
  return r
end

describe("what run has started ends", function()
  it("when its item's time is over", function()
    ends_all([[
      local pool <close> = mp.Pool(1)
      local ok, err = pcall(pool.apply, pool, mp.run, { tree }, { timeout = 1 })
      print(ok, err.kind, soon_none())
    ]], "false\ttimeout\ttrue\n")
  end)

  it("when its item is cancelled", function()
    ends_all([[
      local pool <close> = mp.Pool(1)
      local pending = pool:apply_async(mp.run, { tree })
      until_noted(3)
      print(pending:cancel(), soon_none())
    ]], "true\ttrue\n")
  end)

  it("when its worker is killed", function()
    ends_all([[
      local pool <close> = mp.Pool(1)
      local pid = pool:apply(mp.getpid)
      local pending = pool:apply_async(mp.run, { tree })
      until_noted(3)
      os.execute("kill -9 " .. pid)
      local ok, err = pcall(pending.get, pending)
      print(ok, err.kind, soon_none())
    ]], "false\tworker_lost\ttrue\n")
  end)

  it("when the pool is terminated", function()
    ends_all([[
      local pool = mp.Pool(2)
      pool:map_async(mp.run, { tree, tree })
      until_noted(6)
      pool:terminate()
      pool:join()
      print(soon_none())
    ]], "true\n")
  end)

  it("when the host is killed, in a task and in the script itself", function()
    local r = ends_all [[
      local pool = mp.Pool(1)
      pool:apply_async(mp.run, { tree })
      until_noted(3)
      mp.run(tree:sub(1, -5) .. "kill -9 " .. mp.getpid() .. "; wait")
    ]]
    assert.equal(9, r.signal)
  end)

  it("when the host is stopped by Ctrl-C", function()
    local r = ends_all [[
      os.execute(("(sleep 1; kill -INT -%d) &"):format(mp.getpid()))
      mp.run(tree)
    ]]
    assert.is_not.equal(0, r.code)
    assert.matches("interrupted!", r.errors)
  end)

  it("when it was left in the background, with its item", function()
    ends_all([[
      local pool <close> = mp.Pool(1)
      local background = "(" .. tree .. ") >/dev/null 2>&1 & " .. all_noted
      print(pool:apply(function(line)
        local r = mp.run(line)
        return r.exitcode
      end, { background }), soon_none())
    ]], "0\ttrue\n")
  end)

  it("when it was left in the background, with the script", function()
    ends_all([[
      print(mp.run("(" .. tree .. ") >/dev/null 2>&1 & " .. all_noted).exitcode, live() > 0)
    ]], "0\ttrue\n")
  end)

  it("though it blocks and ignores what can be blocked and ignored", function()
    ends_all([[
      local pool <close> = mp.Pool(1)
      local deaf = "trap '' HUP INT TERM; " .. tree
      local ok, err = pcall(pool.apply, pool, mp.run, { deaf }, { timeout = 1 })
      print(ok, err.kind, soon_none())
    ]], "false\ttimeout\ttrue\n")
  end)
end)

describe("a program that writes for ever", function()
  it("does not keep its item from ending", function()
    local r = script.run [[
      local pool <close> = mp.Pool(1)
      local ok, err = pcall(pool.apply, pool, mp.run, { { "yes" } }, { timeout = 0.2 })
      print(ok, err.kind)
    ]]
    assert.equal("false\ttimeout\n", r.output, r.errors)
    assert.is_true(script.left_nothing(r))
  end)
end)

describe("a program that cannot be started", function()
  it("is an error of the system, and leaves nothing", function()
    local r = script.run([[
      local leaks = require "spec.support.leaks"
      local before = leaks.snapshot()
      local ok, err = pcall(mp.run, "true")
      print(ok, err.kind, err.errno, leaks.left(before))
      print(mp.run("true").exitcode)
    ]], { under = "env MOONPOOL_FAILPOINTS=command.start:error" })
    assert.equal("false\tsystem\t11\t\n0\n", r.output, r.errors)
  end)
end)
