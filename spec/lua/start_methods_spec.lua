-- timeout: 120
-- How workers and processes come to be that are no forks of the script's process.
local lfs = require "lfs"
local script = require "spec.support.script"

local TOOLS = [[
  mp.set_start_method(nil)
  local processes = require "spec.support.processes"
  local kind = processes.kind
  -- The first child of this process of that name.
  local function child_named(name)
    for pid in io.lines(("/proc/self/task/%d/children"):format(mp.getpid()), "n") do
      local file <close> = io.open(("/proc/%d/comm"):format(pid))
      if file and file:read("l") == name then return pid end
    end
  end
  local function soon(f)
    local deadline = mp.monotonic() + 5
    while not f() and mp.monotonic() < deadline do mp.sleep(0.005) end
    return f()
  end
  local function server()
    return soon(function() return child_named "mp-forkserver" end)
  end
]]

TOOLS = TOOLS:gsub("%-%-[^\n]*", ""):gsub("\n", " ") .. "\n"
local says = script.says(TOOLS)

describe("start methods", function()
  it("are three, one of which is the default", function()
    says("fork spawn forkserver\t3\nfork\nspawn\nspawn\tfork\nargument\nargument\n", [[
      local all = mp.get_all_start_methods()
      print(table.concat(all, " "), all.n)
      print(mp.get_start_method())
      mp.set_start_method "spawn"
      print(mp.get_start_method())
      print(mp.get_context().get_start_method(), mp.get_context("fork").get_start_method())
      print((kind(mp.set_start_method, "thread")))
      print((kind(mp.get_context, "thread")))
    ]])
  end)

  for _, method in ipairs { "fork", "spawn", "forkserver" } do
    it(("make pools and processes by a context: %s"):format(method), function()
      says("Context (" .. method .. ")\n1,4,9\n7\n3\n", ([[
        local ctx = mp.get_context %q
        print(tostring(ctx))
        do
          local pool <close> = ctx.Pool(2)
          print(table.concat(pool:map(function(x) return x * x end, { 1, 2, 3 }), ","))
          local queue = ctx.Queue()
          local p = ctx.Process{ target = function(q) q:put(7) end, args = { queue } }
          p:start()
          p:join()
          print(queue:get())
        end
        local named <close> = ctx.Pool{ processes = 3, initializer = function(n) G = n end, initargs = { 3 } }
        print(named:apply(function() return G end))
      ]]):format(method))
    end)
  end

  it("are carried over to pools within workers", function()
    says("spawn\tspawn\n", [[
      mp.set_start_method "spawn"
      local pool <close> = mp.Pool(1)
      print(mp.get_start_method(), pool:apply(function() return mp.get_start_method() end))
    ]])
  end)
end)

describe("a fresh worker", function()
  it("has a connection of its initializer's, whenever it is born", function()
    for _, method in ipairs { "spawn", "forkserver" } do
      says("10\n", ([[
        local a, b = mp.Pipe()
        local pool <close> = mp.Pool{ processes = 2, start_method = %q,
          initializer = function(c) connection = c end, initargs = { b } }
        pool:apply(function() end)
        pool:wait()
        collectgarbage()
        pool:map(function(x) mp.sleep(0.05) connection:send(x) end, { 1, 2, 3, 4 }, 1)
        local sum = 0
        for _ = 1, 4 do sum = sum + a:recv() end
        print(sum)
      ]]):format(method))
    end
  end)

  it("knows who has made its pool", function()
    for _, method in ipairs { "fork", "spawn", "forkserver" } do
      says("Outer\tPoolWorker-1\n", ([[
        mp.set_start_method %q
        local p = mp.Process{ name = "Outer", target = function()
          local function name() return mp.parent_process().name end
          local pool <close> = mp.Pool(1)
          local outer, inner = pool:apply(name), pool:apply(function()
            local own <close> = mp.Pool(1)
            return own:apply(name)
          end)
          print(outer, inner)
        end }
        p:start()
        p:join()
      ]]):format(method))
    end
  end)

  it("has the script's package.path, and not its globals nor what it has run", function()
    local folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    local file <close> = io.open(folder .. "/fresh_module.lua", "w")
    file:write("return { answer = function() return 42 end }")
    file:close()
    says("once\n42\ttrue\tnil\n", ([[
      print "once"
      package.path = %q .. "/?.lua;" .. package.path
      unused = 1
      local path = package.path
      for _, method in ipairs { "spawn" } do
        local pool <close> = mp.Pool{ processes = 1, start_method = method }
        print(pool:apply(function()
          return require "fresh_module".answer(), package.path == path, rawget(_G, "unused")
        end))
      end
    ]]):format(folder))
    os.remove(folder .. "/fresh_module.lua")
    lfs.rmdir(folder)
  end)

  it("is told what it cannot require", function()
    says("decode\ttrue\ttrue\n", [[
      package.loaded.nowhere = { f = function() end }
      local f = package.loaded.nowhere.f
      local pool <close> = mp.Pool{ processes = 1, start_method = "spawn" }
      local which, err = kind(pool.apply, pool, function() return f() end)
      print(which, err.message:find("nowhere", 1, true) ~= nil, err.message:find("package.path", 1, true) ~= nil)
    ]])
  end)

  it("is in the script's folder, writes where that does, and reads nothing", function()
    for _, method in ipairs { "spawn", "forkserver" } do
      says("to the same\ntrue\tnil\n", ([[
        local method = %q
        if method == "forkserver" then mp.start_forkserver() end
        require "lfs".chdir "/usr/bin"
        local pool <close> = mp.Pool{ processes = 1, start_method = method }
        pool:apply(function() print "to the same" end)
        print(pool:apply(function() return require "lfs".currentdir() == "/usr/bin", io.read() end))
      ]]):format(method))
    end
  end)

  it("has its initializer's error told, and that it cannot be sent", function()
    says("initializer\ttrue\nencode\tupvalue file\n", [[
      local pool = mp.Pool{ processes = 1, start_method = "spawn", initializer = function() error "no luck" end }
      local which, err = kind(pool.apply, pool, math.abs, { 1 })
      print(which, err.message:find("no luck", 1, true) ~= nil)
      pool:terminate()
      pool:join()
      local file = io.tmpfile()
      pool = mp.Pool{ processes = 1, start_method = "spawn", initializer = function() file:write "x" end }
      which, err = kind(pool.apply, pool, math.abs, { 1 })
      print(which, err.message:match "upvalue file")
      pool:terminate()
      pool:join()
    ]])
  end)

  it("is not counted on where no program can be started", function()
    script.says(TOOLS,
      { under = "env MOONPOOL_FAILPOINTS=spawn.start:error" })("system\ttrue\n4\n", [[
      local pool <close> = mp.Pool{ processes = 1, start_method = "spawn" }
      local which, err = kind(pool.map, pool, math.abs, { 1 })
      print(which, err.message:find("cannot start", 1, true) ~= nil)
      print(pool:apply(math.abs, { -4 }))
    ]])
  end)
end)

