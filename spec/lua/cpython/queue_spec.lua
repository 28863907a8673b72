-- timeout: 180
-- What CPython's _TestQueue and TestSimpleQueue ask (Lib/test/_test_multiprocessing.py), in Lua's
-- form.
local script = require "spec.support.script"

local TOOLS = [[
  local processes = require "spec.support.processes"
  local start, kind = processes.start, processes.kind
  local function takes(seconds, f, ...)
    local before = mp.monotonic()
    f(...)
    local taken = mp.monotonic() - before
    assert(taken >= seconds - 0.01 and taken < seconds + 2, taken)
  end
  local function refuses(expected, ...) assert(kind(...) == expected) end
]]

local function passes(body)
  script.each_program(function(program)
    assert.equal("passed\n", script.output(TOOLS .. body .. " print 'passed'", { program = program }))
  end)
end

describe("a queue", function()
  it("takes as many as fit, and says when it is full (test_put)", function()
    passes [[
      local queue = mp.Queue(6)
      local begin, go_on = mp.Event(), mp.Event()
      local p = start(function()
        begin:wait()
        for _ = 1, 6 do queue:get() end
        go_on:set()
      end)
      assert(queue:empty() and not queue:full())
      queue:put(1)
      queue:put(2, true)
      queue:put(3, true, nil)
      queue:put(4, false)
      queue:put(5, false, nil)
      queue:put_nowait(6)
      assert(not queue:empty() and queue:full())
      takes(0, refuses, "full", queue.put, queue, 7, false)
      takes(0, refuses, "full", queue.put, queue, 7, false, nil)
      takes(0, refuses, "full", queue.put_nowait, queue, 7)
      takes(0.2, refuses, "full", queue.put, queue, 7, true, 0.2)
      takes(0, refuses, "full", queue.put, queue, 7, false, 0.2)
      takes(0.2, refuses, "full", queue.put, queue, 7, nil, 0.2)
      begin:set()
      go_on:wait()
      assert(queue:empty() and not queue:full())
      assert(p:join(10))
    ]]
  end)

  it("gives in order, and says when it is empty (test_get)", function()
    passes [[
      local queue = mp.Queue()
      local begin, go_on = mp.Event(), mp.Event()
      local p = start(function()
        begin:wait()
        for i = 2, 5 do queue:put(i) end
        go_on:set()
      end)
      assert(queue:empty())
      begin:set()
      go_on:wait()
      assert(not queue:empty())
      assert(queue:get(true, nil) == 2)
      assert(queue:get(true) == 3)
      assert(queue:get(true, 1) == 4)
      assert(queue:get_nowait() == 5)
      assert(queue:empty())
      takes(0, refuses, "empty", queue.get, queue, false)
      takes(0, refuses, "empty", queue.get_nowait, queue)
      takes(0.2, refuses, "empty", queue.get, queue, true, 0.2)
      takes(0, refuses, "empty", queue.get, queue, false, 0.2)
      takes(0.2, refuses, "empty", queue.get, queue, nil, 0.2)
      assert(p:join(10))
    ]]
  end)

  it("holds what was put before a fork and behind it (test_fork)", function()
    passes [[
      local queue = mp.Queue()
      for i = 0, 9 do queue:put(i) end
      local p = start(function() for i = 10, 19 do queue:put(i) end end)
      for i = 0, 19 do assert(queue:get() == i) end
      refuses("empty", queue.get, queue, false)
      assert(p:join(10))
    ]]
  end)

  it("counts what it holds (test_qsize)", function()
    passes [[
      local queue = mp.Queue()
      assert(queue:qsize() == 0)
      queue:put(1)
      assert(queue:qsize() == 1)
      queue:put(5)
      assert(queue:qsize() == 2)
      queue:get()
      assert(queue:qsize() == 1)
      queue:get()
      assert(queue:qsize() == 0)
    ]]
  end)

  it("is joined when all is dealt with (test_task_done)", function()
    passes [[
      local queue = mp.JoinableQueue()
      local workers = {}
      for i = 1, 4 do
        workers[i] = start(function()
          for obj in function() return queue:get() end do
            mp.sleep(0.05)
            queue:task_done()
          end
        end)
      end
      for i = 1, 10 do queue:put(i) end
      queue:join()
      for _ = 1, 4 do queue:put(nil) end
      for _, p in ipairs(workers) do assert(p:join(10) and p.exitcode == 0) end
      for _ = 1, 4 do queue:task_done() end
      refuses("state", queue.task_done, queue)
    ]]
  end)

  it("waits as long as it is told (test_timeout)", function()
    passes [[
      local queue = mp.Queue()
      takes(0.2, refuses, "empty", queue.get, queue, true, 0.2)
    ]]
  end)

  it("refuses what cannot be sent, and goes on (test_queue_feeder_donot_stop_onexc)", function()
    passes [[
      local queue = mp.Queue()
      local stuck = setmetatable({}, { __reduce = function() error "no" end })
      assert(not pcall(queue.put, queue, stuck))
      refuses("encode", queue.put, queue, coroutine.create(print))
      queue:put(true)
      assert(queue:get(true, 1) == true and queue:empty())
    ]]
  end)

  it("raises once it is closed (test_closed_queue_put_get_exceptions)", function()
    passes [[
      for _, queue in ipairs { mp.Queue(), mp.JoinableQueue() } do
        queue:close()
        refuses("closed", queue.put, queue, "foo")
        refuses("closed", queue.get, queue)
        refuses("closed", queue.empty, queue)
      end
    ]]
  end)

  it("closed here is open elsewhere, and nothing in it is lost", function()
    passes [[
      local queue, back = mp.Queue(), mp.Queue()
      local closed = mp.Event()
      local p = start(function() closed:wait() back:put(queue:get()) end)
      queue:put("kept")
      queue:close()
      closed:set()
      assert(back:get(true, 10) == "kept")
      assert(p:join(10))
    ]]
  end)
end)

describe("a simple queue", function()
  it("is empty or not (test_empty)", function()
    passes [[
      local queue = mp.SimpleQueue()
      local begin, go_on = mp.Event(), mp.Event()
      local p = start(function()
        begin:wait()
        queue:put(queue:empty())
        queue:put(queue:empty())
        go_on:set()
      end)
      assert(queue:empty())
      begin:set()
      go_on:wait()
      assert(not queue:empty())
      assert(queue:get() == true and queue:get() == false)
      assert(queue:empty())
      assert(p:join(10))
    ]]
  end)

  it("is closed (test_close)", function()
    passes [[
      local queue = mp.SimpleQueue()
      queue:close()
      queue:close()
      refuses("closed", queue.get, queue)
    ]]
  end)
end)
