-- timeout: 120
-- What CPython's _TestProcess and _TestSubclassingProcess ask of a Process
-- (Lib/test/_test_multiprocessing.py), in Lua's form.
local script = require "spec.support.script"

-- Processes tell each other by files: `tell(path, value)`, and `heard(path)` waits for one.
local TOOLS = [[
  local paths = {}
  local function place()
    local path = os.tmpname()
    os.remove(path)
    paths[#paths + 1] = path
    return path
  end
  local function tell(path, ...)
    local file = assert(io.open(path .. ".new", "w"))
    file:write(table.concat({ ... }, " "))
    file:close()
    os.rename(path .. ".new", path)
  end
  local function heard(path)
    for _ = 1, 5000 do
      local file = io.open(path)
      if file then
        local text = file:read("a")
        file:close()
        return text
      end
      mp.sleep(0.002)
    end
    error("nothing was told")
  end
  local function is_among(process, list)
    for _, other in ipairs(list) do
      if other == process then return true end
    end
    return false
  end
  local function refuses(kind, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok and err.kind == kind, tostring(err))
  end
]]

local function passes(body)
  script.each_program(function(program)
    local said = script.output(TOOLS .. body
      .. " for _, path in ipairs(paths) do os.remove(path) end print 'passed'", { program = program })
    assert.equal("passed\n", said)
  end)
end

describe("a process", function()
  it("knows itself (test_current)", function()
    passes [[
      local current = mp.current_process()
      assert(current:is_alive() and not current.daemon and current.name == "MainProcess")
      assert(current.pid == mp.getpid() and current.exitcode == nil)
      assert(current == mp.current_process())
      refuses("state", current.join, current)
    ]]
  end)

  it("gets any sequence of arguments (test_args_argument)", function()
    passes [[
      for _, args in ipairs { { 1 }, { 1, nil, 3, n = 3 }, {} } do
        local path = place()
        local p = mp.Process{ target = function(...) tell(path, select("#", ...), tostring((...))) end, args = args }
        p:start()
        p:join()
        assert(heard(path) == (args.n or #args) .. " " .. tostring(args[1]), heard(path))
        assert(p.exitcode == 0)
      end
    ]]
  end)

  it("is a daemon when told so (test_daemon_argument)", function()
    passes [[
      assert(mp.Process{ target = print }.daemon == mp.current_process().daemon)
      assert(mp.Process{ target = print, daemon = true }.daemon == true)
      assert(mp.Process{ target = print, daemon = false }.daemon == false)
    ]]
  end)

  it("lives from start to join (test_process)", function()
    passes [[
      local path = place()
      local p = mp.Process{ args = { 1, 2 }, name = "SomeProcess", daemon = true, target = function(...)
        local current = mp.current_process()
        tell(path, ..., current.name, tostring(current.daemon), current.pid, current.pid == mp.getpid() and "own")
      end }
      assert(not p:is_alive() and p.daemon and not is_among(p, mp.active_children()))
      assert(type(mp.active_children()) == "table" and p.exitcode == nil)
      local held = place()
      p.run = function(self)
        getmetatable(self).__index(self, "run")(self)
        heard(held)
      end
      p:start()
      assert(p.exitcode == nil and p:is_alive() and is_among(p, mp.active_children()))
      assert(heard(path) == ("1 SomeProcess true %d own"):format(p.pid), heard(path))
      tell(held, "go")
      assert(p:join() == true)
      assert(p.exitcode == 0 and not p:is_alive() and not is_among(p, mp.active_children()))
    ]]
  end)

  for name, signal in pairs { terminate = 15, kill = 9 } do
    it(("ends by %s (test_%s)"):format(name, name), function()
      passes(([[
        local p = mp.Process{ target = mp.sleep, args = { 100 }, daemon = true }
        p:start()
        assert(p:is_alive() and is_among(p, mp.active_children()) and p.exitcode == nil)
        local start = mp.monotonic()
        assert(p:join(0) == false and p:join(-1) == false and mp.monotonic() - start < 1)
        assert(p:is_alive())
        mp.sleep(0.05)
        p:%s()
        assert(p:join() == true and mp.monotonic() - start < 5)
        assert(not p:is_alive() and not is_among(p, mp.active_children()))
        p:join()
        p:%s()
        assert(p.exitcode == -%d)
      ]]):format(name, name, signal))
    end)
  end

  it("counts processors (test_cpu_count)", function()
    passes [[ assert(mp.cpu_count() >= 1 and math.type(mp.cpu_count()) == "integer") ]]
  end)

  it("is among the active children while it runs (test_active_children)", function()
    passes [[
      local held = place()
      local p = mp.Process{ target = heard, args = { held } }
      assert(not is_among(p, mp.active_children()))
      p.daemon = true
      p:start()
      assert(is_among(p, mp.active_children()))
      tell(held, "go")
      p:join()
      assert(not is_among(p, mp.active_children()) and #mp.active_children() == 0)
    ]]
  end)

  it("has children of its own (test_recursion)", function()
    passes [[
      local path = place()
      local function grow(id)
        local file = io.open(path, "a")
        file:write("[", id, "]")
        file:close()
        if #id < 2 then
          for i = 0, 1 do
            local p = mp.Process{ target = grow, args = { id .. i } }
            p:start()
            p:join()
          end
        end
      end
      grow("")
      assert(heard(path) == "[][0][00][01][1][10][11]", heard(path))
    ]]
  end)

  it("has a sentinel (test_sentinel)", function()
    passes [[
      local held = place()
      local p = mp.Process{ target = heard, args = { held } }
      refuses("state", function() return p.sentinel end)
      p:start()
      assert(math.type(p.sentinel) == "integer")
      assert(#mp.wait({ p }, 0) == 0)
      tell(held, "go")
      assert(mp.wait({ p }, 10)[1] == p)
      assert(p:join(0) == true)
    ]]
  end)

  it("is closed when it has ended (test_close)", function()
    passes [[
      local held = place()
      local p = mp.Process{ target = heard, args = { held } }
      p:start()
      assert(p:is_alive())
      refuses("state", p.close, p)
      tell(held, "go")
      p:join()
      assert(not p:is_alive() and p.exitcode == 0)
      p:close()
      refuses("closed", p.is_alive, p)
      refuses("closed", p.join, p)
      refuses("closed", p.terminate, p)
      p:close()
      local weak = setmetatable({ p }, { __mode = "k" })
      weak[1] = nil
      p = nil
      collectgarbage()
    ]]
  end)

  it("is one of many (test_many_processes)", function()
    passes [[
      local function all(n, target, args)
        local list = {}
        for i = 1, n do list[i] = mp.Process{ target = target, args = args } end
        for _, p in ipairs(list) do p:start() end
        return list
      end
      for _, p in ipairs(all(100, mp.sleep, { 0.001 })) do
        assert(p:join(30) and p.exitcode == 0)
      end
      local sleepers = all(20, mp.sleep, { 100 })
      mp.sleep(0.05)
      for _, p in ipairs(sleepers) do p:terminate() end
      for _, p in ipairs(sleepers) do assert(p:join(30) and p.exitcode == -15) end
    ]]
  end)

  it("lets its target go (test_lose_target_ref)", function()
    passes [[
      local seen = setmetatable({}, { __mode = "v" })
      local function run()
        local target = setmetatable({}, { __call = function() end })
        seen[1] = target
        local p = mp.Process{ target = target }
        p:start()
        target = nil
        p:join()
        assert(p.exitcode == 0)
        p:close()
      end
      run()
      collectgarbage()
      collectgarbage()
      assert(seen[1] == nil)
    ]]
  end)

  it("has no more descriptors the deeper it lies (test_child_fd_inflation)", function()
    passes [[
      local lfs = require "lfs"
      local path = place()
      local function deeper(n)
        if n > 0 then
          local p = mp.Process{ target = deeper, args = { n - 1 } }
          p:start()
          p:join()
          return
        end
        local count = 0
        for _ in lfs.dir("/proc/self/fd") do count = count + 1 end
        tell(path, count)
      end
      local counts = {}
      for i = 1, 3 do
        deeper(2 * i)
        counts[i] = tonumber(heard(path))
        os.remove(path)
      end
      assert(counts[3] - counts[1] <= 8, counts[3] - counts[1])
    ]]
  end)
end)

describe("a process with a run of its own", function()
  it("runs that (test_subclassing)", function()
    passes [[
      local path = place()
      local function Shouter(text)
        local p = mp.Process{}
        p.text = text
        function p:run() tell(path, self.text:upper()) end
        return p
      end
      local p = Shouter("hello")
      p.daemon = true
      p:start()
      p:join()
      assert(heard(path) == "HELLO")
    ]]
  end)

  it("says on standard error why it failed (test_stderr_flush)", function()
    local r = script.run [[
      local function check()
        local nothing
        return nothing.x
      end
      local p = mp.Process{ target = check }
      p:start()
      p:join()
      print(p.exitcode)
    ]]
    assert.equal("1\n", r.output)
    assert.matches("^Process%-1: .*:3: attempt to index a nil value", r.errors)
    assert.matches("stack traceback", r.errors)
  end)

  it("ends with the code that it says (test_sys_exit)", function()
    passes [[
      local function code(...)
        local p = mp.Process{ target = os.exit, args = table.pack(...), daemon = true }
        p:start()
        p:join(5)
        return p.exitcode
      end
      assert(code() == 0 and code(nil) == 0 and code(true) == 0 and code(false) == 1)
      assert(code(8) == 8 and code(0) == 0 and code(true, true) == 0 and code(3, true) == 3)
    ]]
    local r = script.run [[
      local p = mp.Process{ target = error, args = { { 1, 2 } } }
      p:start()
      p:join()
      print(p.exitcode)
    ]]
    assert.equal("1\n", r.output)
    assert.matches("^Process%-1: table: 0x", r.errors)
  end)

  it("knows its parent (test_parent_process)", function()
    passes [[
      assert(mp.parent_process() == nil)
      local path, deeper = place(), place()
      local p = mp.Process{ name = "Middle", target = function()
        local parent = mp.parent_process()
        tell(path, parent.name, parent.pid, tostring(parent:is_alive()), tostring(parent:join(0.01)))
        local child = mp.Process{ target = function()
          tell(deeper, mp.parent_process().name, mp.current_process().name)
        end }
        child:start()
        child:join()
      end }
      p:start()
      p:join()
      assert(heard(path) == ("MainProcess %d true false"):format(mp.getpid()), heard(path))
      assert(heard(deeper) == "Middle Process-1:1", heard(deeper))
    ]]
  end)
end)