describe("the forkserver", function()
  it("is one child, clean of what the script has open", function()
    says("true\ttrue\n5\n", [[
      local file <close> = io.tmpfile()
      mp.start_forkserver()
      local first = server()
      mp.start_forkserver()
      local n = 0
      for name in require "lfs".dir(("/proc/%d/fd"):format(first)) do n = n + (tonumber(name) and 1 or 0) end
      print(first ~= nil, first == server())
      print(n - 1)
    ]])
  end)

  it("has none of what the script has since", function()
    says("nil\n8\n", [[
      mp.start_forkserver()
      here = 5
      local pool <close> = mp.Pool{ processes = 1, start_method = "forkserver" }
      print(pool:apply(function() return rawget(_G, "her" .. "e") end))
      print(pool:apply(function(x) return x + 3 end, { here }))
    ]])
  end)

  it("is started anew where it was killed, and those that it has forked go on", function()
    says("6\n7\n255\n", [[
      mp.set_start_method "forkserver"
      local pool <close> = mp.Pool(1)
      print(pool:apply(math.abs, { -6 }))
      local old = server()
      local a, b = mp.Pipe()
      local stays = mp.Process{ target = function(c) c:recv() os.exit(9) end, args = { b } }
      stays:start()
      b:close()
      os.execute("kill -9 " .. old)
      print(pool:apply(math.abs, { -7 }))
      local other <close> = mp.Pool(1)
      other:apply(math.abs, { 1 })
      assert(soon(function() local pid = server() return pid and pid ~= old end))
      a:send(1)
      stays:join()
      print(stays.exitcode)
    ]])
  end)

  it("goes on where it is stopped", function()
    says("6\n", [[
      mp.set_start_method "forkserver"
      mp.start_forkserver()
      os.execute("kill -STOP " .. server())
      local pool <close> = mp.Pool(1)
      print(pool:apply(math.abs, { -6 }))
    ]])
  end)

  it("tells how processes ended", function()
    says("3\t-9\t0\t-15\n", [[
      local ctx = mp.get_context "forkserver"
      local function run(f)
        local p = ctx.Process{ target = f }
        p:start()
        return p
      end
      local exits, dies, ends = run(function() os.exit(3) end), run(function() mp.sleep(100) end), run(mp.getpid)
      local ended = run(function() mp.sleep(100) end)
      dies:kill()
      ended:terminate()
      for _, p in ipairs { exits, dies, ended } do p:join() end
      ends:join()
      print(exits.exitcode, dies.exitcode, ends.exitcode, ended.exitcode)
    ]])
  end)

  it("is not that of a fork", function()
    says("true\n5\n", [[
      mp.set_start_method "forkserver"
      mp.start_forkserver()
      local p = mp.Process{ start_method = "fork", target = function()
        local pool <close> = mp.Pool(1)
        local n = pool:apply(math.abs, { -5 })
        os.exit(n)
      end }
      p:start()
      p:join()
      print(server() ~= nil)
      print(p.exitcode)
    ]])
  end)
end)

describe("a killed host", function()
  for _, method in ipairs { "spawn", "forkserver" } do
    it(("leaves none of its workers: %s"):format(method), function()
      local r = script.run(TOOLS .. ([[
        mp.set_start_method %q
        local q = mp.Queue()
        local pool = mp.Pool(3)
        for _ = 1, 3 do pool:apply_async(function() q:put(1) while true do end end) end
        for _ = 1, 3 do q:get() end
        local daemon = mp.Process{ target = function() q:put(1) while true do end end, daemon = true }
        daemon:start()
        q:get()
        os.execute("kill -9 " .. mp.getpid())
      ]]):format(method))
      assert.equal(9, r.signal, r.output .. r.errors)
      assert.is_true(script.left_nothing(r))
    end)
  end

  it("leaves none that it is just starting", function()
    for i = 1, 20 do
      local r = script.run(TOOLS .. ([[
        mp.set_start_method %q
        local n = %d
        local pool = mp.Pool(2)
        os.execute(("(sleep 0.%%03d; kill -9 %%d) &"):format(n * 2, mp.getpid()))
        while true do
          pool:apply(math.abs, { 1 })
          pool:refresh()
        end
      ]]):format(i % 2 == 0 and "spawn" or "forkserver", i))
      assert.equal(9, r.signal, r.output .. r.errors)
      assert.is_true(script.left_nothing(r))
    end
  end)
end)
