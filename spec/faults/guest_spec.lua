-- timeout: 120
-- A host that does as it likes: it reaps children that are not its own business, ignores SIGCHLD,
-- forks while a pool lives, and calls the pool from the child.
local fault = require "spec.support.fault"
local script = require "spec.support.script"

script.each_program(function(program)
  local function says(expected, body)
    fault.says(expected, ('local crash = require "spec.crash"; account.pool(2, function(pool) %s end)'):format(
      body), { program = program })
  end

  describe("a host of " .. program, function()
    it("that reaps every child sees deaths all the same", function()
      says("worker_lost\t9\n100\n3\n", [[
        local pending = pool:apply_async(function() os.execute("kill -9 $PPID") end)
        for _ = 1, 30 do
          crash.reap()
          mp.sleep(0.005)
        end
        local ok, err = pcall(pending.get, pending)
        print(err.kind, err.signal)
        print(pool:map(math.abs, mp.range(100)).n)
        local nursery = account.parent(account.workers(pool)[1])
        account.signal("KILL", nursery)
        for _ = 1, 30 do
          crash.reap()
          mp.sleep(0.005)
        end
        print(pool:apply(math.abs, { -3 }))
      ]])
    end)

    it("that ignores SIGCHLD sees deaths all the same", function()
      says("worker_lost\t9\n100\n3\n", [[
        crash.ignore_children()
        local ok, err = pcall(pool.apply, pool, function() crash.raise(9) end)
        print(err.kind, err.signal)
        print(pool:map(math.abs, mp.range(100)).n)
        local workers = account.workers(pool)
        crash.kill(account.parent(workers[1]), 9)
        print(pool:apply(math.abs, { -3 }))
      ]])
    end)

    it("that forks itself leaves the pool to the parent; the child is told so", function()
      local path = os.tmpname()
      fault.says("50\n100\n", ([[
        local crash = require "spec.crash"
        local function pack(x, n)
          local t = {}
          for i = 1, n do t[i] = x end
          return t
        end
        account.pool(2, function(pool)
          pool:map(math.abs, mp.range(10))
          local it = pool:imap(mp.sleep, { 0, 0.3, 0.3 })
          it()
          local pending = pool:map_async(mp.sleep, pack(0.02, 50))
          local pid = crash.fork()
          if pid == 0 then
            local file = io.open(%q, "w")
            local function told(name, f, ...)
              local ok, err = pcall(f, ...)
              file:write(name, " ", ok and "ok" or type(err) == "table" and err.kind or tostring(err), "\n")
            end
            told("map", pool.map, pool, math.abs, { 1 })
            told("apply_async", pool.apply_async, pool, math.abs, { 1 })
            told("get", pending.get, pending)
            told("imap", pool.imap, pool, math.abs, { 1 })
            told("next", it.next, it)
            told("join", pool.join, pool)
            told("terminate", pool.terminate, pool)
            told("close", pool.close, pool)
            told("stats", pool.stats, pool)
            told("workers", pool.workers, pool)
            pool, pending, it = nil, nil, nil
            collectgarbage()
            collectgarbage()
            file:close()
            crash.quit(0)
          end
          repeat until crash.reap() > 0
          print(pending:get().n)
          print(pool:map(math.abs, mp.range(100)).n)
        end)
      ]]):format(path), { program = program })
      local told = script.read(path)
      os.remove(path)
      for _, name in ipairs { "map", "apply_async", "get", "imap", "next", "join" } do
        assert.matches(name .. " closed", told)
      end
      -- What ends a pool does nothing there, or says the same.
      for _, name in ipairs { "terminate", "close", "stats", "workers" } do
        assert.is_truthy(told:find(name .. " closed") or told:find(name .. " ok"), told)
      end
    end)

    it("whose fork ends normally takes nothing of the pool along", function()
      says("100\t7\n", [[
        pool:map(math.abs, mp.range(10))
        if crash.fork() == 0 then os.exit(0, true) end
        repeat until crash.reap() > 0
        print(pool:map(math.abs, mp.range(100)).n, pool:apply(math.abs, { -7 }))
      ]])
    end)

    it("with 0, 1 and 2 closed has no file of the pool there", function()
      local path = os.tmpname()
      local r = fault.run(([[
        local crash = require "spec.crash"
        for fd = 0, 2 do crash.close(fd) end
        local pool <close> = mp.Pool(2)
        local n = pool:map(math.abs, mp.range(100)).n
        local fds = require "spec.support.leaks".fds()
        local file = io.open(%q, "w")
        file:write(n, " ", tostring(fds[0]), " ", tostring(fds[1]), " ", tostring(fds[2]))
        file:close()
      ]]):format(path), { program = program })
      assert.equal(0, r.code, r.errors)
      local said = script.read(path)
      os.remove(path)
      -- The file that the script writes to takes a free number, too.
      assert.matches("^100 ", said)
      assert.is_nil(said:find("memfd") or said:find("anon_inode") or said:find("pipe:"), said)
    end)
  end)
end)
