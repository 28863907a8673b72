local script = require "spec.support.script"

describe("a process with threads", function()
  it("is refused by the call that would fork, which says what to do", function()
    local said = script.output [[
      local thread = require "spec.thread"
      local pool = mp.Pool(1)
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

  it("cannot start workers by any other call, nor renew those at work", function()
    assert.equal("false\tstate\nfalse\tstate\nfalse\tstate\ntrue\n4\n", script.output [[
      local thread = require "spec.thread"
      local idle, busy = mp.Pool(1), mp.Pool(1)
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
      local pool = mp.Pool(1)
      print(pool:apply(math.abs, { 1 }))
      assert(thread())
      pcall(pool.apply, pool, os.exit, { 1 })
      print(pool:apply(math.abs, { -2 }))
      pool:close()
      pool:join()
      os.exit(0)
    ]])
  end)
end)
