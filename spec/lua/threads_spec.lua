local script = require "spec.support.script"

describe("a process with threads", function()
  it("is refused by the call that would fork where that is asked for, which says what to do", function()
    local said = script.output [[
      local thread = require "spec.thread"
      local pool = mp.Pool{ processes = 1, start_method = "fork" }
      assert(thread())
      local ok, err = pcall(pool.map, pool, math.abs, { 1 })
      print(ok, err.kind)
      print(err.message)
      pool:close()
      print(pool:join())
      os.exit(0) -- the thread's code must stay
    ]]
    assert.matches("^false\tstate\n", said)
    assert.matches("needs a process with one thread, this one has 2", said)
    assert.matches("\ntrue\n$", said)
  end)

  it("cannot fork workers by any other call, nor renew those at work", function()
    assert.equal("false\tstate\nfalse\tstate\nfalse\tstate\ntrue\n4\n", script.output [[
      local thread = require "spec.thread"
      local ctx = mp.get_context "fork"
      local idle, busy = ctx.Pool(1), ctx.Pool(1)
      local pending = busy:apply_async(function() mp.sleep(0.5) return 4 end)
      assert(thread())
      local function try(f, ...)
        local ok, err = pcall(f, ...)
        print(ok, err and err.kind)
      end
      try(idle.start, idle)
      try(idle.everywhere, idle, math.abs, { 1 })
      try(busy.refresh, busy)
      busy:resize(1)
      print(#busy:workers() == 1)
      print(pending:get())
      idle:terminate()
      busy:terminate()
      idle:join()
      busy:join()
      os.exit(0)
    ]])
  end)

  it("goes on with a pool whose workers are there", function()
    assert.equal("1\n2\n", script.output [[
      local thread = require "spec.thread"
      local pool = mp.Pool{ processes = 1, start_method = "fork" }
      print(pool:apply(math.abs, { 1 }))
      assert(thread())
      pcall(pool.apply, pool, os.exit, { 1 })
      print(pool:apply(math.abs, { -2 }))
      pool:close()
      pool:join()
      os.exit(0)
    ]])
  end)

  it("starts workers anew where nothing is asked for #fork", function()
    assert.equal("fork\tspawn\ntrue\n1,4,9\n5\n", script.output [[
      local thread = require "spec.thread"
      mp.set_start_method(nil)
      local before = mp.get_start_method()
      assert(thread())
      print(before, mp.get_start_method())
      local pool = mp.Pool(2)
      local k = 2
      local squares = pool:map(function(x) return x ^ k // 1 | 0 end, mp.range(3))
      print(pool:apply(function() return mp.parent_process().pid end) == mp.getpid())
      print(table.concat(squares, ","))
      local p = mp.Process{ target = function(code) os.exit(code) end, args = { 5 } }
      p:start()
      p:join()
      print(p.exitcode)
      pool:close()
      pool:join()
      os.exit(0)
    ]])
  end)

  it("has them forked by a server that was started before", function()
    assert.equal("forkserver\n1,4,9\n", script.output [[
      local thread = require "spec.thread"
      mp.set_start_method(nil)
      mp.start_forkserver()
      assert(thread())
      print(mp.get_start_method())
      local pool = mp.Pool(2)
      print(table.concat(pool:map(function(x) return x * x end, mp.range(3)), ","))
      pool:close()
      pool:join()
      os.exit(0)
    ]])
  end)

  it("goes on where its nursery is lost, with functions that were in hand", function()
    assert.equal("worker_lost\n12\n13\n", script.output [[
      local thread = require "spec.thread"
      mp.set_start_method(nil)
      local pool = mp.Pool{ processes = 1, initializer = function(n) base = n end, initargs = { 10 } }
      pool:apply(math.abs, { 1 })
      pool:refresh()
      local all = pool:map_async(function(x)
        if x == 1 then
          local file <close> = io.open("/proc/self/stat")
          os.execute("kill -9 " .. file:read("a"):match("^.*%) %a (%d+)"))
          mp.sleep(10)
        end
        return base + x
      end, { 1, 2, 3 }, { on_error = "collect", chunksize = 1 })
      assert(thread())
      local got = all:get()
      print(got.errors[1].kind)
      print(got[2])
      print(got[3])
      pool:close()
      pool:join()
      os.exit(0)
    ]])
  end)
end)
